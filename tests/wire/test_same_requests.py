"""`wherry` asks an engine for what `docker` asks for, and refuses what it refuses in its words."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.recording_engine import RecordingEngine, recording
from wherry.cli import entry

pytestmark = pytest.mark.skipif(
    shutil.which("docker") is None, reason="this host has no docker CLI"
)
ID = "0123456789" * 6 + "0123"

LINES = [
    "run -l 'a b' i",
    "run --network n1 --network bridge i",
    "run --network default --network n1 i",
    "run --network n1 --network n2 --ip 10.0.0.2 --network-alias x --link a --link b:c i",
    "run --network name=n1,ip=10.0.0.2 --ip 10.0.0.3 i",
    "run --network name=n1,mac-address=02:00:00:00:00:02 --mac-address 02:00:00:00:00:03 i",
    "run --network name=n1,link-local-ip=169.254.1.1 --link-local-ip 169.254.1.2 i",
    "run --mac-address 02:00:00:00:00:02 --link a i",
    "run --platform foo i",
    "run --platform LINUX/aarch64 i",
    "run --cap-add sys_admin --cap-add CAP_NET_ADMIN --cap-add SYS_ADMIN --cap-drop all i",
    "run -m 1e3 --shm-size '1.5 MiB' i",
    "run -m 1s i",
    "run --memory-swap 0x10 i",
    "run --dns-search 1.5 i",
    "create --pull '' i",
    "run --sysctl kernel.foo=1 i",
    "run --sysctl net.ipv4.ip_forward=1 --sysctl kernel.sem=1 i",
    "run --mount type=bind,src=/a,dst=/b,bind-recursive=readonly i",
    "run --gpus 'driver=x,count=all,\"capabilities=a,b\",options=c=d' --gpus device=0 i",
    "run --gpus all,count=2 i",
    "run --gpus 1.5 i",
    "run --gpus x=1 i",
    "create --platform linux/arm64/v8/x i",
    "network ls --filter ''",
    "network create --label 'a b' x",
    "network create --label =b x",
    "network create --label a=b --label c -o x=y -o z x",
    "network connect --link e --link c:d --alias x --gw-priority 5 n c",
    "network --foo",
    "volume create -o a=b -o c --label 'k=a b' --label c x",
    "volume create --label ''",
    "volume create --name x",
    "volume create --name x y",
    "image inspect --platform foo i",
    "image inspect --platform linux i",
    "image inspect --platform linux/armel i",
    "image inspect --platform 'windows(10.0)/amd64' i",
    "image inspect --platform 'a b/amd64' i",
    "image inspect --platform 'lin*/amd64' i",
    "history --platform linux/arm/7 i",
    "history --platform foo i",
    "save --platform linux/amd64,linux/arm64 i",
    "save -o /nonexistent/out i",
    "save -o / i",
    "export -o /nonexistent/out c",
    "load --platform foo",
    "rmi --platform foo i",
    "import ''",
    "import nosuch a",
    "push -a --platform linux/arm64 i",
    "image prune -f --filter dangling=false",
    "tag A b",
    "tag '' b",
    f"tag {ID} b",
    "inspect ''",
    "start '' ",
    "stop '' a",
    "logs ''",
    "exec '' x",
    "create ''",
    "create 'a b'",
    "run ''",
    "volume rm '' a",
    "volume inspect ''",
    "network inspect ''",
    "events --since 0 --until 1.5",
    "logs --since 0 c",
    "inspect --type '' x",
    "network connect --driver-opt =x n c",
    "cp '' a:",
    "cp a:x ''",
    "cp a:x /nonexistent/b/c",
    "cp a:x /etc/passwd/",
    "cp a:x /dev/null",
    "build -t A .",
    "build --label 'a b' .",
    "build --build-arg =x .",
    "build /dev/null",
    "build -f nosuch .",
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RecordingEngine, str]]:
    """One that refuses, and its address."""
    path = tmp_path_factory.mktemp("engine") / "socket"
    with recording(path) as made:
        yield made, f"unix://{path}"


@pytest.mark.parametrize("line", LINES)
def test_same_request_or_refusal(
    line: str,
    engine: tuple[RecordingEngine, str],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same exit code, the same requests, and without any the same sentence."""
    recorded, address = engine
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)
    settings = {"DOCKER_CONFIG": "/nonexistent", "DOCKER_BUILDKIT": "0", "DOCKER_HOST": address}
    recorded.requests.clear()
    theirs = subprocess.run(
        ["docker", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **settings},
    )
    wanted = list(recorded.requests)
    recorded.requests.clear()
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert entry.main(words) == theirs.returncode
    assert recorded.requests == wanted
    ours = capfd.readouterr()
    if not wanted:
        assert ours.out == theirs.stdout
        assert ours.err.replace("wherry", "docker") == _without_notice(theirs.stderr)


def _without_notice(text: str) -> str:
    """Docker's client first says of its classic builder that it is old."""
    return text.partition("\n\n")[2] if text.startswith("DEPRECATED") else text
