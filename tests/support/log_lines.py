"""What a container's log holds."""

from collections.abc import Iterator

from wherry.logs.json_lines import STDERR, STDOUT, Line
from wherry.logs.reader import LogReader, Selection


def read_lines(
    path: str,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    tail: int | None = None,
    stdout: bool = True,
    stderr: bool = True,
) -> Iterator[Line]:
    """The lines that a log has now. Raises: OSError."""
    streams = frozenset(
        number for number, is_wanted in ((STDOUT, stdout), (STDERR, stderr)) if is_wanted
    )
    reader = LogReader(
        path, Selection(streams=streams, since_ns=since_ns, until_ns=until_ns, tail=tail)
    )
    try:
        yield from reader.lines()
    finally:
        reader.close()
