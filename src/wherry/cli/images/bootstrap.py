"""`image bootstrap`: a base image without a registry."""

from wherry.cli.command import ONE, Command
from wherry.cli.flags import SWITCH, Flag, Parsed
from wherry.cli.progress import show_progress
from wherry.cli.session import Session


def run(session: Session, parsed: Parsed) -> int:
    """Have the engine make `busybox`, `debian:bookworm` or `hello`."""
    messages = session.client.wherry.bootstrap(parsed.arguments[0])
    show_progress(messages, session.out, is_quiet=parsed.is_on("quiet"))
    return 0


BOOTSTRAP = Command(
    shape="busybox|debian:bookworm|hello",
    summary="Make a base image without a registry",
    arguments=ONE,
    run=run,
    flags=(Flag("quiet", SWITCH, "Don't show progress", short="q"),),
)
