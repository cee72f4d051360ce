"""`history`: the steps that made an image."""

from wherry.cli import rows
from wherry.cli.command import ONE, Command
from wherry.cli.durations import ago
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.images.platform_names import checked_platform
from wherry.cli.session import Session
from wherry.cli.texts import ellipsis, short_id
from wherry.client.documents import Document, number, text
from wherry.kit.byte_sizes import human_size_short
from wherry.kit.timestamps import NANOSECONDS, rfc3339_nano

_STEP_WIDTH = 45
_MISSING = "<missing>"
_NAMES = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")


def run(session: Session, parsed: Parsed) -> int:
    """Print the steps of an image, newest first."""
    platform = checked_platform(parsed.text("platform"), lead="invalid platform: ")
    steps = session.client.images.history(parsed.arguments[0], platform=platform)
    columns = _columns(
        truncates=not parsed.is_on("no-trunc"), is_human=parsed.is_on("human", default=True)
    )
    form = parsed.text("format")
    is_quiet = parsed.is_on("quiet")
    rows.show(session, steps, columns, _NAMES, form=form, is_quiet=is_quiet)
    return 0


def _columns(*, truncates: bool, is_human: bool) -> rows.Columns[Document]:
    column = rows.Column[Document]

    def identifier(step: Document) -> str:
        identity = text(step, "Id")
        return short_id(identity) if truncates and identity != _MISSING else identity

    def created_at(step: Document) -> str:
        return rfc3339_nano(number(step, "Created") * NANOSECONDS)

    def created_since(step: Document) -> str:
        if not is_human:
            return created_at(step)
        return ago(number(step, "Created")) if number(step, "Created") > 0 else "N/A"

    def created_by(step: Document) -> str:
        line = text(step, "CreatedBy").replace("\t", " ")
        return ellipsis(line, _STEP_WIDTH) if truncates else line

    def size(step: Document) -> str:
        count = number(step, "Size")
        return human_size_short(count) if is_human else str(count)

    columns: tuple[rows.Column[Document], ...] = (
        column("ID", "IMAGE", identifier),
        column("CreatedSince", "CREATED" if is_human else "CREATED AT", created_since),
        column("CreatedAt", "CREATED AT", created_at),
        column("CreatedBy", "CREATED BY", created_by),
        column("Size", "SIZE", size),
        column("Comment", "COMMENT", lambda step: text(step, "Comment")),
    )
    return rows.Columns[Document](type_name="formatter.historyContext", columns=columns)


HISTORY = Command(
    shape="IMAGE",
    summary="Show the history of an image",
    arguments=ONE,
    run=run,
    flags=(
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("human", SWITCH, "Sizes and dates for people", short="H", default="true"),
        Flag("no-trunc", SWITCH, "Show ids and steps in full"),
        Flag("platform", STRING, "Of the image for this platform"),
        Flag("quiet", SWITCH, "Show ids only", short="q"),
    ),
)
