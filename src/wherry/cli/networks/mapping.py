"""`map`: all networks and who is on them, as text, JSON, for Graphviz, or as a picture."""

from collections.abc import Callable

from wherry.cli.command import NONE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.client.documents import Document, children, encode, text

PROJECT = "com.docker.compose.project"
"""The label by which Compose knows what is a project's."""


def run(session: Session, parsed: Parsed) -> int:
    """Print the map in one of its forms."""
    form = parsed.text("format", "text")
    if form not in _FORMS:
        raise CommandFailed(f"invalid value for --format: {form}: must be {', '.join(_FORMS)}")
    project = parsed.text("project")
    drawn = session.client.wherry.map(label=f"{PROJECT}={project}" if project else "")
    if project and not (children(drawn, "Networks") or children(drawn, "Containers")):
        raise CommandFailed(f"no network and no container belongs to the project {project}")
    if not parsed.is_on("all"):
        drawn = _living(drawn)
    session.say(_FORMS[form](drawn))
    return 0


def _living(drawn: Document) -> Document:
    alive = [
        each
        for each in children(drawn, "Containers")
        if text(each, "State") in ("running", "paused", "restarting")
    ]
    return {**drawn, "Containers": [*alive]}


def _as_json(drawn: Document) -> str:
    return encode(drawn).decode().rstrip("\n")


def _as_text(drawn: Document) -> str:
    from wherry.cli.networks.map_words import as_text

    return as_text(drawn)


def _as_dot(drawn: Document) -> str:
    from wherry.cli.networks.map_words import as_dot

    return as_dot(drawn)


def _as_svg(drawn: Document) -> str:
    from wherry.cli.networks.map_picture import as_svg

    return as_svg(drawn)


_FORMS: dict[str, Callable[[Document], str]] = {
    "text": _as_text,
    "json": _as_json,
    "dot": _as_dot,
    "svg": _as_svg,
}

MAP = Command(
    shape="",
    summary="Draw all networks, and who is on them",
    arguments=NONE,
    run=run,
    flags=(
        Flag("all", SWITCH, "Containers that don't run, too", short="a"),
        Flag("format", STRING, "text, json, dot or svg", default='"text"'),
        Flag("project", STRING, "Only what belongs to a Compose project", short="p"),
    ),
)
