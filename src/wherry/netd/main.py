"""The process: a control socket, reservations, resolvers, and when to end.

It ends when told to; when its directory or its socket's name is gone, since then nobody can
reach it any more; and when it has held nothing and had no client for a while. It never ends
because wherryd did.
"""

import contextlib
import os
import resource
import socket
import time

from wherry.kit import messages
from wherry.kit.event_loop import READ, EventLoop
from wherry.linux.sockets import bind_at
from wherry.netd import protocol
from wherry.netd.name_services import NameServices
from wherry.netd.reservations import Reservations

_TICK_S = 2.0
IDLE_S = 30.0
_OOM_SCORE_ADJUST = "-500"


class Netd:
    """The control socket of one engine's netd."""

    def __init__(self, exec_root: str) -> None:
        self._path = os.path.join(exec_root, protocol.SOCKET_NAME)
        self._loop = EventLoop()
        self._reservations = Reservations(self._loop)
        self._services = NameServices(self._loop)
        self._clients: set[socket.socket] = set()
        self._listener = _listen(exec_root)
        self._inode = os.stat(self._path).st_ino
        self._is_ending = False
        self._idle_since = time.monotonic()

    def run(self) -> None:
        """Serve until the end."""
        self._loop.watch(self._listener, READ, self._accept)
        self._consider_ending()
        while not self._is_ending:
            self._loop.wait(_TICK_S)
        self._give_up_name()

    def _give_up_name(self) -> None:
        if self._owns_its_name():
            os.unlink(self._path)

    def _consider_ending(self) -> None:
        """Now and then, not after each question: a look-up would pay for the look at the disk."""
        self._loop.call_later(_TICK_S, self._consider_ending)
        now = time.monotonic()
        if self._clients or len(self._reservations) or len(self._services):
            self._idle_since = now
        if now - self._idle_since > IDLE_S or not self._owns_its_name():
            self._is_ending = True

    def _owns_its_name(self) -> bool:
        try:
            return os.stat(self._path).st_ino == self._inode
        except OSError:
            return False

    def _accept(self, _events: int) -> None:
        with contextlib.suppress(OSError):
            client, _address = self._listener.accept()
            messages.make_room(client)
            self._clients.add(client)
            self._loop.watch(client, READ, lambda _events: self._serve(client))

    def _serve(self, client: socket.socket) -> None:
        try:
            received = messages.receive(client)
            if received is None:
                raise ConnectionResetError
            request, descriptors = received
            messages.send(client, self._answer(request, descriptors))
        except (OSError, ValueError, messages.UnknownVersion):
            self._loop.forget(client)
            self._clients.discard(client)
            client.close()

    def _answer(self, request: messages.Message, descriptors: list[int]) -> messages.Message:
        if request.get("request") == protocol.RESOLVE:
            service = protocol.name_service_of(request)
            self._services.set(str(request["owner"]), service, descriptors)
            return {}
        for descriptor in descriptors:
            os.close(descriptor)
        match request.get("request"):
            case protocol.RESERVE:
                return self._reserve(request)
            case protocol.RELEASE:
                self._reservations.release(str(request["owner"]))
                return {}
            case protocol.LIST:
                return protocol.owners_message(
                    self._reservations.owners(), self._services.owners()
                )
            case protocol.FORGET:
                self._services.forget(str(request["owner"]))
                return {}
            case protocol.END:
                self._is_ending = True
                self._give_up_name()  # before the answer: who reads that may tidy up at once
                return {}
            case unknown:
                raise ValueError(f"unknown request {unknown!r}")

    def _reserve(self, request: messages.Message) -> messages.Message:
        wishes = protocol.wishes_of(request)
        try:
            ports = self._reservations.reserve(
                str(request["owner"]),
                str(request["target"]),
                wishes,
                relays_all=bool(request.get("relays")),
            )
        except protocol.PortTaken as taken:
            return protocol.taken_message(taken)
        except OSError as error:
            return protocol.failed_message(error)
        return {"ports": ports}


def main(exec_root: str) -> None:
    """Become netd: returns in the caller's process once the socket answers, serves in a child."""
    netd = Netd(exec_root)
    if os.fork():
        return
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    _prepare_limits()
    try:
        netd.run()
    finally:
        os._exit(0)


def _listen(exec_root: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    directory = os.open(exec_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(protocol.SOCKET_NAME, dir_fd=directory)
        bind_at(listener, directory, protocol.SOCKET_NAME)
        listener.listen()
    finally:
        os.close(directory)
    return listener


def _prepare_limits() -> None:
    """As many descriptors as allowed, and not the first to go when memory runs out."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(_OOM_SCORE_ADJUST)
