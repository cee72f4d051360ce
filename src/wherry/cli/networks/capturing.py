"""`capture`: a container's packets, for tcpdump and Wireshark."""

import contextlib
import sys
from typing import BinaryIO

from wherry.cli.command import ONE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import INT, STRING, Flag, Parsed
from wherry.cli.session import Session


def run(session: Session, parsed: Parsed) -> int:
    """Write packets until enough have come, the container ends, or an interrupt."""
    count = parsed.number("count")
    if count < 0:
        raise CommandFailed(f"invalid value for --count: {count}: must not be negative")
    path = parsed.text("write", "-")
    if path == "-" and sys.stdout.isatty():
        raise CommandFailed("refusing to write packets to a terminal: use -w FILE or redirect")
    pieces = session.client.wherry.capture(
        parsed.arguments[0], count=count, expression=parsed.text("filter")
    )
    with _opened(path) as file, contextlib.suppress(KeyboardInterrupt):
        for piece in pieces:
            file.write(piece)
            file.flush()
    return 0


def _opened(path: str) -> BinaryIO:
    try:
        return open(sys.stdout.fileno() if path == "-" else path, "wb", closefd=path != "-")
    except OSError as problem:
        raise CommandFailed(f"open {path}: {(problem.strerror or '').lower()}") from None


CAPTURE = Command(
    shape="CONTAINER",
    summary="Write a container's packets to a file, as pcapng",
    arguments=ONE,
    run=run,
    flags=(
        Flag("count", INT, "End after so many packets", short="c"),
        Flag("filter", STRING, "Only packets that this is true of, as tcpdump has it", short="f"),
        Flag("write", STRING, "Where to; - is standard output", short="w", default='"-"'),
    ),
)
