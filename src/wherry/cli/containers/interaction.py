"""One person at one container: the stream, the terminal's mode and size, signals, the exit code.

Used by run, start, attach and exec, which differ in how they open the stream and what ends them.
"""

import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import NamedTuple

from wherry.cli import terminal
from wherry.cli.containers.detach_keys import DEFAULT, DetachFilter, parse_keys
from wherry.cli.containers.streaming import Attachment, Ending, OutputWriter, read_while_signalled
from wherry.cli.signal_channel import PROXIED, SignalChannel
from wherry.client.connection import Hijacked, Response
from wherry.client.documents import child, document, number, parse, text
from wherry.client.engine_client import Client
from wherry.client.errors import ClientError

Resize = Callable[[int, int], None]


class Streams(NamedTuple):
    """Which of this process's streams take part, and how."""

    stdin: bool
    stdout: bool
    stderr: bool
    has_terminal: bool
    detach_keys: str = ""


class Interaction:
    """Opened before a container starts, so that no byte and no signal is missed.

    Use as a context: the terminal and the signal handlers are as before when it ends.
    """

    def __init__(
        self,
        streams: Streams,
        *,
        resize: Resize | None = None,
        send_signal: Callable[[str], None] | None = None,
    ) -> None:
        self._streams = streams
        self._resize = resize if streams.has_terminal else None
        self._send_signal = send_signal
        numbers = [*PROXIED] if self._send_signal else []
        self._signals = SignalChannel(numbers + ([signal.SIGWINCH] if self._resize else []))

    def __enter__(self) -> "Interaction":
        self._signals.__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        self._signals.__exit__(None, None, None)

    def fit_terminal(self) -> None:
        """Give the container's terminal the size of ours; a failure only costs the size."""
        found = terminal.size(1) or terminal.size(0)
        if self._resize is not None and found is not None:
            with suppress(ClientError, OSError):
                self._resize(*found)

    def redraw(self) -> None:
        """Fit the terminal by way of another size, so that a program on it draws itself anew."""
        found = terminal.size(1) or terminal.size(0)
        if self._resize is not None and found is not None:
            with suppress(ClientError, OSError):
                self._resize(found[0] + 1, found[1] + 1)
            self.fit_terminal()

    def carry(self, stream: Hijacked) -> Ending:
        """Carry bytes until the container or the user ends it. Raises: OSError."""
        streams = self._streams
        writer = OutputWriter(
            is_framed=not streams.has_terminal,
            output=1 if streams.stdout else None,
            errors=2 if streams.stderr else None,
        )
        takes_keys = streams.stdin and streams.has_terminal
        sys.stdout.flush()
        with terminal.raw_mode(0) if takes_keys else nullcontext():
            return Attachment(
                stream,
                writer,
                input_descriptor=0 if streams.stdin else None,
                detach_filter=_detach_filter(streams.detach_keys) if takes_keys else None,
                signals=self._signals,
                on_signal=self._on_signal,
            ).carry()

    def exit_code(self, waiting: Response) -> int:
        """The container's exit code, from a wait that was begun earlier. Raises: OSError."""
        raw = read_while_signalled(waiting, waiting.descriptor, self._signals, self._on_signal)
        return exit_code_of(raw)

    def _on_signal(self, received: int) -> None:
        if received == signal.SIGWINCH:
            self.fit_terminal()
        elif self._send_signal is not None:
            with suppress(ClientError, OSError):
                self._send_signal(signal.Signals(received).name.removeprefix("SIG"))


def check_terminal(*, stdin: bool, has_terminal: bool) -> None:
    """Raises: ValueError when a terminal's input is asked for and ours is none."""
    if has_terminal and stdin and not sys.stdin.isatty():
        raise ValueError("the input device is not a TTY")


def exit_code_of(raw: bytes) -> int:
    """The exit code in the answer of a wait; the engine's own trouble counts as 125."""
    answer = document(parse(raw)) if raw.strip() else {}
    if message := text(child(answer, "Error"), "Message"):
        print(f"Error waiting for container: {message}", file=sys.stderr)
        return 125
    return number(answer, "StatusCode")


def container_resizer(client: Client, container: str) -> Resize:
    """Sets the size of a container's terminal."""
    return lambda rows, columns: client.containers.resize(container, rows=rows, columns=columns)


def signal_sender(client: Client, container: str) -> Callable[[str], None]:
    """Sends signals to a container by name."""
    return lambda name: client.containers.kill(container, name)


def _detach_filter(text_of_keys: str) -> DetachFilter:
    """Docker falls back to the default when the sequence makes no sense to the client."""
    try:
        return DetachFilter(parse_keys(text_of_keys))
    except ValueError:
        return DetachFilter(DEFAULT)
