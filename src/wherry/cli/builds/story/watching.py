"""Watching builds: shown in the way that was asked for, and what is left to say at their end.

Several are shown as one, as they are of a Compose file: names of steps begin with the service.
They are told by a thread each.
"""

import threading
import time
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from wherry.cli.builds.story.modes import MODES
from wherry.cli.builds.story.plain import Plain, failed_steps
from wherry.cli.builds.story.rawjson import write_raw
from wherry.cli.builds.story.screen import Screen
from wherry.cli.builds.story.sources import excerpt, warning_lines
from wherry.cli.builds.story.trace import Trace
from wherry.cli.failures import CommandFailed
from wherry.client.documents import Document, text
from wherry.wire.buildkit.control import StatusResponse, Vertex
from wherry.wire.protobuf import decode, timestamp

_STORY = "moby.buildkit.trace"


class Watching:
    """What is told of a build, or of several."""

    def __init__(self, mode: str, to: TextIO, *, is_debugging: bool = False) -> None:
        """Raises: CommandFailed, for a mode that is none, or that needs a terminal."""
        if mode not in MODES:
            raise CommandFailed(f"invalid progress mode {mode}")
        if mode == "tty" and not to.isatty():
            raise CommandFailed("failed to get console: provided file is not a console")
        if mode == "auto":
            mode = "tty" if to.isatty() else "plain"
        self.trace = Trace()
        self._mode = mode
        self._to = to
        self._is_debugging = is_debugging
        self._lock = threading.Lock()
        self._plain: Plain | None = None
        self._screen: Screen | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show what comes while the block runs; then what failed, and warnings."""
        if self._mode == "plain":
            self._plain = Plain(self._to)
        elif self._mode == "tty":
            self._screen = Screen(self._to, self.trace, self._lock)
        try:
            yield
        finally:
            if self._plain is not None:
                self._plain.close()
            if self._screen is not None:
                self._screen.close()
            self._tell_end()

    def counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """A context on its way to the engine."""
        for piece in pieces:
            yield piece
            self.trace.sent_bytes += len(piece)

    def others(self, messages: Iterable[Document], service: str = "") -> Iterator[Document]:
        """Take what is told of a build; the messages that are something else."""
        for message in messages:
            if text(message, "id") == _STORY:
                told = decode(StatusResponse, b64decode(text(message, "aux")))
                for vertex in told.vertexes if service else ():
                    vertex.name = _name_in(service, vertex.name)
                self._take(told)
            else:
                yield message

    def note(self, subject: str, word: str, *, is_over: bool, problem: str) -> None:
        """Something beside the builds begins, or is over."""
        now = timestamp(time.time_ns())
        known = self.trace.vertex(subject)
        began = (known.started if known else None) or now
        vertex = Vertex(digest=subject, name=f"{subject} {word}", started=began, error=problem)
        vertex.completed = now if is_over else None
        self._take(StatusResponse(vertexes=[vertex]))

    def _take(self, response: StatusResponse) -> None:
        with self._lock:
            news = self.trace.take(response)
            if self._plain is not None:
                self._plain.show(news)
            elif self._mode == "rawjson":
                write_raw(response, self._to)

    def _tell_end(self) -> None:
        if self._mode in ("quiet", "rawjson"):
            return
        failure = self.trace.failure
        lines = [
            *failed_steps(self.trace.begun),
            *(excerpt(failure.info, failure.ranges) if failure else ()),
            *warning_lines(self.trace.warnings, is_debugging=self._is_debugging),
        ]
        self._to.writelines(f"{line}\n" for line in lines)
        self._to.flush()


def _name_in(service: str, name: str) -> str:
    """`[2/3] RUN x` of a service is `[web 2/3] RUN x`."""
    return f"[{service} {name[1:]}" if name.startswith("[") else f"[{service}] {name}"
