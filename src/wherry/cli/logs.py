"""`logs`: what a container has written."""

import sys

from wherry.cli.command import ONE, Command
from wherry.cli.durations import moment_query
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.cli.streaming import OutputWriter
from wherry.client.documents import child, flag
from wherry.client.transport import switch_query


def run(session: Session, parsed: Parsed) -> int:
    """Print a container's log; its stdout to ours, its stderr to ours."""
    name = parsed.arguments[0]
    config = child(session.client.containers.inspect(name), "Config")
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
    writer = OutputWriter(is_framed=not flag(config, "Tty"), output=1, errors=2)
    sys.stdout.flush()
    for chunk in session.client.containers.logs(name, query):
        writer.write(chunk)
    return 0


LOGS = Command(
    shape="CONTAINER",
    summary="Fetch the logs of a container",
    arguments=ONE,
    run=run,
    flags=(
        Flag("details", SWITCH, "Show the labels and variables that the log driver keeps"),
        Flag("follow", SWITCH, "Go on with what is written from now on", short="f"),
        Flag("since", STRING, 'Only since a moment ("2013-01-02T13:23:37Z") or span ("42m")'),
        Flag("tail", STRING, "Number of lines from the end", short="n", default='"all"'),
        Flag("timestamps", SWITCH, "Show when each line was written", short="t"),
        Flag("until", STRING, 'Only before a moment ("2013-01-02T13:23:37Z") or span ("42m")'),
    ),
)
