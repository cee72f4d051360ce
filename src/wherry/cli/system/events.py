"""`events`: what happens in the engine, as it happens."""

from wherry.cli.command import NONE, Command
from wherry.cli.durations import NANOSECONDS, local_time, moment_query
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import FILTER, STRING, Flag, Parsed, filters_of
from wherry.cli.session import Session
from wherry.client.documents import Document, child, mapping, number, text


def run(session: Session, parsed: Parsed) -> int:
    """Print events until the end that was asked for, or until interrupted."""
    bounds = bounds_of(parsed)
    template = _Template(parsed.text("format"))
    messages = session.client.system.events(
        since=bounds["since"], until=bounds["until"], filters=filters_of(parsed)
    )
    for message in messages:
        session.say(template.render(message))
        session.out.flush()
    return 0


def bounds_of(parsed: Parsed) -> dict[str, str]:
    """`--since` and `--until` as the engine reads them. Raises: CommandFailed."""
    bounds = {}
    for bound in ("since", "until"):
        given = parsed.text(bound)
        try:
            bounds[bound] = moment_query(given) if given else ""
        except ValueError:
            raise CommandFailed(f'failed to parse value as time or duration: "{given}"') from None
    return bounds


class _Template:
    """How an event is printed; a wrong template is told before the first event."""

    def __init__(self, form: str) -> None:
        from wherry.cli.templates.functions import ALL
        from wherry.cli.templates.parser import TemplateSyntaxError, parse

        self._is_plain = not form
        source = "{{json .}}" if form == "json" else form
        try:
            self._template = parse(source, functions=ALL)
        except TemplateSyntaxError as problem:
            raise CommandFailed(f"Error parsing format: {problem}", code=64) from None

    def render(self, message: Document) -> str:
        if self._is_plain:
            return _plain(message)
        from wherry.cli.templates.docker_types import type_named
        from wherry.cli.templates.executor import TemplateExecutionError, execute
        from wherry.cli.templates.values import Value, decode

        event_type = type_named("events.Message")
        try:
            return execute(self._template, Value(event_type, decode(event_type, message)))
        except TemplateExecutionError as problem:
            raise CommandFailed(str(problem)) from None


def _plain(message: Document) -> str:
    moment_ns = number(message, "timeNano") or number(message, "time") * NANOSECONDS
    actor = child(message, "Actor")
    line = " ".join(
        (
            local_time(moment_ns),
            text(message, "Type"),
            text(message, "Action"),
            text(actor, "ID"),
        )
    )
    attributes = sorted(mapping(actor, "Attributes").items())
    if not attributes:
        return line
    return f"{line} ({', '.join(f'{key}={value}' for key, value in attributes)})"


EVENTS = Command(
    shape="",
    summary="Get real time events from the engine",
    arguments=NONE,
    run=run,
    flags=(
        Flag("filter", FILTER, "Show only what matches, as name=value", short="f"),
        Flag("format", STRING, "How to print: json or a Go template"),
        Flag("since", STRING, "Events since a moment or a span back from now"),
        Flag("until", STRING, "Events until a moment"),
    ),
)
