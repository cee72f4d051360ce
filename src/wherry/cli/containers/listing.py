"""`ps` and `container ls`."""

from wherry.cli import rows
from wherry.cli.command import NONE, Command
from wherry.cli.durations import ago, go_time
from wherry.cli.flags import FILTER, INT, STRING, SWITCH, Flag, Parsed, filters_of
from wherry.cli.images.references import without_digest
from wherry.cli.session import Session
from wherry.cli.texts import ellipsis, quoted, short_id
from wherry.client.documents import Document, child, children, mapping, number, text, texts
from wherry.kit.byte_sizes import human_size_short
from wherry.kit.urls import with_port

COMMAND_WIDTH, MOUNT_WIDTH = 20, 15

_DEFAULT = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")

_IGNORED = "WARNING: Ignoring custom format, because both --format and --quiet are set."
_RAW = """\
container_id: {{.ID}}
image: {{.Image}}
command: {{.Command}}
created_at: {{.CreatedAt}}
state: {{- pad .State 1 0}}
status: {{- pad .Status 1 0}}
names: {{.Names}}
labels: {{- pad .Labels 1 0}}
ports: {{- pad .Ports 1 0}}
"""


def run(session: Session, parsed: Parsed) -> int:
    """List containers."""
    is_quiet = parsed.is_on("quiet")
    form = parsed.text("format")
    if not form:
        form = "" if is_quiet else session.setting("psFormat")
    elif is_quiet:
        session.complain(_IGNORED)
    limit = parsed.number("last", -1)
    if parsed.is_on("latest"):
        limit = 1
    shows_size = parsed.is_on("size")
    columns = container_columns(truncates=not parsed.is_on("no-trunc"))
    blank: Document = {}
    needs_size = shows_size
    if not (needs_size or is_quiet or rows.wants_table(form)):
        needs_size = "Size" in rows.columns_used(columns, blank, form)
    found = session.client.containers.list(
        all_states=parsed.is_on("all") or limit > 0,
        limit=limit,
        with_size=needs_size,
        filters=filters_of(parsed),
    )
    if is_quiet and form != "raw" and not rows.wants_table(form):
        form = "{{.ID}}"
    size = ("Size",) if shows_size else ()
    raw = _RAW + "size: {{.Size}}\n" if shows_size else _RAW
    rows.show(session, found, columns, (*_DEFAULT, *size), form=form, is_quiet=is_quiet, raw=raw)
    return 0


def container_columns(*, truncates: bool) -> rows.Columns[Document]:
    """What a template may ask of a container in a list."""
    column = rows.Column[Document]

    def identifier(row: Document) -> str:
        return short_id(text(row, "Id")) if truncates else text(row, "Id")

    def command(row: Document) -> str:
        line = text(row, "Command")
        return quoted(ellipsis(line, COMMAND_WIDTH) if truncates else line)

    columns: tuple[rows.Column[Document], ...] = (
        column("ID", "CONTAINER ID", identifier),
        column("Image", "IMAGE", lambda row: _image(row, truncates=truncates)),
        column("Command", "COMMAND", command),
        column("CreatedAt", "CREATED AT", lambda row: go_time(number(row, "Created"))),
        column("RunningFor", "CREATED", lambda row: ago(number(row, "Created"))),
        column("Status", "STATUS", lambda row: text(row, "Status")),
        column("State", "STATE", lambda row: text(row, "State")),
        column("Ports", "PORTS", lambda row: displayed_ports(children(row, "Ports"))),
        column("Names", "NAMES", lambda row: _names(row, truncates=truncates)),
        column("Size", "SIZE", _size),
        column("Labels", "LABELS", _labels),
        column("Mounts", "MOUNTS", lambda row: ",".join(_mounts(row, truncates=truncates))),
        column("LocalVolumes", "LOCAL VOLUMES", _local_volumes),
        column("Networks", "NETWORKS", _networks),
        column("Platform", "PLATFORM", lambda row: _platform(row) or "<nil>"),
    )
    return rows.Columns[Document](
        type_name="formatter.ContainerContext",
        columns=columns,
        label=lambda row, key: mapping(row, "Labels").get(key, ""),
        as_json=lambda row: {
            each.name: _platform(row) if each.name == "Platform" else each.text(row)
            for each in columns
        },
    )


def displayed_ports(ports: list[Document]) -> str:
    """Ports as a list shows them: runs of neighbours drawn together, moved ones last."""
    spans: dict[tuple[str, str], list[int]] = {}
    done: list[str] = []
    moved: list[str] = []
    for port in sorted(ports, key=_port_order):
        private, public = number(port, "PrivatePort"), number(port, "PublicPort")
        address, protocol = text(port, "IP"), text(port, "Type")
        if address and public != private:
            moved.append(f"{with_port(address, public)}->{private}/{protocol}")
            continue
        span = spans.get((address, protocol))
        if span is not None and private == span[1] + 1:
            span[1] = private
            continue
        if span is not None:
            done.append(_span(address, protocol, span))
            span[:] = [private, private]
        else:
            spans[address, protocol] = [private, private]
    done += [_span(address, protocol, span) for (address, protocol), span in spans.items()]
    return ", ".join(done + moved)


def _port_order(port: Document) -> tuple[int, str, int, str]:
    return (
        number(port, "PrivatePort"), text(port, "IP"), number(port, "PublicPort"),
        text(port, "Type"),
    )  # fmt: skip


def _span(address: str, protocol: str, span: list[int]) -> str:
    first, last = span
    shown = str(first) if first == last else f"{first}-{last}"
    arrow = f"{with_port(address, shown)}->" if address else ""
    return f"{arrow}{shown}/{protocol}"


def _image(row: Document, *, truncates: bool) -> str:
    image = text(row, "Image")
    if not image:
        return "<no image>"
    if not truncates:
        return image
    if short_id(text(row, "ImageID")) == short_id(image):
        return short_id(image)
    return without_digest(image)


def _names(row: Document, *, truncates: bool) -> str:
    names = [name.removeprefix("/") for name in texts(row, "Names")]
    if truncates:
        # A link adds a name below the other container's: /web/db.
        names = [name for name in names if "/" not in name]
    return ",".join(names)


def _size(row: Document) -> str:
    written = human_size_short(number(row, "SizeRw"))
    total = number(row, "SizeRootFs")
    return f"{written} (virtual {human_size_short(total)})" if total > 0 else written


def _labels(row: Document) -> str:
    return ",".join(sorted(f"{key}={value}" for key, value in mapping(row, "Labels").items()))


def _mounts(row: Document, *, truncates: bool) -> list[str]:
    names = [text(mount, "Name") or text(mount, "Source") for mount in children(row, "Mounts")]
    return [ellipsis(name, MOUNT_WIDTH) for name in names] if truncates else names


def _local_volumes(row: Document) -> str:
    return str(sum(text(mount, "Driver") == "local" for mount in children(row, "Mounts")))


def _networks(row: Document) -> str:
    return ",".join(sorted(child(child(row, "NetworkSettings"), "Networks")))


def _platform(row: Document) -> str | None:
    platform = child(child(row, "ImageManifestDescriptor"), "platform")
    parts = [text(platform, key) for key in ("os", "architecture", "variant")]
    return "/".join(part for part in parts if part) or None


LIST = Command(
    shape="",
    summary="List containers",
    arguments=NONE,
    run=run,
    flags=(
        Flag("all", SWITCH, "Show stopped containers too", short="a"),
        Flag("filter", FILTER, "Show only what matches, as name=value", short="f"),
        Flag(
            "format",
            STRING,
            "How to print:\n'table': a table with headers (default)\n"
            "'table TEMPLATE': a table of a Go template's columns\n"
            "'json': a JSON object per line\n'TEMPLATE': a Go template",
        ),
        Flag("last", INT, "Show the n newest containers, in any state", "n", default="-1"),
        Flag("latest", SWITCH, "Show the newest container, in any state", short="l"),
        Flag("no-trunc", SWITCH, "Show ids and commands in full"),
        Flag("quiet", SWITCH, "Show ids only", short="q"),
        Flag("size", SWITCH, "Show sizes of files", short="s"),
    ),
)
