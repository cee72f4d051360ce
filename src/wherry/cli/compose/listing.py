"""`compose ps`: the containers of a project, as a table, as JSON, or by a template."""

import json

from wherry.cli.command import ANY
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.selection import containers_of, named_project
from wherry.cli.containers.listing import container_columns, displayed_ports
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import LIST, STRING, SWITCH, Flag, Parsed
from wherry.cli.rows import Column, Columns, show_formatted, show_table, wants_table
from wherry.cli.session import Session
from wherry.client.documents import Document, Json, children, number, text
from wherry.compose import SeenContainer, exit_code

_STATES = ("paused", "restarting", "removing", "running", "dead", "created", "exited")
_TABLE = ("Name", "Image", "Command", "Service", "RunningFor", "Status", "Ports")


def run(session: Session, parsed: Parsed) -> int:
    """List what runs; with --all what ended too, and what `run` made."""
    named = named_project(session, parsed)
    states = _states(parsed)
    wants_all = parsed.is_on("all")
    found = [
        each
        for each in containers_of(session, named, parsed.arguments, with_one_offs=wants_all)
        if (each.state in states if states else wants_all or _is_alive(each))
        and (parsed.is_on("orphans", default=True) or _is_known(each, named.services))
    ]
    found.sort(key=lambda each: each.name)
    if parsed.is_on("quiet"):
        for each in found:
            session.say(each.identifier)
    elif parsed.is_on("services"):
        for name in dict.fromkeys(each.service for each in found):
            session.say(name)
    else:
        _show(session, parsed, found)
    return 0


def _is_alive(container: SeenContainer) -> bool:
    return container.state not in ("created", "exited", "dead")


def _is_known(container: SeenContainer, services: frozenset[str] | None) -> bool:
    return services is None or container.service in services


def _states(parsed: Parsed) -> list[str]:
    """The states of `--status` and of `--filter status=STATE`."""
    states = parsed.texts("status")
    if given := parsed.text("filter"):
        key, equals, value = given.partition("=")
        if not equals:
            raise CommandFailed("arguments to --filter should be in form KEY=VAL")
        if key == "source":
            raise CommandFailed("--filter source is not supported: the files alone are the source")
        if key != "status":
            raise CommandFailed(f"unknown filter {key}")
        states.append(value)
    for state in states:
        if state not in _STATES:
            raise CommandFailed(f"unknown status {state}, must be one of {' '.join(_STATES)}")
    return states


def _show(session: Session, parsed: Parsed, found: list[SeenContainer]) -> None:
    form = parsed.text("format", "table")
    columns = _columns(truncates=not parsed.is_on("no-trunc"))
    if wants_table(form):
        show_table(session, found, columns, _TABLE)
    elif form == "json":
        for each in found:
            session.say(_as_json(each, columns))
    else:
        show_formatted(session, found, columns, form)


def _columns(*, truncates: bool) -> Columns[SeenContainer]:
    """The columns of `docker ps`, and what Compose knows besides."""
    listed = container_columns(truncates=truncates)
    columns = [
        _of_summary(each) for each in listed.columns if each.name not in ("Platform", "Ports")
    ]
    columns += [
        Column("Ports", "PORTS", lambda row: displayed_ports(children(row.summary, "Ports"))),
        Column("Name", "NAME", lambda row: row.name),
        Column("Service", "SERVICE", lambda row: row.service),
        Column("Project", "PROJECT", lambda row: row.project),
        Column("Health", "HEALTH", lambda row: row.health),
        Column("ExitCode", "EXIT CODE", lambda row: str(exit_code(row.summary))),
        Column("Publishers", "PUBLISHERS", lambda row: json.dumps(publishers(row))),
    ]
    return Columns(
        type_name="formatter.ContainerContext",
        columns=columns,
        label=lambda row, key: row.labels.get(key, ""),
        as_json=lambda row: {each.name: each.text(row) for each in columns},
    )


def _of_summary(column: Column[Document]) -> Column[SeenContainer]:
    return Column(column.name, column.header, lambda row: column.text(row.summary))


def _as_json(container: SeenContainer, columns: Columns[SeenContainer]) -> str:
    fields: Document = {each.name: each.text(container) for each in columns.columns}
    fields["ExitCode"] = exit_code(container.summary)
    fields["Publishers"] = publishers(container)
    return json.dumps(dict(sorted(fields.items())), separators=(",", ":"), ensure_ascii=False)


def publishers(container: SeenContainer) -> list[Json]:
    """Where its ports are published, as Compose's JSON has it."""
    return [
        {
            "URL": text(each, "IP"),
            "TargetPort": number(each, "PrivatePort"),
            "PublishedPort": number(each, "PublicPort"),
            "Protocol": text(each, "Type"),
        }
        for each in children(container.summary, "Ports")
    ]


PS = ComposeCommand(
    "[SERVICE...]",
    "List containers",
    ANY,
    run,
    (
        Flag("all", SWITCH, "Show stopped containers too, and those of run", short="a"),
        Flag("filter", STRING, "Show only services that match (status=STATE)"),
        Flag("format", STRING, "How to print: table, json, or a Go template", default='"table"'),
        Flag("no-trunc", SWITCH, "Don't truncate output"),
        Flag("orphans", SWITCH, "Show services that the files don't have", default="true"),
        Flag("quiet", SWITCH, "Only display ids", short="q"),
        Flag("services", SWITCH, "Display services"),
        Flag("status", LIST, f"Filter by status. Values: [{' | '.join(_STATES)}]"),
    ),
)
