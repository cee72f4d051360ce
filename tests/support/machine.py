"""A private machine: namespaces and cgroups in which an engine has everything to itself.

An engine changes what a machine has only one of: its links, its packet filter, its ports, its
cgroups. Tests that ran on the machine at large could neither tell their own leaks from other
programs' work nor clean up after a crash. So each engine under test lives in mount, network,
pid, uts, ipc and cgroup namespaces of its own:

    pytest --spawns--> setpriv --pdeathsig --> unshare --kill-child --> tini (pid 1 inside)

When pytest ends, however it ends, the kernel kills `unshare`, that kills pid 1, that ends every
process inside (pid_namespaces(7)), and with the last of them go the mounts and links. Only the
cgroup directories stay, which `close` removes.

Inside, docker0 is a free name, every port is free, and `eth0` has an address and a default
route, as a host has. Nobody is at its other end, so the host's name servers are unreachable, which
is known at once instead of after seconds of silence. The file system is the machine's own, so
that a Unix socket made inside is reached from outside.
"""

import contextlib
import ctypes
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

HOST_ADDRESS = "198.51.100.2"
"""The address of `eth0` inside (TEST-NET-2, RFC 5737): what a neighbour would connect to."""
_GATEWAY = "198.51.100.1"
_CLONE_NEWNET = 0x40000000
_PREFIX = "wherry-test-"

# Runs as the shell that becomes pid 1. /sys must show the new network namespace (engines read
# /sys/class/net), and the cgroup mounts must show the new cgroup namespace's root, so both are
# mounted afresh; a lazy unmount of the old ones keeps mountinfo free of shadowed entries.
_PRELUDE = """
set -e
mount -t proc -o nosuid,nodev,noexec proc /proc
umount -R -l /sys
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
if [ -n "$WHERRY_V1" ]; then
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    for hierarchy in $WHERRY_V1; do
        mkdir /sys/fs/cgroup/$hierarchy
        case $hierarchy in
        unified) mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified ;;
        systemd) mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd ;;
        *) mount -t cgroup -o $hierarchy cgroup /sys/fs/cgroup/$hierarchy ;;
        esac
    done
else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    echo $$ > /sys/fs/cgroup/machine/cgroup.procs
fi
if [ -e /sys/module/apparmor ]; then
    mount -t securityfs securityfs /sys/kernel/security
fi
ip link set lo up
ip link add eth0 type veth peer name eth0-peer
ip addr add $WHERRY_ADDRESS/24 dev eth0
ip link set eth0 up
ip link set eth0-peer up
ip route add default via $WHERRY_GATEWAY
for server in $(sed -n 's/^nameserver \\([0-9.]*\\)$/\\1/p' /etc/resolv.conf); do
    ip route replace unreachable $server
done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns
mount -t tmpfs tmpfs /run/netns
mount --make-shared /run/netns
hostname wherry-test
echo ready
exec 1>/dev/null
exec tini -- sleep infinity
"""


class PrivateMachine:
    """A holder process of namespaces, and ways to act inside them. Needs root."""

    def __init__(self) -> None:
        _remove_stale_cgroups()
        self.name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self._cgroups = _make_cgroups(self.name)
        self._holder = self._start_holder()
        self.pid = _child_of(self._holder.pid)
        """Of pid 1 inside, as seen from outside."""
        self.inherited_mounts = frozenset(mounts_of(self.pid))
        """The numbers of what was mounted from the beginning; a place may be renamed."""
        self._namespaces = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _start_holder(self) -> subprocess.Popen[str]:
        unshare = (
            "exec unshare --mount --net --pid --uts --ipc --cgroup --fork --kill-child"
            ' --propagation private sh -c "$WHERRY_PRELUDE"'
        )
        v1 = " ".join(path.parent.name for path in self._cgroups)
        environment = {
            **os.environ,
            "WHERRY_PRELUDE": _PRELUDE,
            "WHERRY_V1": v1 if v1 != "cgroup" else "",
            "WHERRY_ADDRESS": HOST_ADDRESS,
            "WHERRY_GATEWAY": _GATEWAY,
        }
        # The namespace's root is the cgroup that its maker is in.
        join = _lines_that_join(self._cgroups)
        holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "sh", "-c", f"{join}{unshare}"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            holder.kill()
            _out, words = holder.communicate()
            _remove_cgroups(self._cgroups)
            raise RuntimeError(f"the private machine did not come up: {words}")
        for leaf in self._leaves():
            (leaf / "cgroup.procs").write_text(str(holder.pid))
        return holder

    def _leaves(self) -> list[Path]:
        """Where the machine's own processes are.

        A version 2 cgroup that passes controllers on holds no process itself (cgroups(7), "no
        internal processes"), so they have one below the namespace's root.
        """
        return [path / "machine" if _is_unified(path) else path for path in self._cgroups]

    def command(self, *arguments: str, cwd: str | None = None) -> list[str]:
        """A command line that runs a program inside."""
        where = f" --wd={shlex.quote(cwd)}" if cwd else ""
        enter = f"exec nsenter -t {self.pid} -m -n -p -u -i -C{where} -- "
        join = _lines_that_join(self._leaves())
        return ["sh", "-c", f"{join}{enter}{shlex.join(arguments)}"]

    def run(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end; both streams are returned as text."""
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def in_network(self, call: Callable[[], T]) -> T:
        """Call a function in a thread that is in the machine's network namespace.

        A socket belongs for ever to the namespace of the thread that made it (setns(2)).
        """
        return call_in_namespace(self._namespaces, call)

    def connect(
        self, host: str, port: int, *, timeout_s: float = 5, udp: bool = False
    ) -> socket.socket:
        """A socket connected from inside the machine. Raises: OSError."""

        def dial() -> socket.socket:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            made = socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
            made.settimeout(timeout_s)
            try:
                made.connect((host, port))
            except OSError:
                made.close()
                raise
            return made

        return self.in_network(dial)

    def listen(self, host: str, port: int) -> socket.socket:
        """A TCP socket that listens inside the machine. Raises: OSError."""

        def bind() -> socket.socket:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                made.bind((host, port))
                made.listen(16)
            except OSError:
                made.close()
                raise
            return made

        return self.in_network(bind)

    def outside_pid(self, pid: int) -> int:
        """The pid outside of a process that has this pid inside. Raises: ProcessLookupError."""
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                status = Path(entry.path, "status").read_text()
                levels = next(x for x in status.splitlines() if x.startswith("NSpid:")).split()[1:]
                if len(levels) > 1 and int(levels[1]) == pid and self.holds_process(entry.name):
                    return int(entry.name)
        raise ProcessLookupError(pid)

    def holds_process(self, pid: int | str) -> bool:
        """Whether a process, by its pid outside, lives in this machine."""
        with contextlib.suppress(OSError):
            groups = Path(f"/proc/{pid}/cgroup").read_text()
            return f"/{self.name}" in groups
        return False

    def processes(self) -> list[int]:
        """Pids, as seen outside, of all processes inside except pid 1 and its sleep."""
        found = [
            int(name)
            for name in os.listdir("/proc")
            if name.isdigit() and self.holds_process(name)
        ]
        own = {self._holder.pid, self.pid, *_children_of(self.pid, named="sleep")}
        return [pid for pid in found if pid not in own]

    @property
    def cgroups(self) -> Sequence[Path]:
        """This machine's cgroup of each hierarchy, as seen from outside."""
        return self._cgroups

    def close(self) -> None:
        """End everything inside and remove what it leaves."""
        os.close(self._namespaces)
        _thaw(self._cgroups)
        # Killing pid 1, not only unshare: then the wait below is also for all processes inside.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._holder.communicate()
        _remove_cgroups(self._cgroups)


def mounts_of(pid: int) -> dict[int, str]:
    """Type and place of every mount that a process sees, by its number (proc(5))."""
    found = {}
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        words = left.split()
        found[int(words[0])] = f"{right.split()[0]} on {words[4]}"
    return found


def call_in_namespace(namespace: int, call: Callable[[], T]) -> T:
    """Call a function in a thread that is in a network namespace, given by its descriptor."""
    results: list[T] = []
    problems: list[BaseException] = []

    def enter_and_call() -> None:
        try:
            library = ctypes.CDLL(None, use_errno=True)
            if library.setns(namespace, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            results.append(call())
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=enter_and_call)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return results[0]


def _hierarchies() -> list[Path]:
    """The root of each mounted cgroup hierarchy; one for pure v2."""
    roots = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] in ("cgroup", "cgroup2"):
            roots.append(Path(left.split()[4]))
    return roots


def _is_unified(path: Path) -> bool:
    """Whether a machine's cgroup is of a tree that is version 2 alone."""
    return path.parent.name == "cgroup"


def _lines_that_join(cgroups: Sequence[Path]) -> str:
    """Shell lines that move the shell into cgroups."""
    return "set -e\n" + "".join(f"echo $$ > {path}/cgroup.procs\n" for path in cgroups)


def _make_cgroups(name: str) -> list[Path]:
    made = []
    for root in _hierarchies():
        path = root / name
        path.mkdir()
        made.append(path)
        if _is_unified(path):
            (path / "machine").mkdir()
            continue
        # A v1 cpuset takes no process before it has processors and memory (cpuset(7)).
        for setting in ("cpuset.cpus", "cpuset.mems"):
            inherited = root / setting
            if inherited.exists():
                (path / setting).write_text(inherited.read_text())
    return made


def _remove_stale_cgroups() -> None:
    """Remove what test runs left that were killed; the name says whose it was."""
    for root in _hierarchies():
        for path in root.glob(f"{_PREFIX}*"):
            owner = path.name.removeprefix(_PREFIX).partition("-")[0]
            if not Path("/proc", owner).exists():
                with contextlib.suppress(OSError):
                    _remove_cgroups([path])


def _thaw(cgroups: Sequence[Path]) -> None:
    """Let paused processes go on: what is frozen by version 1 of cgroups can't be killed."""
    for top in cgroups:
        for state in top.rglob("freezer.state"):
            with contextlib.suppress(OSError):  # of the machine's own, there is none to write
                state.write_text("THAWED")


def _remove_cgroups(cgroups: Sequence[Path]) -> None:
    for top in cgroups:
        for directory, _names, _files in os.walk(top, topdown=False):
            _remove_cgroup(directory)


def _remove_cgroup(directory: str) -> None:
    """rmdir, waiting for the kernel to forget processes that were killed just now."""
    deadline = time.monotonic() + 5
    while True:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            threading.Event().wait(0.01)
        else:
            return


def _child_of(pid: int) -> int:
    children = _children_of(pid)
    if len(children) != 1:
        raise RuntimeError(f"expected one child of {pid}, found {children}")
    return children[0]


def _children_of(pid: int, *, named: str | None = None) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    children = [int(each) for each in text.split()]
    if named is None:
        return children
    return [each for each in children if Path(f"/proc/{each}/comm").read_text() == f"{named}\n"]


def is_possible() -> str | None:
    """Why no private machine can be made here, or None when it can."""
    if os.geteuid() != 0:
        return "not root"
    for program in ("unshare", "nsenter", "setpriv", "tini", "ip"):
        if shutil.which(program) is None:
            return f"no {program} here: run make setup"
    return None
