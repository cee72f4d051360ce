"""`--explain=shell`: what it prints, run by hand, makes the same container."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Engine
from support.file_systems import engine_with
from support.loaded_filter import loaded_filters
from support.waiting import wait_until

pytestmark = pytest.mark.kernel

CONTAINERS = {
    "plain": (),
    "published": (
        *("-p", "8080:80", "-p", "127.0.0.1:5353:53/udp", "-m", "64m", "--cpus", "0.5"),
        *("--pids-limit", "50", "--cpu-shares", "512", "-v", "/usr:/host/usr:ro"),
        *("-e", "API_TOKEN=secret", "-e", "GREETING=it's $HOME"),
    ),
    "odd": (
        *("--network", "none", "--user", "1000:7", "--group-add", "20", "--cap-add", "NET_ADMIN"),
        *(
            "--cap-drop",
            "CHOWN",
            "--read-only",
            "--tmpfs",
            "/scratch:size=1m",
            "--hostname",
            "odd",
        ),
        *("--ulimit", "nofile=64:128", "--security-opt", "no-new-privileges"),
        *("--sysctl", "net.ipv4.ip_forward=1", "--workdir", "/etc", "--ipc", "private"),
        *("--shm-size", "1m", "--oom-score-adj", "100", "--init"),
    ),
    "open": ("--privileged", "--security-opt", "seccomp=unconfined", "--pid", "host"),
}
"""Options by the name of a container that has them."""

STATUS = (
    "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Seccomp", "Seccomp_filters", "NoNewPrivs",
    "Uid", "Gid", "Groups", "Umask",
)  # fmt: skip
"""Lines of /proc/PID/status that say what a process may do."""

COUNTERS = re.compile(
    r"usage|failcnt|stat|procs|tasks|pressure|events|reset|acct|peak|force_empty|event_control"
    r"|sched.debug|threads|current|notify|release|memory.oom_control|frozen|io_serviced|io_service_bytes|clone_children"
)
"""Files of cgroups that count or command, and don't limit."""


@dataclass(frozen=True)
class Facts:
    """What the kernel says of a container's first process."""

    mounts: list[str]
    new_namespaces: list[str]
    status: dict[str, str]
    filters: list[bytes]
    cgroups: dict[str, str]
    limits: str
    environment: list[str]
    command: bytes
    directory: str
    oom_score: str


def facts_of(engine: Engine, pid: int) -> Facts:
    """All of it; numbers that the kernel hands out anew are left out."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    return Facts(
        mounts=_mounts(process),
        new_namespaces=[
            name
            for name in sorted(os.listdir(process / "ns"))
            if os.readlink(process / "ns" / name)
            != os.readlink(f"/proc/{engine.machine.pid}/ns/{name}")
        ],
        status={name: status[name].strip() for name in STATUS},
        filters=loaded_filters(pid),
        cgroups=_cgroup_files(process),
        limits=(process / "limits").read_text(),
        environment=sorted((process / "environ").read_text().split("\0")),
        command=(process / "cmdline").read_bytes(),
        directory=os.readlink(process / "cwd"),
        oom_score=(process / "oom_score_adj").read_text(),
    )


def _mounts(process: Path) -> list[str]:
    """mountinfo, with the place in it instead of each mount's number."""
    places: dict[str, str] = {}
    shown = []
    for at, line in enumerate((process / "mountinfo").read_text().splitlines()):
        number, parent, device, *rest = line.split(" ")
        places[number] = str(at)
        disk = device if not device.startswith("0:") else "0:*"
        peers = [re.sub(r"^(shared|master):\d+$", r"\1", each) for each in rest]
        shown.append(" ".join((str(at), places.get(parent, "outside"), disk, *peers)))
    return shown


def _cgroup_files(process: Path) -> dict[str, str]:
    """The name and content of each limit of each cgroup."""
    found = {}
    for line in (process / "cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        hierarchy = controllers.removeprefix("name=") or "unified"
        directory = Path("/sys/fs/cgroup", hierarchy) / path.lstrip("/")
        if not directory.exists():
            directory = Path("/sys/fs/cgroup") / path.lstrip("/")
        found[hierarchy] = path
        for file in sorted(directory.iterdir()):
            if file.is_file() and not COUNTERS.search(file.name):
                try:
                    found[f"{hierarchy}/{file.name}"] = file.read_text()
                except OSError:
                    continue  # It can only be written.
    return found


def test_the_script_makes_the_same_container(fresh_engine: Engine, tmp_path: Path) -> None:
    """Mounts, new namespaces, privileges, filter, cgroups and limits are equal, daemon or not."""
    engine, scripts, by_engine = fresh_engine, {}, {}
    for name, options in CONTAINERS.items():
        engine.docker_ok("run", "-d", "--name", name, *options, "busybox", "sleep", "3600")
        # The second start finds the layer that the first one marked, as the script will.
        engine.docker_ok("restart", "-t", "0", name)
        by_engine[name] = facts_of(engine, engine.container_pid(name))
        shown = engine.wherry("explain", "--format", "shell", name)
        assert shown.returncode == 0, shown.stderr
        scripts[name] = tmp_path / f"{name}.sh"
        scripts[name].write_text(shown.stdout)
        engine.docker_ok("kill", name)
    engine.docker_ok("wait", *CONTAINERS)
    assert "API_TOKEN=secret" not in scripts["published"].read_text()
    engine.stop()
    before = engine.settled_census()
    for name, script in scripts.items():
        with running(engine, script) as pid:
            by_hand = facts_of(engine, pid)
        assert not (found := differences(by_engine[name], by_hand)), "\n".join((name, *found))
    assert not engine.leaks_since(before), "the script takes back what it made"


def test_the_script_of_a_served_root(tmp_path: Path) -> None:
    """fuse-overlayfs is started by the script, and ends with it; nothing is left."""
    with engine_with("--storage-driver", "fuse-overlayfs") as engine:
        script = "echo made > /mark; exec sleep 3600"
        engine.docker_ok("run", "-d", "--name", "served", "busybox", "sh", "-c", script)
        shown = engine.wherry("explain", "--format", "shell", "served")
        (tmp_path / "script").write_text(shown.stdout)
        engine.docker_ok("kill", "served")
        engine.docker_ok("wait", "served")
        engine.stop()
        before = engine.settled_census()
        with running(engine, tmp_path / "script") as pid:
            root = Path(f"/proc/{pid}/root")
            assert (root / "mark").read_text() == "made\n"
            assert (root / "bin/busybox").exists()
            served = [line for line in _mounts(Path(f"/proc/{pid}")) if " / / " in line]
            assert "fuse-overlayfs" in served[0]
        assert not engine.leaks_since(before)


def differences(engines: Facts, scripts: Facts) -> list[str]:
    """What is not the same, line by line."""
    told = ["\n".join(f"{k}: {v}" for k, v in _flat(asdict(each))) for each in (engines, scripts)]
    return list(unified_diff(*(each.splitlines() for each in told), lineterm="", n=0))


def _flat(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from ((f"{name} {key}", each) for key, each in value.items())
        elif isinstance(value, list):
            yield from ((f"{name} {at}", each) for at, each in enumerate(value))
        else:
            yield name, value


@contextmanager
def running(engine: Engine, script: Path) -> Iterator[int]:
    """The pid of what a script started, while it runs."""
    before = set(engine.machine.processes())
    environment = ("API_TOKEN=secret",)
    ran = subprocess.Popen(
        engine.machine.command("env", *environment, "sh", str(script)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def first_process() -> int | None:
        if ran.poll() is not None:
            raise AssertionError(ran.communicate()[1])
        for pid in sorted(set(engine.machine.processes()) - before):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if command.endswith(b"sleep\x003600\x00"):
                return pid
        return None

    pid = 0
    try:
        pid = wait_until("the script's container runs", first_process, within_s=30) or 0
        yield pid
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
        else:
            ran.kill()
        ran.communicate(timeout=30)


def test_live_marks_what_was_changed_from_outside(engine: Engine) -> None:
    """A rule that was deleted is gone, a limit that was written is changed, the rest is true."""
    engine.docker_ok(
        "run", "-d", "--name", "watched", "-m", "64m", "-p", "8080:80", "busybox", "sleep", "3600"
    )
    assert _verdicts(engine, "watched") <= {"still true", "unknown"}
    inspected = engine.inspect("watched")
    inside, identifier = str(inspected["State"]["Pid"]), inspected["Id"]
    limit = f"/sys/fs/cgroup/memory/docker/{identifier}/memory.limit_in_bytes"
    for command in (
        ("nft", "delete element inet wherry-docker0 tcp-anywhere { 8080 }"),
        ("sh", "-c", f"echo 33554432 > {limit}"),
        ("nsenter", "--mount", "--target", inside, "umount", "/dev/shm"),
        ("nsenter", "--net", "--target", inside, "ip", "route", "del", "default"),
        ("prlimit", "--pid", inside, "--nofile=64:64"),
    ):
        ran = engine.machine.run(*command)
        assert ran.returncode == 0, (command, ran.stderr)
    found = {
        f"{line['kind']} {line['arguments'].get('destination', '')}".strip(): line["finding"]
        for line in _live(engine, "watched")
    }
    assert found["publish-ports"]["verdict"] == "gone"
    assert found["mount-filesystem /dev/shm"]["verdict"] == "gone"
    assert found["mount-filesystem /dev"]["verdict"] == "still true"
    assert found["add-default-route"] == {"verdict": "gone", "seen": "no default route"}
    limits = [
        (line["describe"], line["finding"]["verdict"])
        for line in _live(engine, "watched")
        if line["kind"] == "write-cgroup-file" and line["finding"]["verdict"] != "still true"
    ]
    assert limits == [("set memory.limit_in_bytes to 67108864", "changed from outside")]
    text = engine.wherry("explain", "--live", "watched").stdout
    assert "✘ changed from outside:" in text
    assert "✘ gone:" in text
    assert "✔" in text


def _live(engine: Engine, name: str) -> list[dict[str, Any]]:
    answer = engine.api("GET", f"/wherry/containers/{name}/explain?format=json&live=1")
    assert answer.status == 200, answer.body
    lines: list[dict[str, Any]] = answer.json
    return lines


def _verdicts(engine: Engine, name: str) -> set[str]:
    return {line["finding"]["verdict"] for line in _live(engine, name)}


def test_a_failed_start_is_told_up_to_the_step_that_failed(engine: Engine) -> None:
    """The failing step comes last, the ones before it are marked as undone; the error heads it."""
    ran = engine.wherry(
        "run", "--explain", "--name", "failing", "-w", "/etc/passwd", "busybox", "true"
    )
    assert ran.returncode != 0
    steps = [line for line in ran.stderr.splitlines() if re.match(r" +\d+  \+", line)]
    assert re.search("The last start failed: .*go to /etc/passwd: not a directory", ran.stderr)
    assert steps[-1].endswith("go to /etc/passwd  ✘ FAILED: not a directory")
    undone = [line for line in steps if line.endswith("(undone)")]
    assert any("make the cgroup" in line for line in undone)
    assert not [line for line in steps if "make the cgroup" in line and line not in undone]
    assert not any("execute" in line for line in steps)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("format=xml", "must be text, json or shell"),
        ("format=shell&live=1", "has no live findings"),
    ],
)
def test_forms_that_are_not_there(engine: Engine, query: str, words: str) -> None:
    """A form that is unknown, or that can't say what is asked, is refused by name."""
    container = engine.create("true")
    answer = engine.api("GET", f"/wherry/containers/{container}/explain?{query}")
    assert (answer.status, words in str(answer.json["message"])) == (400, True), answer.body
