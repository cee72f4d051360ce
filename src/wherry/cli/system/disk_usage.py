"""`system df`: what takes space, in sums or piece by piece."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from wherry.cli import rows
from wherry.cli.command import NONE, Command
from wherry.cli.containers.listing import container_columns
from wherry.cli.durations import ago
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.images.listing import image_columns, image_rows
from wherry.cli.session import Session
from wherry.client.documents import (
    Document,
    child,
    children,
    document,
    mapping,
    number,
    text,
    texts,
)
from wherry.kit.byte_sizes import human_size, human_size_short
from wherry.kit.timestamps import parse_rfc3339

_ACTIVE_STATES = ("running", "paused", "restarting")
_SUMMARY = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
_IMAGE = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize",
          "Containers")  # fmt: skip
_BUILD = ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared")
_CONTAINER = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
Row = TypeVar("Row")


def run(session: Session, parsed: Parsed) -> int:
    """Print sums by kind, or with `--verbose` each image, container and volume."""
    usage = session.client.system.disk_usage()
    form = parsed.text("format")
    if parsed.is_on("verbose"):
        _show_pieces(session, usage, form)
        return 0
    found = _sums(usage)
    rows.show(session, found, _COLUMNS, _SUMMARY, form=form)
    return 0


# -- sums ------------------------------------------------------------------------------------


def _sums(usage: Document) -> list[dict[str, str]]:
    return [
        _images(usage),
        _containers(children(usage, "Containers")),
        _volumes(children(usage, "Volumes")),
        _builds(children(usage, "BuildCache")),
    ]


def _images(usage: Document) -> dict[str, str]:
    images = children(usage, "Images")
    used = [each for each in images if number(each, "Containers") > 0]
    total = number(usage, "LayersSize")
    own = sum(number(each, "Size") - number(each, "SharedSize") for each in used
              if number(each, "SharedSize") >= 0)  # fmt: skip
    return _sum("Images", len(images), len(used), total, _share(total - own, total, always=True))


def _containers(containers: Sequence[Document]) -> dict[str, str]:
    active = [each for each in containers if text(each, "State") in _ACTIVE_STATES]
    total = sum(number(each, "SizeRw") for each in containers)
    freed = total - sum(number(each, "SizeRw") for each in active)
    return _sum("Containers", len(containers), len(active), total, _share(freed, total))


def _volumes(volumes: Sequence[Document]) -> dict[str, str]:
    def size(volume: Document) -> int:
        return max(0, number(child(volume, "UsageData"), "Size"))

    used = [each for each in volumes if number(child(each, "UsageData"), "RefCount") > 0]
    total = sum(map(size, volumes))
    freed = total - sum(map(size, used))
    return _sum("Local Volumes", len(volumes), len(used), total, _share(freed, total))


def _builds(records: Sequence[Document]) -> dict[str, str]:
    used = [each for each in records if each.get("InUse")]
    total = _own_bytes(records)
    freed = total - _own_bytes(used)
    return _sum("Build Cache", len(records), len(used), total, human_size(freed))


def _own_bytes(records: Sequence[Document]) -> int:
    """What records of the build cache take that no image has too."""
    return sum(number(each, "Size") for each in records if not each.get("Shared"))


def _share(freed: int, total: int, *, always: bool = False) -> str:
    if total <= 0:
        return f"{human_size(0)} (0%)" if always and freed else human_size(max(freed, 0))
    return f"{human_size(freed)} ({freed * 100 // total}%)"


def _sum(kind: str, count: int, active: int, size: int, reclaimable: str) -> dict[str, str]:
    return {
        "Type": kind,
        "TotalCount": str(count),
        "Active": str(active),
        "Size": human_size(size),
        "Reclaimable": reclaimable,
    }


def _cell(name: str) -> Callable[[dict[str, str]], str]:
    return lambda row: row[name]


_HEADERS = {"TotalCount": "TOTAL"}
_COLUMNS = rows.Columns[dict[str, str]](
    "formatter.diskUsageImagesContext",
    [
        rows.Column[dict[str, str]](name, _HEADERS.get(name, name.upper()), _cell(name))
        for name in _SUMMARY
    ],
)


# -- pieces ----------------------------------------------------------------------------------


def _show_pieces(session: Session, usage: Document, form: str) -> None:
    images = [row for each in children(usage, "Images") for row in image_rows(each)]
    containers = [_without_image(each) for each in children(usage, "Containers")]
    volumes = children(usage, "Volumes")
    builds = sorted(
        children(usage, "BuildCache"),
        key=lambda each: (text(each, "LastUsedAt"), text(each, "ID")),
    )
    of_images = image_columns(truncates=not form)
    of_containers = container_columns(truncates=not form)
    if not rows.wants_table(form):
        pieces: Document = {
            "Images": [_as_document(of_images, row) for row in images],
            "Containers": [_as_document(of_containers, row) for row in containers],
            "Volumes": [_as_document(_VOLUMES, row) for row in volumes],
            "BuildCache": [_as_document(_BUILDS, row) for row in builds],
        }
        from wherry.cli.inspecting import show_documents

        show_documents(session, "{{json .}}" if form == "json" else form, [pieces], end="")
        return
    session.say("Images space usage:\n")
    rows.show_table(session, images, of_images, _IMAGE)
    session.say("\nContainers space usage:\n")
    rows.show_table(session, containers, of_containers, _CONTAINER)
    session.say("\nLocal Volumes space usage:\n")
    rows.show_table(session, volumes, _VOLUMES, ("Name", "Links", "Size"))
    session.say(f"\nBuild cache usage: {human_size(_own_bytes(builds))}\n")
    rows.show_table(session, builds, _BUILDS, _BUILD)


def _without_image(container: Document) -> Document:
    """Here a container's size is its own layer's alone."""
    return {key: value for key, value in container.items() if key != "SizeRootFs"}


def _as_document(columns: rows.Columns[Row], row: Row) -> Document:
    if columns.as_json is not None:
        return document(dict(columns.as_json(row)))
    return {each.name: each.text(row) for each in columns.columns}


def _since(moment: str) -> str:
    return ago(parse_rfc3339(moment) / 1e9) if moment else ""


def _claim(row: Document, name: str) -> str:
    return "true" if row.get(name) else "false"


def _volume_size(volume: Document) -> str:
    size = number(child(volume, "UsageData"), "Size")
    return human_size(size) if size >= 0 else "N/A"


_VOLUMES = rows.Columns[Document](
    "formatter.volumeContext",
    (
        rows.Column[Document]("Name", "VOLUME NAME", lambda row: text(row, "Name")),
        rows.Column[Document](
            "Links", "LINKS", lambda row: str(number(child(row, "UsageData"), "RefCount"))
        ),
        rows.Column[Document]("Size", "SIZE", _volume_size),
        rows.Column[Document]("Driver", "DRIVER", lambda row: text(row, "Driver")),
        rows.Column[Document]("Mountpoint", "MOUNTPOINT", lambda row: text(row, "Mountpoint")),
        rows.Column[Document]("Scope", "SCOPE", lambda row: text(row, "Scope")),
        rows.Column[Document](
            "Labels",
            "LABELS",
            lambda row: ",".join(f"{k}={v}" for k, v in sorted(mapping(row, "Labels").items())),
        ),
        *(
            rows.Column[Document](name, name.upper(), lambda row: "N/A")
            for name in ("Availability", "Group", "Status")
        ),
    ),
)

_BUILDS = rows.Columns[Document](
    "formatter.buildCacheContext",
    (
        rows.Column[Document]("ID", "CACHE ID", lambda row: text(row, "ID")[:12]),
        rows.Column[Document]("CacheType", "CACHE TYPE", lambda row: text(row, "Type")),
        rows.Column[Document]("Size", "SIZE", lambda row: human_size_short(number(row, "Size"))),
        rows.Column[Document](
            "CreatedSince", "CREATED", lambda row: _since(text(row, "CreatedAt"))
        ),
        rows.Column[Document](
            "LastUsedSince", "LAST USED", lambda row: _since(text(row, "LastUsedAt"))
        ),
        rows.Column[Document]("UsageCount", "USAGE", lambda row: str(number(row, "UsageCount"))),
        rows.Column[Document]("Shared", "SHARED", lambda row: _claim(row, "Shared")),
        rows.Column[Document]("InUse", "IN USE", lambda row: _claim(row, "InUse")),
        rows.Column[Document]("Description", "DESCRIPTION", lambda row: text(row, "Description")),
        rows.Column[Document]("Parent", "PARENT", lambda row: ",".join(texts(row, "Parents"))),
    ),
)


DF = Command(
    shape="",
    summary="Show the engine's disk usage",
    arguments=NONE,
    run=run,
    flags=(
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("verbose", SWITCH, "Show each image, container and volume", short="v"),
    ),
)
