"""`wherry play`: a Kubernetes manifest becomes pods of this one engine."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.daemon import Engine
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: site}
data:
  page: "hello from a config map\\n"
  greeting: good morning
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
data: {token: aHVudGVyMg==}
---
apiVersion: v1
kind: Pod
metadata:
  name: shop
  labels: {app: shop}
  creationTimestamp: null
spec:
  serviceAccountName: default
  restartPolicy: Never
  initContainers:
  - name: prepare
    image: busybox
    command: [sh, -c, "cp /site/page /www/index.html; echo $(GREETING) > /www/greeting"]
    env:
    - {name: GREETING, valueFrom: {configMapKeyRef: {name: site, key: greeting}}}
    volumeMounts:
    - {name: www, mountPath: /www}
    - {name: site, mountPath: /site}
  containers:
  - name: web
    image: busybox
    command: [httpd]
    args: [-f, -p, "8080", -h, /www]
    ports: [{name: http, containerPort: 8080, hostPort: 18080}]
    resources: {limits: {cpu: 500m, memory: 64Mi}}
    readinessProbe: {httpGet: {port: http, path: /index.html}, periodSeconds: 1}
    volumeMounts: [{name: www, mountPath: /www, readOnly: true}]
  - name: peer
    image: busybox
    command: [sleep, "1000"]
    env:
    - {name: MY_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: TOKEN, valueFrom: {secretKeyRef: {name: keys, key: token}}}
    securityContext: {runAsUser: 65534, readOnlyRootFilesystem: true,
                      capabilities: {drop: [ALL]}, allowPrivilegeEscalation: false}
    livenessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    volumeMounts: [{name: keys, mountPath: /keys}]
  volumes:
  - {name: www, emptyDir: {}}
  - {name: site, configMap: {name: site}}
  - {name: keys, secret: {secretName: keys, defaultMode: 0444}}
"""


@pytest.fixture(autouse=True)
def _no_pods(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()
    engine.docker_ok("volume", "prune", "-af")
    engine.docker("rmi", "wherry/pause")


def play(engine: Engine, text: str, *flags: str) -> tuple[str, str, int]:
    """Play a manifest from standard input."""
    ran = engine.wherry("play", *flags, "-", stdin=text)
    return ran.stdout, ran.stderr, ran.returncode


@pytest.mark.slide("13.15")
def test_a_pod(engine: Engine) -> None:
    """Init containers ran first, volumes hold what they should, and the parts see each other."""
    said, warned, code = play(engine, MANIFEST)
    assert (said, code) == ("shop\n", 0), warned
    assert "no meaning to spec.serviceAccountName" in warned
    fetch = ("exec", "shop-peer", "wget", "-q", "-O-")
    wait_until(
        "it serves",
        lambda: engine.docker(*fetch, "localhost:8080").stdout == "hello from a config map\n",
    )
    assert engine.docker_ok(*fetch, "localhost:8080/greeting") == "good morning"
    assert engine.docker_ok("port", "shop-sandbox", "8080/tcp").startswith("0.0.0.0:18080")
    show = "echo $MY_IP $TOKEN; cat /keys/token; echo; id -u"
    address = engine.inspect("shop-sandbox")["NetworkSettings"]["IPAddress"]
    said = engine.docker_ok("exec", "shop-peer", "sh", "-c", show)
    assert said == f"{address} hunter2\nhunter2\n65534"
    web = engine.inspect("shop-web")
    assert web["HostConfig"]["NanoCpus"] == 500_000_000
    assert web["HostConfig"]["Memory"] == web["HostConfig"]["MemorySwap"] == 64 << 20
    assert web["Config"]["Labels"]["app"] == "shop"
    for name in ("shop-web", "shop-peer"):
        wait_until(
            f"{name} is well",
            lambda name=name: engine.inspect(name)["State"]["Health"]["Status"] == "healthy",
        )
    again = play(engine, MANIFEST)
    assert (again[2], "there is a pod shop already" in again[1]) == (1, True)
    assert play(engine, MANIFEST, "--replace")[2] == 0
    assert play(engine, MANIFEST, "--down")[0] == "shop\n"
    assert engine.docker_ok("ps", "-aq") == ""
    assert engine.docker_ok("volume", "ls", "-q") == ""


def test_a_deployment(engine: Engine) -> None:
    """Its replicas are pods told apart by number."""
    text = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec:
  replicas: 2
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec:
      containers: [{name: one, image: busybox, command: [sleep, "1000"]}]
"""
    said, warned, code = play(engine, text)
    assert (said, code) == ("many-1\nmany-2\n", 0), warned
    states = engine.docker_ok("ps", "--filter", "label=app=many", "--format", "{{.Names}}")
    assert set(states.splitlines()) == {
        "many-1-one", "many-1-sandbox", "many-2-one", "many-2-sandbox",
    }  # fmt: skip
    policy = engine.inspect("many-1-one")["HostConfig"]["RestartPolicy"]["Name"]
    assert policy == "always"


def test_a_liveness_probe_that_fails(engine: Engine) -> None:
    """The container is killed, and starts again as the pod's policy says."""
    text = """
apiVersion: v1
kind: Pod
metadata: {name: mortal}
spec:
  containers:
  - name: one
    image: busybox
    command: [sh, -c, "touch /alive; exec sleep 1000"]
    livenessProbe: {exec: {command: [test, -e, /alive]}, periodSeconds: 1, failureThreshold: 1}
"""
    assert play(engine, text)[2] == 0
    engine.docker_ok("exec", "mortal-one", "rm", "/alive")
    wait_until(
        "it starts again",
        lambda: (
            engine.inspect("mortal-one")["RestartCount"] == 1
            and engine.docker("exec", "mortal-one", "test", "-e", "/alive").returncode == 0
        ),
        within_s=20,
    )
    kills = engine.events_since(time.time() - 60, type=["container"], event=["kill"])
    assert [each["Actor"]["Attributes"]["signal"] for each in kills][-1] == "9"


def test_a_failing_init_container_leaves_nothing(engine: Engine) -> None:
    """It is told with its last words, and the pod is not there."""
    text = MANIFEST.replace("cp /site/page", "echo no such shelf; exit 3; cp")
    _, told, code = play(engine, text)
    assert code == 1
    assert "init container prepare of pod shop ended with 3:\nno such shelf" in told
    assert engine.docker_ok("ps", "-aq") == ""
    assert engine.docker_ok("volume", "ls", "-q") == ""


def test_what_others_have_stays(engine: Engine) -> None:
    """A volume of the same name is neither used nor removed; of two plays at once one wins."""
    engine.docker_ok("volume", "create", "shop-www")
    told = play(engine, MANIFEST)[1]
    assert "there is a volume shop-www already, which is no pod's" in told
    assert engine.docker_ok("volume", "ls", "-q") == "shop-www"
    engine.docker_ok("volume", "rm", "shop-www")
    with ThreadPoolExecutor(2) as both:
        codes = sorted(code for _, _, code in both.map(lambda _: play(engine, MANIFEST), "ab"))
    assert codes == [0, 1]
    members = engine.docker_ok("ps", "-a", "--format", "{{.Names}}").split()
    assert {"shop-sandbox", "shop-web", "shop-peer"} <= set(members)


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("kind: Pod", "kind: Service", "kind 'Service' is not played on one host"),
        ("restartPolicy: Never", "restartPolicy: Perhaps", "Invalid enum value 'Perhaps'"),
        ("containers:\n  - name: web", "contaners:\n  - name: web", "unknown field `contaners`"),
        ("memory: 64Mi", "memory: much", "'much' is not a quantity"),
        ("secretName: keys", "secretName: none", "there is no Secret 'none' in the file"),
        ("port: http,", "port: ftp,", "no port named 'ftp'"),
        ("name: keys, mountPath", "name: kys, mountPath", "names no volume of the pod: 'kys'"),
        ("metadata: {name: keys}", "metadata: [", "yaml: line 13"),
        ("fieldPath: status.podIP", "fieldPath: status.hostIP", "no field 'status.hostIP' here"),
        ("runAsUser: 65534,", "runAsNonRoot: true,", "runAsNonRoot needs a runAsUser"),
        ("token: aHVudGVyMg==", "token: /w==", "'token' is no text, so no variable can have it"),
    ],
)
def test_bad_manifests(engine: Engine, was: str, becomes: str, told: str) -> None:
    """One sentence that names what is wrong; nothing was made, or it is gone again."""
    assert was in MANIFEST
    _, complained, code = play(engine, MANIFEST.replace(was, becomes))
    assert code == 1
    assert told in complained
    assert engine.docker_ok("ps", "-aq") == ""
    assert engine.docker_ok("volume", "ls", "-q") == ""


def test_a_file_that_is_not_there(engine: Engine, tmp_path: Path) -> None:
    """The path is named."""
    ran = engine.wherry("play", str(tmp_path / "none.yaml"))
    assert (ran.returncode, ran.stderr) == (
        1, f"{tmp_path}/none.yaml: No such file or directory\n",
    )  # fmt: skip
