"""`compose images`, `ls`, `port`, `stats`, `top`, `volumes` and `events`: looking at a project."""

import json

from wherry.cli.command import ANY, AT_MOST_ONE, NONE, TWO
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.selection import containers_of, named_project, one_container
from wherry.cli.containers import stats
from wherry.cli.durations import ago, local_time
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import FILTER, INT, STRING, SWITCH, Flag, Parsed, filters_of
from wherry.cli.rows import Column, Columns, show, show_table, wants_table
from wherry.cli.session import Session
from wherry.cli.system import events
from wherry.cli.tables import align, table
from wherry.cli.texts import short_id
from wherry.client.documents import Document, Json, child, children, mapping, number, text, texts
from wherry.compose import SeenContainer, labels
from wherry.compose import seen as seen_container
from wherry.kit.byte_sizes import human_size_short

_WIDE = 20


def top(session: Session, parsed: Parsed) -> int:
    """The processes of the services."""
    named = named_project(session, parsed)
    found = containers_of(session, named, parsed.arguments, must_exist=False)
    header: list[str] = []
    rows: list[list[str]] = []
    for each in found:
        if each.state not in ("running", "paused"):
            continue
        told = session.client.containers.top(each.identifier)
        header = header or ["SERVICE", "#", *texts(told, "Titles")]
        processes = told.get("Processes")
        for process in processes if isinstance(processes, list) else []:
            cells = process if isinstance(process, list) else []
            rows.append([each.service, str(each.number), *(str(cell) for cell in cells)])
    if rows:
        lines = "".join("\t".join(row) + "\n" for row in [header, *rows])
        session.out.write(align(lines, least=4, padding=2))
    return 0


def port(session: Session, parsed: Parsed) -> int:
    """Where a port of a service is published."""
    service, wanted = parsed.arguments
    digits, _, protocol = wanted.partition("/")
    protocol = protocol or parsed.text("protocol", "tcp")
    named = named_project(session, parsed)
    container = one_container(session, named, service, parsed.number("index"))
    ports = children(container.summary, "Ports")
    for each in ports:
        if str(number(each, "PrivatePort")) == digits and text(each, "Type") == protocol:
            session.say(f"{text(each, 'IP')}:{number(each, 'PublicPort')}")
            return 0
    there = ", ".join(f"{number(each, 'PublicPort')}/{text(each, 'Type')}" for each in ports)
    raise CommandFailed(f"no port {digits}/{protocol} for container {container.name}: {there}")


def images(session: Session, parsed: Parsed) -> int:
    """The images that the containers were made of."""
    named = named_project(session, parsed)
    found = containers_of(session, named, parsed.arguments, must_exist=False)
    if parsed.is_on("quiet"):
        for identifier in dict.fromkeys(text(each.summary, "ImageID") for each in found):
            session.say(identifier.removeprefix("sha256:"))
        return 0
    rows = [_image_row(session, each) for each in found]
    form = parsed.text("format", "table")
    if form == "json":
        session.say(json.dumps(rows or None, separators=(",", ":")))
        return 0
    if form != "table":
        raise CommandFailed(f'format value "{form}" could not be parsed: parsing failed')
    head = ("CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED")
    lines = [[*head]]
    for row, each in zip(rows, found, strict=True):
        lines.append(
            [
                each.name,
                text(row, "Repository") or "<none>",
                text(row, "Tag") or "<none>",
                text(row, "Platform"),
                short_id(text(row, "ID")),
                human_size_short(number(row, "Size")),
                ago(number(each.summary, "Created")),
            ]
        )
    session.out.write(table(lines, least=_WIDE))
    return 0


def _image_row(session: Session, container: SeenContainer) -> Document:
    image = session.client.images.inspect(text(container.summary, "ImageID"))
    names = texts(image, "RepoTags")
    told = text(container.summary, "Image")
    wanted = told if ":" in told.rpartition("/")[2] else f"{told}:latest"
    name = wanted if wanted in names else next(iter(names), "")
    repository, _, tag = name.rpartition(":")
    platform = "/".join(
        filter(None, (text(image, key) for key in ("Os", "Architecture", "Variant")))
    )
    return {
        "ID": text(image, "Id"),
        "ContainerName": container.name,
        "Repository": repository,
        "Tag": tag,
        "Platform": platform,
        "Size": number(image, "Size"),
        "LastTagTime": text(child(image, "Metadata"), "LastTagTime"),
    }


def volumes(session: Session, parsed: Parsed) -> int:
    """The volumes of the project, or those of some services."""
    named = named_project(session, parsed)
    found = session.client.volumes.list({"label": [f"{labels.PROJECT}={named.name}"]})
    if parsed.arguments:
        mounted = {
            text(mount, "Name")
            for each in containers_of(session, named, parsed.arguments)
            for mount in each.mounts
        }
        found = [each for each in found if text(each, "Name") in mounted]
    form = "table" if parsed.is_on("quiet") else parsed.text("format", "table")
    show(
        session,
        found,
        _volume_columns(),
        ("Driver", "Name"),
        form=form,
        is_quiet=parsed.is_on("quiet"),
        identity="Name",
    )
    return 0


def _volume_columns() -> Columns[Document]:
    def said(name: str, header: str) -> Column[Document]:
        return Column(name, header, lambda row: text(row, name))

    def unsaid(name: str) -> Column[Document]:
        return Column(name, name.upper(), lambda _row: "N/A")

    def labelled(row: Document) -> str:
        return ",".join(f"{key}={each}" for key, each in sorted(mapping(row, "Labels").items()))

    return Columns(
        type_name="formatter.volumeContext",
        columns=[
            said("Name", "VOLUME NAME"), said("Driver", "DRIVER"), said("Scope", "SCOPE"),
            said("Mountpoint", "MOUNTPOINT"), Column("Labels", "LABELS", labelled),
            *map(unsaid, ("Availability", "Group", "Links", "Size", "Status")),
        ],
        label=lambda row, key: mapping(row, "Labels").get(key, ""),
    )  # fmt: skip


def projects(session: Session, parsed: Parsed) -> int:
    """All projects of the engine that run; with --all those that don't, too."""
    filters = {"label": [labels.PROJECT], **filters_of(parsed)}
    names = filters.pop("name", [])
    found = [
        seen_container(each)
        for each in session.client.containers.list(
            all_states=parsed.is_on("all"), filters={"label": filters["label"]}
        )
    ]
    rows = [
        _project_row(name, [each for each in found if each.project == name])
        for name in sorted({each.project for each in found})
        if not names or any(part in name for part in names)
    ]
    form = parsed.text("format", "table")
    if parsed.is_on("quiet"):
        for row in rows:
            session.say(text(row, "Name"))
    elif form == "json":
        session.say(json.dumps(rows, separators=(",", ":")))
    elif form == "table":
        cells = [[text(row, key) for key in ("Name", "Status", "ConfigFiles")] for row in rows]
        session.out.write(table([["NAME", "STATUS", "CONFIG FILES"], *cells], least=_WIDE))
    else:
        raise CommandFailed(f'format value "{form}" could not be parsed: parsing failed')
    return 0


def _project_row(name: str, found: list[SeenContainer]) -> Document:
    states = sorted({each.state for each in found})
    files: list[str] = []
    for each in found:
        for path in each.labels.get(labels.CONFIG_FILES, "").split(","):
            if path and path not in files:
                files.append(path)
    return {
        "Name": name,
        "Status": ", ".join(
            f"{state}({sum(each.state == state for each in found)})" for state in states
        ),
        "ConfigFiles": ",".join(files) or "N/A",
    }


def show_stats(session: Session, parsed: Parsed) -> int:
    """What the containers use, live."""
    named = named_project(session, parsed)
    found = [
        each
        for each in containers_of(
            session, named, parsed.arguments, with_one_offs=True, must_exist=False
        )
        if parsed.is_on("all") or each.is_running
    ]
    if not found:
        form = parsed.text("format")
        if wants_table(form):
            show_table(session, [], stats.stats_columns(truncates=True), stats.DEFAULT)
        return 0
    names = [each.name for each in found]
    return stats.run(session, Parsed({**parsed.values, "all": False}, names))


def show_events(session: Session, parsed: Parsed) -> int:
    """What happens to the containers, as it happens."""
    named = named_project(session, parsed)
    bounds = events.bounds_of(parsed)
    found = session.client.system.events(
        since=bounds["since"],
        until=bounds["until"],
        filters={"label": [f"{labels.PROJECT}={named.name}"], "type": ["container"]},
    )
    for event in found:
        told = _event(event)
        if told is None or (parsed.arguments and text(told, "service") not in parsed.arguments):
            continue
        session.say(json.dumps(told) if parsed.is_on("json") else _event_line(told))
        session.out.flush()
    return 0


def _event(event: Document) -> Document | None:
    """An event as Compose tells it: without its own labels; None for what `run` made."""
    actor = child(event, "Actor")
    attributes = mapping(actor, "Attributes")
    if attributes.get(labels.ONE_OFF) == "True":
        return None
    shown: dict[str, Json] = {
        key: each for key, each in sorted(attributes.items())
        if not key.startswith("com.docker.compose.")
    }  # fmt: skip
    return {
        "time": local_time(number(event, "timeNano")),
        "type": "container",
        "service": attributes.get(labels.SERVICE, ""),
        "id": text(actor, "ID"),
        "action": text(event, "Action"),
        "attributes": shown,
    }


def _event_line(told: Document) -> str:
    shown = ", ".join(f"{key}={each}" for key, each in child(told, "attributes").items())
    return f"{told['time']} container {told['action']} {told['id']} ({shown})"


_FORM = Flag("format", STRING, "How to print: table or json", default='"table"')
_QUIET = Flag("quiet", SWITCH, "Only display names or ids", short="q")
TOP = ComposeCommand("[SERVICES...]", "Display the running processes", ANY, top)
PORT = ComposeCommand(
    "SERVICE PRIVATE_PORT",
    "Print the public port for a port binding",
    TWO,
    port,
    (
        Flag("index", INT, "The number of the container, if its service has several"),
        Flag("protocol", STRING, "tcp or udp", default='"tcp"'),
    ),
)
IMAGES = ComposeCommand(
    "[SERVICE...]", "List images used by the created containers", ANY, images, (_FORM, _QUIET)
)
VOLUMES = ComposeCommand(
    "[SERVICE...]",
    "List volumes",
    ANY,
    volumes,
    (Flag("format", STRING, "How to print: table, json, or a Go template"), _QUIET),
)
LS = ComposeCommand(
    "",
    "List running compose projects",
    NONE,
    projects,
    (
        Flag("all", SWITCH, "Show stopped projects too", short="a"),
        Flag("filter", FILTER, "Show only what matches (name=PART)"),
        _FORM,
        _QUIET,
    ),
)
STATS = ComposeCommand(
    "[SERVICE]",
    "Display a live stream of container(s) resource usage statistics",
    AT_MOST_ONE,
    show_stats,
    stats.STATS.flags,
)
EVENTS = ComposeCommand(
    "[SERVICE...]",
    "Receive real time events from containers",
    ANY,
    show_events,
    (
        Flag("json", SWITCH, "Each event as a JSON object"),
        Flag("since", STRING, "Events since a moment or a span back from now"),
        Flag("until", STRING, "Events until a moment"),
    ),
)
