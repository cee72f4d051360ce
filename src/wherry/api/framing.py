"""The output of a session in frames or without them, as its client expects it.

It is framed unless the session has a terminal. The client says at the start once more whether it
expects one, and Docker goes by that: a terminal's output comes as frames of stdout, and of framed
output the client gets what was written to stdout.
"""

from collections.abc import Callable

from wherry.api.services import DuplexStream
from wherry.kit.streams import STDOUT, Unframer, frame


def as_expected(session: DuplexStream, *, is_framed: bool, expects_frames: bool) -> DuplexStream:
    """The session's streams, and what is read of them as the client expects it."""
    if is_framed == expects_frames:
        return session
    return _Reframed(session, _in_frames if expects_frames else _stdout_alone())


def _in_frames(output: bytes) -> bytes:
    return frame(STDOUT, output)


def _stdout_alone() -> Callable[[bytes], bytes]:
    feed = Unframer().feed
    return lambda output: b"".join(text for stream, text in feed(output) if stream == STDOUT)


class _Reframed:
    """A session whose output is said in another form."""

    def __init__(self, session: DuplexStream, say: Callable[[bytes], bytes]) -> None:
        self._session, self._say = session, say
        self.write, self.close_stdin = session.write, session.close_stdin
        self.tell_detached, self.close = session.tell_detached, session.close

    async def read(self) -> bytes:
        """The next bytes; empty when the output has ended."""
        while output := await self._session.read():
            if said := self._say(output):
                return said
        return b""
