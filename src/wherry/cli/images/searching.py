"""`search`: the repositories of a registry that has a search."""

from wherry.cli import rows
from wherry.cli.command import ONE, Command
from wherry.cli.flags import FILTER, INT, STRING, SWITCH, Flag, Parsed, filters_of
from wherry.cli.images.registry_access import login_for
from wherry.cli.session import Session
from wherry.client.documents import Document, flag, number, text

_NAMES = ("Name", "Description", "StarCount", "IsOfficial")
_WIDEST = 45


def run(session: Session, parsed: Parsed) -> int:
    """Search, and list what was found, the most liked first."""
    term = parsed.arguments[0]
    domain, slash, _rest = term.partition("/")
    is_named = slash and ("." in domain or ":" in domain or domain == "localhost")
    found = session.client.images.search(
        term,
        limit=parsed.number("limit"),
        filters=filters_of(parsed),
        login=login_for(session, domain if is_named else ""),
    )
    found.sort(key=lambda each: -number(each, "star_count"))
    columns = _columns(truncates=not parsed.is_on("no-trunc"))
    form = parsed.text("format")
    rows.show(session, found, columns, _NAMES, form=form)
    return 0


def _columns(*, truncates: bool) -> rows.Columns[Document]:
    column = rows.Column[Document]

    def description(found: Document) -> str:
        line = text(found, "description").replace("\n", " ").replace("\r", " ")
        is_long = truncates and len(line) > _WIDEST
        return line[: _WIDEST - 1] + "…" if is_long else line

    def claim(found: Document, key: str) -> str:
        return "[OK]" if flag(found, key) else ""

    return rows.Columns[Document](
        type_name="*formatter.searchContext",
        columns=(
            column("Name", "NAME", lambda found: text(found, "name")),
            column("Description", "DESCRIPTION", description),
            column("StarCount", "STARS", lambda found: str(number(found, "star_count"))),
            column("IsOfficial", "OFFICIAL", lambda found: claim(found, "is_official")),
            column("IsAutomated", "AUTOMATED", lambda found: claim(found, "is_automated")),
        ),
    )


SEARCH = Command(
    shape="TERM",
    summary="Search a registry for images",
    arguments=ONE,
    run=run,
    flags=(
        Flag("filter", FILTER, 'Show only what matches ("is-official=true")', short="f"),
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("limit", INT, "Max number of search results"),
        Flag("no-trunc", SWITCH, "Don't truncate output"),
    ),
)
