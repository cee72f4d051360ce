"""`explain`: what the engine did to the kernel for a container, and why."""

import sys

from wherry.cli.command import ONE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session

FORMS = ("text", "json", "shell")


def run(session: Session, parsed: Parsed) -> int:
    """Print the engine's explanation as it is."""
    form = parsed.text("format", "text")
    if form not in FORMS:
        raise CommandFailed(f"invalid value for --format: {form}: must be text, json or shell")
    live = parsed.is_on("live")
    explanation = session.client.wherry.explain(parsed.arguments[0], form=form, live=live)
    sys.stdout.flush()
    sys.stdout.buffer.write(explanation)
    if not explanation.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    return 0


EXPLAIN = Command(
    shape="CONTAINER",
    summary="Say what was done to the kernel for a container, and why",
    arguments=ONE,
    run=run,
    flags=(
        Flag("format", STRING, "text, json, or shell: a script for root", default='"text"'),
        Flag("live", SWITCH, "Say of each step whether it still holds"),
    ),
)
