"""What a receiver is told: whose log it is, and one message after the other."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from wherry.kit.values import dataclass, field
from wherry.logs.json_lines import STDERR, STREAM_NAMES, Line

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
"""What a document is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """Facts of the container that the protocols pass on."""

    container_id: str
    container_name: str
    """Without a slash."""
    image_id: str
    image_name: str
    command: str
    created: str
    """RFC 3339."""
    hostname: str
    tag: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The labels and environment variables that were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """Which piece of a long line a message is."""

    id: str
    ordinal: int
    """From one."""
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line, without its newline, or one piece of a long line."""

    text: str
    is_error: bool
    """It was written to stderr."""
    at_ns: int
    partial: Partial | None = None

    @property
    def stream(self) -> str:
        """`stdout` or `stderr`."""
        return "stderr" if self.is_error else "stdout"


def doubling_pause_s(failures: int) -> float:
    """How long to wait after so many failures in a row: from 0.1 s to 5 s."""
    return min(0.1 * 2.0 ** min(failures - 1, 10), 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How a receiver that takes nothing is tried again, and what may wait for it meanwhile."""

    pause_s: Callable[[int], float] = doubling_pause_s
    """How long to wait after so many failures in a row."""
    most_failures: int | None = None
    """After so many in a row the batch is given up; None: it is tried for ever."""
    most_lines: int | None = None
    """So many lines may wait, and newer ones are lost; None: as many as the files hold."""
    grace_s: float = 10.0
    """How long after the container's end a receiver may still be waited for."""


class Receiver(Protocol):
    """Something that takes messages. What it raises is told; the messages are sent again."""

    @property
    def patience(self) -> Patience:
        """What to do while it takes nothing."""
        ...

    def open(self) -> None:
        """Connect. Raises: OSError, ReceiverRefused."""
        ...

    def send(self, messages: Sequence[Message]) -> None:
        """Returns when they are out of our hands. Raises: OSError, ReceiverRefused."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class ReceiverRefused(Exception):
    """A receiver, or our configuration of it, is not in order; the text is Docker's."""


class Pieces:
    """Makes messages of lines, and knows which belong together."""

    def __init__(self) -> None:
        self._ordinals: dict[int, int] = {}
        self._ids: dict[int, str] = {}

    def messages(self, lines: Iterable[Line]) -> Iterator[Message]:
        """One for each line."""
        for line in lines:
            is_whole = line.content.endswith(b"\n")
            ordinal = self._ordinals.pop(line.stream, 0) + 1
            partial = None
            if not is_whole:
                self._ordinals[line.stream] = ordinal
            if not is_whole or ordinal > 1:
                if ordinal == 1:
                    self._ids[line.stream] = f"{line.at_ns:x}-{STREAM_NAMES[line.stream]}"
                partial = Partial(id=self._ids[line.stream], ordinal=ordinal, is_last=is_whole)
            yield Message(
                text=line.content.removesuffix(b"\n").decode("utf-8", "replace"),
                is_error=line.stream == STDERR,
                at_ns=line.at_ns,
                partial=partial,
            )
