"""Chapter 23 of the course: namespaces and cgroups made by hand beside ours.

What a teacher types in a root shell of the host must work next to the engine: a network namespace
of one's own on our bridge reaches the world, containers and the host, and a cgroup of one's own
limits what is in it.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.machine import HOST_ADDRESS
from support.waiting import wait_until

_WORLD = "1.0.0.1"
"""`ping 1.1` goes there (inet_aton(3))."""


class RootShell:
    """A shell that stays, as a terminal of a root user: what is typed, and what it shows."""

    def __init__(self, engine: Engine, *command: str) -> None:
        self._process = subprocess.Popen(
            engine.machine.command(*command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.code = 0
        # As wide as a screen; and a host without ping has busybox's.
        self.type("export COLUMNS=200")
        self.type('command -v ping > /dev/null || ping() { busybox ping "$@"; }')

    def type(self, line: str) -> str:
        """Run one line; its output. `code` is how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f'{line}\necho "<$?>"\n')
        seen = ""
        while not (found := re.search(r"<(\d+)>\n$", seen)):
            more = self._process.stdout.readline()
            assert more, f"the shell ended after {line!r}: {seen}"
            seen += more
        self.code = int(found[1])
        return seen[: found.start()]

    def ok(self, line: str) -> str:
        """The same, of a line that must succeed."""
        said = self.type(line)
        assert self.code == 0, f"{line}: {said}"
        return said

    def __enter__(self) -> "RootShell":
        return self

    def __exit__(self, *_error: object) -> None:
        """`exit`."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)


@pytest.fixture
def host(engine: Engine) -> Iterator[RootShell]:
    """A root shell on the engine's host."""
    with RootShell(engine, "bash") as shell:
        yield shell


@pytest.fixture
def world(fresh_engine: Engine) -> Engine:
    """An engine whose host has a neighbour that is the way to the world, and no way back: what
    comes with a container's address is never answered."""
    with RootShell(fresh_engine, "bash") as shell:
        for line in (
            "ip netns add world",
            "ip link set eth0-peer netns world",
            "ip -n world addr add 198.51.100.1/24 dev eth0-peer",
            f"ip -n world addr add {_WORLD}/32 dev lo",
            "ip -n world link set lo up",
            "ip -n world link set eth0-peer up",
        ):
            shell.ok(line)
    return fresh_engine


@pytest.mark.slide("23.27", "23.28", "23.29")
def test_a_uts_namespace(engine: Engine, host: RootShell) -> None:
    """A name of its own inside; the machine's and the containers' stay."""
    engine.docker_ok(
        "run", "-d", "--name", "named", "--hostname", "mine", "busybox", "sleep", "99"
    )
    before = host.ok("hostname")
    with RootShell(engine, "unshare", "--uts", "bash") as inside:
        assert inside.ok("hostname") == before
        inside.ok("hostname tupperware")
        assert inside.ok("hostname") == "tupperware\n"
    assert host.ok("hostname") == before
    assert engine.docker_ok("exec", "named", "hostname") == "mine"


@pytest.mark.slide("23.31", "23.32", "23.33", "23.34", "23.35", "23.36", "23.37", "23.38")
def test_a_network_namespace_on_our_bridge(world: Engine) -> None:
    """veth, bridge, address and default route by hand: the world answers, as to containers."""
    engine = world
    engine.docker_ok("run", "-d", "--name", "peer", "busybox", "sleep", "3600")
    peer = engine.inspect("peer")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    gateway = engine.inspect("peer")["NetworkSettings"]["Networks"]["bridge"]["Gateway"]
    with (
        RootShell(engine, "bash") as host,
        RootShell(engine, "unshare", "--net", "bash") as inside,
    ):
        assert "unreachable" in inside.type("ping -c 1 -W 1 1.1")
        links = inside.ok("ip link ls")
        assert re.search(r"1: lo: <LOOPBACK>.* state DOWN", links)
        assert "2:" not in links
        host.ok("ip link add name in_host type veth peer name in_netns")
        host.ok("ip link set in_host master docker0 up")
        host.ok(f"ip link set in_netns netns {inside.ok('echo $$').strip()}")
        inside.ok("ip link set lo up")
        inside.ok("ip link set in_netns name eth0 up")
        assert f"inet {gateway}/16" in host.ok("ip addr ls dev docker0")
        inside.ok("ip addr add 172.17.0.99/24 dev eth0")
        inside.ok(f"ip route add default via {gateway}")
        for place in ("1.1", gateway, HOST_ADDRESS, peer):
            inside.ok(f"ping -c 1 -W 5 {place}")
        assert engine.docker_ok("exec", "peer", "ping", "-c", "1", "-W", "5", "172.17.0.99")
        assert engine.docker_ok("exec", "peer", "ping", "-c", "1", "-W", "5", _WORLD)
        engine.docker_ok("run", "--rm", "busybox", "ping", "-c", "1", "-W", "5", "172.17.0.99")
    with RootShell(engine, "bash") as host:
        wait_until(
            "the pair has gone with its namespace",
            lambda: "in_host" not in host.ok("ip link ls"),
        )


@pytest.mark.slide("23.30", "23.39")
def test_the_ways_to_use_network_namespaces(engine: Engine, host: RootShell) -> None:
    """none: empty; host: the host's own; container: another one's, interfaces, routes and all."""
    run = ("run", "--rm", "--network")
    assert engine.docker_ok(*run, "none", "busybox", "ls", "/sys/class/net") == "lo"
    shown = engine.docker_ok(*run, "host", "busybox", "ip", "addr")
    assert f"inet {HOST_ADDRESS}/24" in shown
    assert "docker0" in shown
    engine.docker_ok("run", "-d", "--name", "owner", "busybox", "sleep", "3600")
    show = ("busybox", "sh", "-c", "ip addr; ip route; readlink /proc/self/ns/net")
    theirs = engine.docker_ok(*run, "container:owner", *show)
    assert theirs == engine.docker_ok("exec", "owner", *show[1:])
    pid = engine.inspect("owner")["State"]["Pid"]
    assert host.ok(f"readlink /proc/{pid}/ns/net").strip() == theirs.splitlines()[-1]


@pytest.mark.slide("23.40", "23.41")
def test_a_mount_namespace(engine: Engine, host: RootShell, tmp_path: Path) -> None:
    """A private /tmp is seen by nobody else, and goes by itself."""
    here = tmp_path / "seen-from-outside"
    here.touch()
    with RootShell(engine, "unshare", "--mount", "bash") as inside:
        inside.ok("mount -t tmpfs none /tmp")
        assert inside.ok("ls /tmp") == ""
        assert host.ok(f"ls {here}").strip() == str(here)
        engine.docker_ok("run", "--rm", "-v", f"{tmp_path}:/x", "busybox", "ls", f"/x/{here.name}")
    assert "none /tmp tmpfs" not in host.ok("cat /proc/mounts")


@pytest.mark.slide("23.42", "23.43", "23.44", "23.45")
def test_pid_namespaces(engine: Engine, host: RootShell) -> None:
    """With the host's /proc one sees all and reaches none; with its own, oneself alone."""
    engine.docker_ok("run", "-d", "--name", "visible", "busybox", "sleep", "3541")
    seen = host.ok("ps faux")
    assert "sleep 3541" in seen
    pid = engine.inspect("visible")["State"]["Pid"]
    with RootShell(engine, "unshare", "--pid", "--fork", "bash") as inside:
        assert inside.ok("echo $$") == "1\n"
        # ps of Debian 12 gives up where /proc has no entry for itself.
        assert "sleep 3541" in inside.ok("busybox ps -o args")
        assert "No such process" in inside.type(f"kill {pid}")
    with RootShell(engine, "unshare", "--pid", "--fork", "--mount-proc", "bash") as inside:
        processes = inside.ok("ps faux").splitlines()[1:]
        assert len(processes) == 2, processes
    # The first child is process 1 of the new namespace; after it there can be no other.
    said = host.type("unshare --pid bash -c '/bin/true; /bin/true; /bin/true' 2>&1")
    assert "Cannot allocate memory" in said
    assert engine.inspect("visible")["State"]["Running"]


@pytest.mark.slide("23.22", "23.24", "23.25")
def test_namespaces_are_files(engine: Engine, host: RootShell) -> None:
    """/proc/PID/ns tells who shares what: a container has its own of most, and joins by name."""
    assert "net -> " in host.ok("ls -l /proc/self/ns")
    engine.docker_ok("run", "-d", "--name", "apart", "busybox", "sleep", "3600")
    pid = engine.inspect("apart")["State"]["Pid"]
    for kind in ("mnt", "uts", "ipc", "net", "pid"):
        own = host.ok(f"readlink /proc/self/ns/{kind}")
        assert host.ok(f"readlink /proc/{pid}/ns/{kind}") != own
    entered = host.ok(f"nsenter --target {pid} --uts --net --mount --pid busybox hostname")
    assert entered.strip() == engine.inspect("apart")["Config"]["Hostname"]


@pytest.mark.slide("23.8", "23.9", "23.10", "23.13", "23.15")
def test_a_memory_cgroup(engine: Engine, host: RootShell) -> None:
    """One hundred megabytes: eighty are given, twenty more are the end; ours are not touched."""
    if "memory" not in host.ok("ls /sys/fs/cgroup"):
        pytest.skip("this host mounts cgroup v2")
    assert "total_rss" in host.ok("cat /sys/fs/cgroup/memory/memory.stat")
    engine.docker_ok("run", "-d", "--name", "beside", "-m", "64m", "busybox", "sleep", "3600")
    group = "/sys/fs/cgroup/memory/onehundredmegs"
    host.ok(f"CG={group}; mkdir $CG")
    try:
        # The kernel wants the limit of memory set before that of memory and swap.
        host.ok("tee $CG/memory.limit_in_bytes <<< 100000000")
        host.ok("[ ! -e $CG/memory.memsw.limit_in_bytes ]"
                " || tee $CG/memory.memsw.limit_in_bytes <<< 100000000")  # fmt: skip
        with RootShell(engine, "bash") as limited:
            limited.ok(f"tee {group}/tasks <<< $$")
            grow = "python3 -c 's = \"!\" * 1000000 * {}; print(len(s))'"
            assert limited.ok(grow.format(80)) == "80000000\n"
            limited.type(grow.format(100))
            assert limited.code == 137, "killed"
        assert engine.inspect("beside")["State"]["Running"]
        assert not engine.inspect("beside")["State"]["OOMKilled"]
    finally:
        wait_until("the cgroup is empty", lambda: host.type(f"rmdir {group}") == "")
