"""`system check`: whether the disk still has what it was given."""

from wherry.cli.command import NONE, Command
from wherry.cli.flags import SWITCH, Flag, Parsed
from wherry.cli.progress import show_progress
from wherry.cli.session import Session


def run(session: Session, parsed: Parsed) -> int:
    """Have the engine compare every blob with its digest; damage is an error."""
    messages = session.client.wherry.check()
    show_progress(messages, session.out, is_quiet=parsed.is_on("quiet"))
    return 0


CHECK = Command(
    shape="",
    summary="Read all that images are made of, and remove what is damaged",
    arguments=NONE,
    run=run,
    flags=(Flag("quiet", SWITCH, "Only tell whether all is undamaged", short="q"),),
)
