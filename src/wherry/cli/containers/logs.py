"""`logs`: what a container has written."""

import sys
from collections.abc import Iterator

from wherry.cli.command import ONE, Command
from wherry.cli.containers.streaming import OutputWriter
from wherry.cli.durations import moment_query
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.client.containers import Pairs
from wherry.client.documents import Document, child, flag, number, text
from wherry.client.errors import ApiError
from wherry.client.transport import switch_query


def run(session: Session, parsed: Parsed) -> int:
    """Print a container's log; its stdout to ours, its stderr to ours."""
    name, query = parsed.arguments[0], log_query(parsed)
    try:
        inspected = session.client.containers.inspect(name)
    except ApiError as problem:
        if problem.status != _NOT_FOUND:
            raise
        return _print_removed(session, name, query, problem)
    _tell_dropped(child(inspected, "LogDelivery"))
    chunks = session.client.containers.logs(name, query)
    return _print(chunks, is_framed=not flag(child(inspected, "Config"), "Tty"))


def _tell_dropped(delivery: Document) -> None:
    """What the driver's receiver never got is in the log that is printed here."""
    if dropped := number(delivery, "Dropped"):
        now = (
            f", which takes nothing now: {problem}"
            if (problem := text(delivery, "Problem"))
            else ""
        )
        _say_aside(f"lines that were not delivered to the log driver's receiver: {dropped}{now}")


def _print_removed(session: Session, name: str, query: Pairs, missing: ApiError) -> int:
    """The log of a container that was removed in the last days. Raises: ApiError."""
    try:
        answer = session.client.wherry.removed_logs(name, query)
    except ApiError:
        raise missing from None
    at = answer.headers.get("x-wherry-removed-at", "")
    found = answer.headers.get("x-wherry-container", name)
    _say_aside(f"container {found} was removed at {at}; this is what is kept of its log")
    is_framed = "multiplexed" in answer.headers.get("content-type", "")
    return _print(answer.chunks(), is_framed=is_framed)


def _say_aside(sentence: str) -> None:
    """Something of our own, which is not the container's."""
    print(f"({sentence})", file=sys.stderr, flush=True)


def _print(chunks: Iterator[bytes], *, is_framed: bool) -> int:
    writer = OutputWriter(is_framed=is_framed, output=1, errors=2)
    sys.stdout.flush()
    for chunk in chunks:
        writer.write(chunk)
    return 0


def log_query(parsed: Parsed) -> Pairs:
    """What the flags of `logs` ask the engine for. Raises: CommandFailed."""
    query = switch_query(
        stdout=True,
        stderr=True,
        follow=parsed.is_on("follow"),
        timestamps=parsed.is_on("timestamps"),
        details=parsed.is_on("details"),
    )
    query.append(("tail", parsed.text("tail", "all")))
    for bound in ("since", "until"):
        if given := parsed.text(bound):
            try:
                query.append((bound, moment_query(given)))
            except ValueError:
                raise CommandFailed(
                    f'invalid value for "{bound}": failed to parse value as time or duration: '
                    f'"{given}"'
                ) from None
    return query


_NOT_FOUND = 404
LINE_FLAGS = (
    Flag("follow", SWITCH, "Go on with what is written from now on", short="f"),
    Flag("since", STRING, 'Only since a moment ("2013-01-02T13:23:37Z") or span ("42m")'),
    Flag("tail", STRING, "Number of lines from the end of a log", short="n", default='"all"'),
    Flag("timestamps", SWITCH, "Show when each line was written", short="t"),
    Flag("until", STRING, 'Only before a moment ("2013-01-02T13:23:37Z") or span ("42m")'),
)
"""Which lines of a log are wanted: what `log_query` reads."""

LOGS = Command(
    shape="CONTAINER",
    summary="Fetch the logs of a container",
    arguments=ONE,
    run=run,
    flags=(
        Flag("details", SWITCH, "Show the labels and variables that the log driver keeps"),
        *LINE_FLAGS,
    ),
)
