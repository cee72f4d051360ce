"""`why`: what ended a container, with the evidence."""

from wherry.cli.command import ONE, Command
from wherry.cli.flags import INT, STRING, Flag, Parsed
from wherry.cli.session import Session
from wherry.client.documents import Document, number, text, texts

_DEFAULT_LINES = 10


def run(session: Session, parsed: Parsed) -> int:
    """Print the reason, how sure it is, its evidence, and the last lines of output."""
    reason = session.client.wherry.why(parsed.arguments[0])
    if form := parsed.text("format"):
        from wherry.cli.inspecting import show_documents

        show_documents(session, "{{json .}}" if form == "json" else form, [reason])
        return 0
    _show(session, reason, lines=parsed.number("tail", _DEFAULT_LINES))
    return 0


def _show(session: Session, reason: Document, *, lines: int) -> None:
    name, code = text(reason, "Name").removeprefix("/"), number(reason, "ExitCode")
    session.say(f"{name}: {text(reason, 'State')}, exit code {code}")
    session.say(f"{text(reason, 'Sentence')} ({text(reason, 'Certainty')})")
    _show_list(session, "Evidence", texts(reason, "Evidence"))
    _show_list(session, "What to do", texts(reason, "Hints"))
    last = texts(reason, "LastLines")
    if last and lines:
        session.say("\nLast lines:")
        for line in last[-lines:]:
            session.say(f"  {line}")


def _show_list(session: Session, title: str, lines: list[str]) -> None:
    if lines:
        session.say(f"\n{title}:")
        for line in lines:
            session.say(f"  - {line}")


WHY = Command(
    shape="CONTAINER",
    summary="Say why a container ended, and how that is known",
    arguments=ONE,
    run=run,
    flags=(
        Flag("format", STRING, "How to print: json or a Go template", short="f"),
        Flag("tail", INT, "Lines of output to show", short="n", default=str(_DEFAULT_LINES)),
    ),
)
