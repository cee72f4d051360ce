"""`platform ls`, `enable`, `disable`: programs for other processors."""

from wherry.cli import rows
from wherry.cli.command import NONE, ONE_OR_MORE, Command
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.client.documents import Document, text

_NAMES = ("Platform", "Status", "RunsBy")


def list_platforms(session: Session, parsed: Parsed) -> int:
    """List the platforms whose programs run here, or could."""
    found, form = session.client.wherry.platforms(), parsed.text("format")
    is_quiet = parsed.is_on("quiet")
    rows.show(session, found, _COLUMNS, _NAMES, form=form, is_quiet=is_quiet, identity="Platform")
    return 0


def enable(session: Session, parsed: Parsed) -> int:
    """Have the engine's kernel run the programs of platforms."""
    return _change(session, parsed, "enable")


def disable(session: Session, parsed: Parsed) -> int:
    """Have it refuse them again."""
    return _change(session, parsed, "disable")


def _change(session: Session, parsed: Parsed, change: str) -> int:
    for platform in parsed.arguments:
        changed = session.client.wherry.change_platform(platform, change)
        session.say(f"{text(changed, 'Platform')}: {_status(changed)}")
    return 0


def _status(row: Document) -> str:
    return "enabled" if row.get("Enabled") is True else "not enabled"


_COLUMNS = rows.Columns[Document](
    type_name="formatter.platformContext",
    columns=(
        rows.Column("Platform", "PLATFORM", lambda row: text(row, "Platform")),
        rows.Column("Status", "STATUS", _status),
        rows.Column("RunsBy", "RUNS BY", lambda row: text(row, "RunsBy")),
    ),
)

LIST = Command(
    shape="",
    summary="List the platforms whose programs run here",
    arguments=NONE,
    run=list_platforms,
    flags=(
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("quiet", SWITCH, "Show names only", short="q"),
    ),
)
ENABLE = Command(
    "PLATFORM [PLATFORM...]", "Run a platform's programs by an emulator", ONE_OR_MORE, enable
)
DISABLE = Command(
    "PLATFORM [PLATFORM...]", "Stop running a platform's programs", ONE_OR_MORE, disable
)
