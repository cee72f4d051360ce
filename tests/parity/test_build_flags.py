"""Every flag of `wherry build` has its effect: here, or in the module that is named for it."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import output_of, remove_what_was_built, small_context
from support.builds import write_dockerfile as write
from support.daemon import Engine, Ran
from support.debian_registry import debian_registry
from wherry.cli.builds.building import BUILD

TempPaths = pytest.TempPathFactory
ELSEWHERE = {
    "annotation": "test_build_outputs",
    "attest": "test_build_outputs",
    "build-context": "test_build_secrets",
    "cache-from": "test_build_sources",
    "call": "test_build_checks",
    "check": "test_build_checks",
    "iidfile": "test_build",
    "metadata-file": "test_build_secrets",
    "output": "test_build_secrets",
    "plan": "test_build_reports",
    "profile": "test_build_reports",
    "progress": "test_build_reports",
    "provenance": "test_build_outputs",
    "sbom": "test_build_outputs",
    "secret": "test_build_secrets",
    "squash": "test_build_secrets",
    "ssh": "test_build_secrets",
    "why": "test_build_reports",
}
HERE = {
    "add-host", "allow", "build-arg", "cache-to", "cgroup-parent", "compress", "cpu-period",
    "cpu-quota", "cpu-shares",
    "cpuset-cpus", "cpuset-mems", "disable-content-trust", "file", "force-rm", "isolation",
    "label", "load", "memory", "memory-swap", "network", "no-cache", "no-cache-filter", "platform",
    "pull", "push", "quiet", "rm", "security-opt", "shm-size", "tag", "target", "ulimit",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _leaves_no_image(engine: Engine) -> Iterator[None]:
    """What was built goes again, and so does the cache."""
    yield
    remove_what_was_built(engine)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with some files."""
    return small_context(tmp_path)


def own(engine: Engine, context: Path, *flags: str, is_ok: bool = True) -> Ran:
    """`wherry build`."""
    ran = engine.wherry("build", *flags, str(context))
    assert not is_ok or ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def test_all_flags_are_tried() -> None:
    """None is without a test; each module that is named speaks of its flag."""
    assert {each.name for each in BUILD.flags} == HERE | ELSEWHERE.keys()
    assert not HERE & ELSEWHERE.keys()
    for flag, module in ELSEWHERE.items():
        text = (Path(__file__).parent / f"{module}.py").read_text()
        words = [f"--{flag}", *(f"-{each.short}" for each in BUILD.flags if each.name == flag)]
        assert any(re.search(rf'"{word}[",= ]', text) for word in words), (flag, module)


def test_what_a_command_is_given(engine: Engine, context: Path) -> None:
    """Limits, hosts, the network and the cgroup are those of the command's container."""
    find = (
        "cd /sys/fs/cgroup; "
        "one() { cat memory/$1 cpu/$1 cpuset/$1 $2 2>/dev/null | head -n 1; }; "
        "echo memory $(one memory.limit_in_bytes memory.max); "
        "echo swap $(one memory.memsw.limit_in_bytes memory.swap.max); "
        "echo shares $(one cpu.shares cpu.weight); "
        "echo quota $(one cpu.cfs_quota_us cpu.max); echo period $(one cpu.cfs_period_us none); "
        "echo cpus $(one cpuset.cpus cpuset.cpus); echo mems $(one cpuset.mems cpuset.mems); "
        "echo files $(ulimit -n); echo shm $(df -k /dev/shm | tail -n 1); "
        "echo hosts $(grep given /etc/hosts); echo links $(ls /sys/class/net)"
    )
    write(context, f"FROM busybox\nRUN ({find}) > /seen\n")
    own(
        engine, context, "-t", "seen", "--memory", "64m", "--memory-swap", "96m",
        "--cpu-shares", "512", "--cpu-quota", "50000", "--cpu-period", "80000",
        "--cpuset-cpus", "0", "--cpuset-mems", "0", "--ulimit", "nofile=321:400",
        "--shm-size", "8m", "--add-host", "given:10.1.2.3", "--network", "none",
        "--cgroup-parent", "/parent-of-builds", "--isolation", "default",
        "--disable-content-trust",
    )  # fmt: skip
    lines = output_of(engine, "seen", "cat", "/seen").splitlines()
    seen = {line.partition(" ")[0]: line.partition(" ")[2].split() for line in lines}
    assert seen["memory"] == ["67108864"]
    assert seen["swap"] in (["100663296"], ["33554432"])
    assert seen["shares"] in (["512"], ["20"], ["59"])
    assert seen["quota"] in (["50000"], ["50000", "80000"])
    assert seen["period"] in (["80000"], [])
    assert (seen["cpus"], seen["mems"]) == (["0"], ["0"])
    assert (seen["files"], seen["shm"][1]) == (["321"], "8192")
    assert seen["hosts"] == ["10.1.2.3", "given"]
    assert seen["links"] == ["lo"]
    parents = [*Path("/sys/fs/cgroup").glob("**/parent-of-builds")]
    assert parents
    for each in parents:
        each.rmdir()


def test_what_is_built(engine: Engine, context: Path) -> None:
    """Names, labels, arguments, the stage, the file, the platform; how much is said and sent."""
    (context / "Other").write_text(
        "FROM busybox AS one\nARG WHO\nRUN echo $WHO > /who\nFROM one AS two\nRUN false\n"
    )
    flags = ("-f", str(context / "Other"), "--target", "one", "--platform", "linux/amd64")
    more = ("--label", "a=b", "--label", "c=d e", "--build-arg", "WHO=me", "--compress")
    ran = own(engine, context, "-q", "-t", "n:1", "-t", "n:2", *flags, *more)
    shown = json.loads(engine.docker_ok("image", "inspect", "n:1", "n:2"))
    assert [each["Id"] for each in shown] == [ran.stdout.strip()] * 2
    assert (ran.stderr, shown[0]["Config"]["Labels"]) == ("", {"a": "b", "c": "d e"})
    assert output_of(engine, "n:2", "cat", "/who") == "me"
    refused = own(engine, context, *flags[:4], "--platform", "plan9/amd64", is_ok=False)
    assert "plan9/amd64" in refused.stderr
    write(context, "FROM busybox\n")
    refused = own(engine, context, "--isolation", "hyperv", is_ok=False)
    assert 'Unsupported isolation: "hyperv"' in refused.stderr
    refused = own(engine, context, "--security-opt", "seccomp=x", is_ok=False)
    assert "does not support setting security options on build" in refused.stderr


def test_what_is_used_again_and_left_behind(engine: Engine, context: Path) -> None:
    """The cache as a whole or by stage; the base looked up again; containers of steps."""
    write(context, "FROM busybox AS one\nRUN echo 1\nFROM busybox AS two\nRUN echo 2\n"
                   "COPY --from=one /etc /x\n")  # fmt: skip
    own(engine, context)
    cached = lambda *flags: own(engine, context, *flags).stderr.count(" CACHED\n")  # noqa: E731
    assert cached() == 3
    assert cached("--no-cache-filter", "one") == 2
    assert cached("--no-cache") == 0
    pulled = own(engine, context, "--pull", is_ok=False)
    assert pulled.returncode == 1  # There is no registry to ask.
    assert "ERROR" in pulled.stderr
    left = lambda: engine.docker_ok("ps", "-aq").split()  # noqa: E731
    assert left() == []
    own(engine, context, "--no-cache", "--rm=false", "--force-rm")
    assert left() == []
    own(engine, context, "--no-cache", "--rm=false")
    assert len(left()) == 2


def test_a_file_and_an_image(engine: Engine, context: Path, tmp_path: Path) -> None:
    """With another output, the image is kept where --load asks for it."""
    write(context, "FROM busybox\nRUN echo x > /x\n")
    archive = f"type=tar,dest={tmp_path}/files.tar"
    own(engine, context, "-t", "kept:1", "-o", archive)
    assert engine.docker("image", "inspect", "kept:1").returncode == 1
    own(engine, context, "-t", "kept:1", "-o", archive, "--load")
    assert output_of(engine, "kept:1", "cat", "/x") == "x"


def test_what_a_command_may_be_granted(engine: Engine, context: Path) -> None:
    """More than a container has is refused, unless the user allows it."""
    write(context, "FROM busybox\nRUN --network=host true\n")
    refused = own(engine, context, is_ok=False)
    assert "granting entitlement network.host is not allowed" in refused.stderr
    own(engine, context, "--allow", "network.host")


def test_keys_that_are_files(engine: Engine, context: Path, tmp_path_factory: TempPaths) -> None:
    """`--ssh ID=KEY,KEY`: an agent has them while the build runs, and nothing keeps them."""
    keys = [tmp_path_factory.mktemp("keys") / name for name in ("one", "two")]
    for key in keys:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    source = Path(__file__).parent.parent / "support/ask_agent.c"
    subprocess.run(["gcc", "-O1", "-static", "-o", context / "ask", source], check=True)
    write(context, "FROM busybox\nRUN --mount=type=ssh,id=mine --mount=target=/c /c/ask > /keys\n")
    own(engine, context, "-t", "asked", "--ssh", f"mine={keys[0]},{keys[1]}")
    assert output_of(engine, "asked", "cat", "/keys") == "2 keys"
    assert not [*Path(tempfile.gettempdir()).glob("wherry-agent-*")]
    engine.stop()  # Nothing comes and goes while it is searched.
    secret = keys[0].read_bytes()
    held = [path for path in engine.data_root.rglob("*") if path.is_file()]
    assert held
    assert not [path for path in held if secret in path.read_bytes()]
    engine.start()
    refused = own(engine, context, "--ssh", f"mine={context}/a.txt", is_ok=False)
    assert refused.stderr.startswith(f"failed to parse {context}/a.txt: ")
    refused = own(engine, context, "--ssh", f"mine={context}/none", is_ok=False)
    assert refused.stderr == f"could not open {context}/none: No such file or directory\n"


def test_where_results_go(fresh_engine: Engine, context: Path) -> None:
    """To a registry with --push; and the results of steps with --cache-to, found again there."""
    engine = fresh_engine
    write(context, "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /once\n")
    with debian_registry(engine, port=5031) as registry:
        name, cache = f"{registry}/made:1", f"type=registry,ref={registry}/cache:1"
        own(engine, context, "-t", name, "--push", "--cache-to", cache)
        once = output_of(engine, name, "cat", "/once")
        engine.docker_ok("rmi", "-f", name)
        assert output_of(engine, name, "cat", "/once") == once
        engine.docker_ok("rmi", "-f", name)
        engine.docker_ok("builder", "prune", "-af")
        again = own(engine, context, "-t", "again", "--cache-from", cache)
        assert " CACHED\n" in again.stderr, again.stderr
        assert output_of(engine, "again", "cat", "/once") == once
