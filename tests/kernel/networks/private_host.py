"""A host for networking tests: namespaces of its own, a LAN with a neighbour, and `Networks`.

    outside/neighbour 203.0.113.2 ---- lan 203.0.113.1 [ the host ] bridge ---- containers

A scenario is a coroutine that runs in a forked process inside these namespaces. What is served
and asked inside containers runs in further forks; all end with the scenario.
"""

import asyncio
import contextlib
import ctypes
import errno
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import pytest

from support.fake_clock import FakeClock
from wherry.kit.aio import OffloadPool
from wherry.linux.id_maps import IdMap
from wherry.linux.process import CLONE_NEWNET, setns
from wherry.model.containers import NetworkSpec
from wherry.model.ids import ContainerId
from wherry.networks import (
    MIGRATIONS,
    AttachRequest,
    NetdKeeper,
    Networks,
    NetworkSettings,
    NetworkTable,
    Sandbox,
)
from wherry.programs import netd as netd_program
from wherry.shim import jobs
from wherry.store import Database

P = ParamSpec("P")
T = TypeVar("T")

LAN = "203.0.113.1"
NEIGHBOUR = "203.0.113.2"
TIMEOUT_S = 1.5

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x20000
_MS_REC_PRIVATE = 0x4000 | (1 << 18)


# -- processes -------------------------------------------------------------------------------


def in_child(call: Callable[[], T]) -> T:
    """The result of a call in a forked process; its failure is this one's."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            answer: tuple[bool, object] = (True, call())
        except BaseException as error:
            try:
                pickle.dumps(error)
                answer = (False, error)
            except Exception:
                answer = (False, AssertionError(traceback.format_exc()))
        with open(writing, "wb") as file:
            pickle.dump(answer, file)
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        content = file.read()
    os.waitpid(pid, 0)
    succeeded, value = pickle.loads(content)
    if not succeeded:
        raise value
    return value  # type: ignore[no-any-return]


def run(scenario: Callable[["PrivateHost"], Awaitable[None]]) -> None:
    """Run a scenario on a private host; an assertion that fails there fails the test."""

    # Made and removed outside, where what the scenario mounts is not seen.
    directory = tempfile.mkdtemp(prefix="wherry-networks-")

    def on_the_host() -> str:
        _unshare(CLONE_NEWNET | _CLONE_NEWNS)
        _libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None)
        try:
            asyncio.run(_run(scenario, directory))
        except BaseException:
            return traceback.format_exc()
        return ""

    problem = in_child(on_the_host)
    shutil.rmtree(directory)
    if problem:
        pytest.fail(problem, pytrace=False)


async def _run(scenario: Callable[["PrivateHost"], Awaitable[None]], directory: str) -> None:
    with PrivateHost(directory) as host:
        await scenario(host)


def shell(commands: str) -> str:
    """Run shell commands here; they must succeed."""
    done = subprocess.run(
        ["sh", "-ec", commands], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, f"{commands}: {done.stderr}"
    return done.stdout


def _unshare(flags: int) -> None:
    assert _libc.unshare(flags) == 0, os.strerror(ctypes.get_errno())


def enter(namespace: str) -> None:
    """Move this process into a network namespace by its file."""
    descriptor = os.open(namespace, os.O_RDONLY)
    setns(descriptor, CLONE_NEWNET)
    os.close(descriptor)


def netd_pid(exec_root: str) -> int:
    """The netd process that serves an exec-root."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
            if exec_root.encode() in file.read().split(b"\0"):
                return int(name)
    raise AssertionError(f"no netd for {exec_root}")


class Killed(BaseException):
    """What a daemon says that is no more."""


class MortalPool(OffloadPool):
    """A pool of a daemon that dies after so many more calls; None: it lives.

    With `fails_once` it lives, and only that call fails.
    """

    steps: int | None = None
    fails_once = False

    async def __call__(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call, unless the daemon has died."""
        if self.steps is not None:
            if self.steps <= 0 and self.fails_once:
                self.steps = None
                raise OSError(errno.EIO, "Input/output error")
            if self.steps <= 0:
                raise Killed
            self.steps -= 1
        return await super().__call__(call, *args, **kwargs)


# -- the host --------------------------------------------------------------------------------


class PrivateHost:
    """The machine that a scenario runs on."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.offload = OffloadPool(4)
        self._children: list[int] = []
        self._engines: list[Networks] = []
        self.neighbour = self.namespace()

    def __enter__(self) -> "PrivateHost":
        shell(
            f"""
            ip link set lo up
            ip link add lan type veth peer name lan netns {self._children[0]}
            ip address add {LAN}/24 dev lan; ip link set lan up
            nsenter -t {self._children[0]} -n ip address add {NEIGHBOUR}/24 dev lan
            nsenter -t {self._children[0]} -n ip link set lan up
            nsenter -t {self._children[0]} -n ip link set lo up
            """
        )
        return self

    def __exit__(self, *_unused: object) -> None:
        with contextlib.suppress(OSError):
            NetdKeeper(exec_root=self.exec_root, command=()).end()
        self.offload.close()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    @property
    def exec_root(self) -> str:
        """The engine's; short of nothing but depth."""
        path = os.path.join(self.directory, "x" * 90)  # longer than sun_path with what follows
        os.makedirs(path, exist_ok=True)
        return path

    def namespace(self) -> str:
        """A network namespace held by a child; the path of its file."""
        pid = self.fork(lambda: _unshare(CLONE_NEWNET))
        return f"/proc/{pid}/ns/net"

    def fork(self, prepare: Callable[[], None]) -> int:
        """A child that has prepared itself and now waits to be killed."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                prepare()
                os.write(writing, b"ready")
                while True:
                    signal.pause()
            except BaseException:
                os.write(writing, traceback.format_exc().encode())
            os._exit(1)
        os.close(writing)
        said = os.read(reading, 1 << 16)
        os.close(reading)
        self._children.append(pid)
        assert said == b"ready", said.decode()
        return pid

    def end(self, pid: int) -> None:
        """End a child."""
        self._children.remove(pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def networks(
        self, *, bridge: str = "", bip: str = "", engine_id: str = "E1", **settings: Any
    ) -> Networks:
        """An engine's networks, with a netd of its own; not open yet."""
        return Networks(
            exec_root=self.exec_root,
            settings=NetworkSettings(bridge=bridge, bip=bip, **settings),
            jobs=ForkedJobs(),
            keeper=self.keeper(),
            table=NetworkTable(Database(f"{self.directory}/networks.db", MIGRATIONS)),
            offload=self.offload,
            clock=FakeClock(),
            engine_id=engine_id,
        )

    def keeper(self) -> NetdKeeper:
        """A client of the engine's netd, which it starts."""
        command = (sys.executable, "-I", "-S", netd_program.__file__)
        return NetdKeeper(exec_root=self.exec_root, command=command)

    def request(
        self,
        container_id: str,
        network: NetworkSpec | None = None,
        *,
        joined: Sandbox | None = None,
    ) -> AttachRequest:
        """A container that is about to start."""
        directory = os.path.join(self.directory, f"files-{container_id}")
        os.makedirs(directory, exist_ok=True)
        return AttachRequest(
            container_id=ContainerId(container_id),
            container_name=f"name-of-{container_id}",
            hostname=f"host-{container_id}",
            network=network or NetworkSpec(),
            files_directory=directory,
            joined=joined,
        )

    # -- traffic -----------------------------------------------------------------------------

    def serve(self, namespace: str, port: int, name: str, *, protocol: str = "tcp") -> int:
        """Answer with a name and the client's address in a namespace; the server's pid."""

        def prepare() -> None:
            if namespace:
                enter(namespace)
            kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
            listener = socket.socket(socket.AF_INET, kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("0.0.0.0", port))
            if protocol == "tcp":
                listener.listen(64)
            if os.fork() == 0:
                _answer_for_ever(listener, name, protocol)

        return self.fork(prepare)

    def ask(
        self, address: str, port: int, *, namespace: str = "", protocol: str = "tcp"
    ) -> tuple[str, str] | None:
        """Who answers at an address, and from which address it saw us; None: nobody."""

        def asking() -> tuple[str, str] | None:
            if namespace:
                enter(namespace)
            return _ask(address, port, protocol)

        return in_child(asking)

    def asks(self, *questions: tuple[str, int, str]) -> list[tuple[str, str] | None]:
        """Several at once, so that those that nobody answers wait their time out together.

        Each is an address, a port, and the namespace of whoever asks.
        """
        with ThreadPoolExecutor(len(questions)) as asking:
            return list(asking.map(lambda each: self.ask(*each[:2], namespace=each[2]), questions))

    def inside(self, namespace: str, commands: str) -> str:
        """Shell commands inside a namespace."""
        return shell(f"nsenter --net={namespace} sh -ec '{commands}'")


def _answer_for_ever(listener: socket.socket, name: str, protocol: str) -> None:
    parent = os.getppid()
    listener.settimeout(0.5)
    while os.getppid() == parent:
        with contextlib.suppress(OSError):
            if protocol == "udp":
                datagram, client = listener.recvfrom(65536)
                listener.sendto(f"{name} {client[0]} {len(datagram)}".encode(), client)
                continue
            connection, client = listener.accept()
            with connection:
                connection.settimeout(5)
                received = 0
                while part := connection.recv(1 << 16):
                    received += len(part)
                connection.sendall(f"{name} {client[0]} {received}".encode())
    os._exit(0)


def _ask(address: str, port: int, protocol: str) -> tuple[str, str] | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as client:
        client.settimeout(TIMEOUT_S if protocol == "tcp" else 1.0)
        try:
            client.connect((address, port))
            client.sendall(b"hello")
            if protocol == "tcp":
                client.shutdown(socket.SHUT_WR)
            answer = client.recv(1 << 16).decode()
        except OSError:
            return None
    name, _, rest = answer.partition(" ")
    return (name, rest.split()[0]) if name else None


class ForkedJobs:
    """What the spawner does: namespaces, made by a forked child that ends right away."""

    async def make_network_namespace(
        self, path: str, id_maps: tuple[IdMap, IdMap]
    ) -> tuple[int, list[dict[str, object]]]:
        """As the protocol says."""
        message = {"path": path, "users": id_maps[0], "groups": id_maps[1]}
        return _job(lambda: jobs.make_network_namespace(message), "entries")

    async def open_netlink(self, path: str) -> int:
        """As the protocol says."""
        return _job(lambda: jobs.open_netlink({"path": path}), "")[0]

    async def open_resolver_sockets(
        self, path: str
    ) -> tuple[tuple[int, ...], list[dict[str, object]]]:
        """As the protocol says."""
        ours, theirs = socket.socketpair()
        with ours, theirs:

            def working() -> object:
                answer, sent = jobs.resolver_sockets({"path": path})
                socket.send_fds(theirs, [b"!"], sent)
                return answer["entries"]

            entries = in_child(working)
            _data, descriptors, _flags, _address = socket.recv_fds(ours, 1, 2)
        return tuple(descriptors), entries  # type: ignore[return-value]

    async def set_sysctl(
        self, path: str, name: str, value: str, *, why: str
    ) -> list[dict[str, object]]:
        """As the protocol says."""
        message = {"path": path, "name": name, "value": value, "why": why}
        return in_child(lambda: jobs.set_sysctl(message)[0]["entries"])


def _job(
    call: Callable[[], tuple[dict[str, object], tuple[int, ...]]], key: str
) -> tuple[int, object]:
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def working() -> object:
            answer, sent = call()
            socket.send_fds(theirs, [b"!"], sent)
            return answer.get(key)

        entries = in_child(working)
        _data, descriptors, _flags, _address = socket.recv_fds(ours, 1, 1)
        return descriptors[0], entries
