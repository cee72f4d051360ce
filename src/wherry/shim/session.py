"""One process with its streams: the container's init, or a command that joined it.

A session is made before its process, so that a client can be attached first and miss nothing.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from wherry.kit.event_loop import EDGE, READ, EventLoop
from wherry.kit.messages import Message
from wherry.linux.terminals import set_window_size
from wherry.logs.json_lines import STDERR, STDOUT
from wherry.shim.clients import Client
from wherry.shim.protocol import Ending
from wherry.shim.stdin import Stdin

_READ_SIZE = 64 * 1024


class OutputSink(Protocol):
    """Where output goes first: the log."""

    def write(self, stream: int, data: bytes, at_ns: int) -> None:
        """Take what was read."""
        ...


class Session:
    """The streams of one process, and the clients attached to them."""

    def __init__(
        self,
        loop: EventLoop,
        *,
        name: str,
        sink: OutputSink | None,
        closes_stdin_after_first: bool,
        on_idle: Callable[[], None],
    ) -> None:
        """Clients of a session with a sink may be cut when they stall; others are waited for.

        `on_idle` is called when a client has gone.
        """
        self.name = name
        self.has_terminal = False
        self.pid = 0
        self.is_alive = False
        """From `begin` until its process was reaped."""
        self.ending: Ending | None = None
        self.clients: list[Client] = []
        self._loop = loop
        self._sink = sink
        self._closes_stdin_after_first = closes_stdin_after_first
        self._on_idle = on_idle
        self._outputs: dict[int, int] = {}
        self._console = -1
        self._stdin: Stdin | None = None
        self._is_paused = False
        self._input_is_paused = False
        self._is_hung_up = False
        self._has_ended = False
        self._pending_size: tuple[int, int] | None = None

    # -- wiring ------------------------------------------------------------------------------

    @contextmanager
    def given(
        self, *, terminal: bool, opens_stdin: bool, outputs: frozenset[int]
    ) -> Iterator[tuple[int, int, int] | None]:
        """The process's 0, 1 and 2, closed with the block; None where it makes a terminal.

        A stream that nobody can read or write is /dev/null. Raises: OSError.
        """
        if terminal:
            self._use_terminal()
            yield None
            return
        with ExitStack() as theirs:

            def end(descriptor: int) -> int:
                theirs.callback(os.close, descriptor)
                return descriptor

            yield (
                end(self._stdin_end(opens_stdin)),
                end(self._output_end(STDOUT, outputs)),
                end(self._output_end(STDERR, outputs)),
            )

    def _stdin_end(self, is_open: bool) -> int:
        if not is_open:
            return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        their, ours = os.pipe()
        self._stdin = Stdin(self._loop, ours, self._pause_input)
        return their

    def _output_end(self, stream: int, outputs: frozenset[int]) -> int:
        if stream not in outputs:
            return os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        ours, their = os.pipe()
        self._outputs[ours] = stream
        return their

    def take_console(self, master: int, *, opens_stdin: bool) -> None:
        """Use a terminal's master for all three streams; the descriptor is ours now."""
        self._console = master
        self._outputs[master] = STDOUT
        if opens_stdin:
            self._stdin = Stdin(self._loop, os.dup(master), self._pause_input)
        if self._pending_size is not None:
            self.resize(*self._pending_size)

    def hand_over(self, descriptors: list[int]) -> Message:
        """What another process needs to go on with the streams; adds their descriptors.

        Preconditions: `is_quiet`.
        """
        outputs = [(number, stream) for number, stream in self._outputs.items()]
        descriptors += [number for number, _stream in outputs]
        if self._stdin is not None and self._stdin.is_open:
            descriptors.append(self._stdin.descriptor)
        return {
            "has_terminal": self.has_terminal,
            "streams": [stream for _number, stream in outputs],
            "has_stdin": self._stdin is not None and self._stdin.is_open,
        }

    def take_over(self, state: Message, descriptors: list[int]) -> None:
        """Go on with the streams that `hand_over` described; takes its descriptors."""
        self.has_terminal = state["has_terminal"]
        for stream in state["streams"]:
            self._outputs[descriptors.pop(0)] = stream
        if self.has_terminal and self._outputs:
            (self._console,) = self._outputs
        if state["has_stdin"]:
            self._stdin = Stdin(self._loop, descriptors.pop(0), self._pause_input)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way but what the kernel holds in pipes."""
        return not self.clients and not self._input_is_paused and not self._is_hung_up

    def begin(self) -> None:
        """Read what the process writes."""
        self.is_alive = True
        for descriptor in self._outputs:
            os.set_blocking(descriptor, False)
            self._loop.watch(descriptor, READ, self._reader(descriptor))

    def abandon(self) -> None:
        """The process could not be made: close the streams and end the clients."""
        self._close_streams()
        self._end_clients()

    def _use_terminal(self) -> None:
        """Its process will have a terminal: clients get its output as it is."""
        self.has_terminal = True
        for client in self.clients:
            client.is_framed = False

    # -- clients -----------------------------------------------------------------------------

    def attach(self, stream: int, *, stdin: bool, stdout: bool, stderr: bool) -> None:
        """Add a client; the descriptor is ours now. To an ended session it is an empty one."""
        wanted = ((STDOUT, stdout), (STDERR, stderr))
        client = Client(
            self._loop,
            stream,
            outputs=frozenset(number for number, is_wanted in wanted if is_wanted),
            has_stdin=stdin,
            is_framed=not self.has_terminal,
            is_patient=self._sink is None,
            on_input=self._on_input,
            on_room=self._resume_if_roomy,
            on_gone=self._on_gone,
        )
        self.clients.append(client)
        if self._has_ended:
            client.end()
        elif self._input_is_paused:
            client.pause_input(is_paused=True)

    def attached_outputs(self) -> frozenset[int]:
        """The streams that some client wants."""
        return frozenset().union(*(client.outputs for client in self.clients))

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size, now or when it is made. Raises: OSError."""
        if self._console < 0:
            self._pending_size = (rows, columns)
            return
        set_window_size(self._console, rows=rows, columns=columns)

    # -- the end -----------------------------------------------------------------------------

    def drain(self) -> bool:
        """Its process was reaped: read what is in the pipes; True when each is at its end."""
        self.is_alive = False
        for descriptor in tuple(self._outputs):
            while descriptor in self._outputs and self._read(descriptor):
                pass
        return not self._outputs

    def finish(self, ending: Ending) -> None:
        """The process has ended and its output was drained.

        Background children of an exec'd command may still hold the pipes: their output is read
        and dropped, because closing would kill them with SIGPIPE.
        """
        self.ending = ending
        if self._stdin is not None:
            self._stdin.close()
        self._end_clients()

    def close(self) -> None:
        """Close the streams, whoever else holds them."""
        self._close_streams()

    # -- output ------------------------------------------------------------------------------

    def _reader(self, descriptor: int) -> Callable[[int], None]:
        return lambda _events: self._on_output(descriptor)

    def _on_output(self, descriptor: int) -> None:
        self._read(descriptor)

    def _read(self, descriptor: int) -> bool:
        """Read once and pass it on; False when there is nothing now."""
        try:
            data = os.read(descriptor, _READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            # EIO of a terminal: nobody has its other side open. While the process lives it may
            # open /dev/console again, as an init system does: wait for an edge, not a level.
            if self.is_alive:
                self._loop.watch(descriptor, READ | EDGE, self._reader(descriptor))
                self._is_hung_up = True
                return False
            data = b""
        if not data:
            self._close_output(descriptor)
            return False
        if self._is_hung_up:
            self._loop.watch(descriptor, READ, self._reader(descriptor))
            self._is_hung_up = False
        self._pass_on(self._outputs[descriptor], data)
        return True

    def _pass_on(self, stream: int, data: bytes) -> None:
        if self._sink is not None:
            self._sink.write(stream, data, time.time_ns())
        is_full = False
        for client in tuple(self.clients):
            client.send(stream, data)
            is_full = is_full or client.is_full
        if is_full and not self._is_paused and self.is_alive:
            for descriptor in self._outputs:
                self._loop.forget(descriptor)
            self._is_paused = True

    def _resume_if_roomy(self) -> None:
        if self._is_paused and not any(client.is_full for client in self.clients):
            self._is_paused = False
            if self.is_alive:
                self.begin()

    def _close_output(self, descriptor: int) -> None:
        self._loop.forget(descriptor)
        del self._outputs[descriptor]
        os.close(descriptor)
        if descriptor == self._console:
            self._console = -1

    # -- input -------------------------------------------------------------------------------

    def _on_input(self, client: Client, data: bytes) -> None:
        if self._stdin is None:
            return
        if data:
            self._stdin.write(data)
        elif self._closes_stdin_after_first and not self.has_terminal:
            self._stdin.end()

    def _pause_input(self, is_paused: bool) -> None:
        self._input_is_paused = is_paused
        for client in self.clients:
            client.pause_input(is_paused=is_paused)

    # -- bookkeeping -------------------------------------------------------------------------

    def _on_gone(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
        self._on_idle()

    def _end_clients(self) -> None:
        self._has_ended = True
        for client in tuple(self.clients):
            client.end()

    def _close_streams(self) -> None:
        for descriptor in tuple(self._outputs):
            self._close_output(descriptor)
        if self._stdin is not None:
            self._stdin.close()
