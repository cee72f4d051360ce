"""A message channel on the event loop: requests, their answers by serial number, notices."""

import asyncio
import errno
import os
import socket
from collections import deque
from collections.abc import Callable

from wherry.kit import messages
from wherry.kit.messages import Message
from wherry.kit.values import dataclass
from wherry.shim.protocol import BORN, Refused, request

_TOO_LARGE = (
    f"labels, environment and options make a message of more than {messages.LARGEST_MESSAGE} bytes"
)


class ChannelLost(Exception):
    """The other side has gone; what was asked of it may or may not have been done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and the descriptors that came with it; whoever takes it closes them."""

    results: Message
    descriptors: tuple[int, ...]


class Channel:
    """One connection to a spawner or a shim."""

    def __init__(
        self,
        connection: socket.socket,
        *,
        on_notice: Callable[[Message], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Takes the socket over; must be made inside the running loop."""
        connection.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._serial = BORN
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._unsent: deque[tuple[Message, tuple[int, ...]]] = deque()
        self._is_open = True
        self._loop.add_reader(connection.fileno(), self._on_readable)

    @property
    def is_open(self) -> bool:
        """Whether the other side was there when we last looked."""
        return self._is_open

    def expect_birth(self) -> "asyncio.Future[Answer]":
        """The answer with which a shim says by itself that it is there."""
        return self._expect(BORN)

    async def ask(self, verb: str, *descriptors: int, **operands: object) -> Answer:
        """Send a request and wait for its answer; the descriptors stay the caller's.

        Raises: Refused; ChannelLost.
        """
        self._serial += 1
        serial = self._serial
        future = self._expect(serial)
        try:
            self._send(request(serial, verb, **operands), descriptors)
            return await future
        finally:
            self._answers.pop(serial, None)

    def tell(self, verb: str, *descriptors: int, **operands: object) -> None:
        """Send a request whose answer nobody waits for. Raises: ChannelLost; Refused."""
        self._serial += 1
        self._send(request(self._serial, verb, **operands), descriptors)

    def close(self) -> None:
        """Let go of the connection, without a word to `on_lost`."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._connection.fileno())
            self._loop.remove_writer(self._connection.fileno())
            self._connection.close()
            self._fail_all()

    # -- sending -----------------------------------------------------------------------------

    def _expect(self, serial: int) -> "asyncio.Future[Answer]":
        future: asyncio.Future[Answer] = self._loop.create_future()
        if not self._is_open:
            raise ChannelLost
        self._answers[serial] = future
        return future

    def _send(self, message: Message, descriptors: tuple[int, ...]) -> None:
        """Raises: ChannelLost; Refused for more than fits in a message."""
        if not self._is_open:
            raise ChannelLost
        if not self._unsent:
            try:
                messages.send(self._connection, message, descriptors)
                return
            except BlockingIOError:
                self._loop.add_writer(self._connection.fileno(), self._on_writable)
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    raise Refused("step", _TOO_LARGE) from error
                raise ChannelLost(str(error)) from error
        self._unsent.append((message, tuple(os.dup(each) for each in descriptors)))

    def _on_writable(self) -> None:
        while self._unsent:
            message, descriptors = self._unsent[0]
            try:
                messages.send(self._connection, message, descriptors)
            except BlockingIOError:
                return
            except OSError:
                break
            self._unsent.popleft()
            _close_all(descriptors)
        self._loop.remove_writer(self._connection.fileno())

    # -- receiving ---------------------------------------------------------------------------

    def _on_readable(self) -> None:
        while self._is_open:
            try:
                received = messages.receive(self._connection)
            except BlockingIOError:
                return
            except (OSError, ValueError, messages.UnknownVersion):
                received = None
            if received is None:
                self.close()
                self._on_lost()
                return
            self._take(*received)

    def _take(self, message: Message, descriptors: list[int]) -> None:
        if "notice" in message:
            _close_all(descriptors)
            self._on_notice(message)
            return
        future = self._answers.pop(message["serial"], None)
        if future is None or future.done():
            _close_all(descriptors)
        elif "failure" in message:
            _close_all(descriptors)
            future.set_exception(Refused.from_message(message["failure"]))
        else:
            future.set_result(Answer(message, tuple(descriptors)))

    def _fail_all(self) -> None:
        waiting, self._answers = self._answers, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ChannelLost())
                # Nobody may be waiting any more; that is no news for the log.
                future.exception()
        for _message, descriptors in self._unsent:
            _close_all(descriptors)
        self._unsent.clear()


def _close_all(descriptors: "list[int] | tuple[int, ...]") -> None:
    for each in descriptors:
        os.close(each)
