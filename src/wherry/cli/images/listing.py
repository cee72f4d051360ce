"""`images` and `image ls`."""

from typing import NamedTuple

from wherry.cli import rows
from wherry.cli.command import AT_MOST_ONE, Command
from wherry.cli.durations import ago, go_time
from wherry.cli.flags import FILTER, STRING, SWITCH, Flag, Parsed, filters_of
from wherry.cli.images.references import parse_reference
from wherry.cli.images.tree import check_flags, show_tree
from wherry.cli.session import Session
from wherry.cli.texts import short_id
from wherry.client.documents import Document, number, text, texts
from wherry.kit.byte_sizes import human_size, human_size_short

_RAW = """\
repository: {{.Repository}}
tag: {{.Tag}}%s
image_id: {{.ID}}
created_at: {{.CreatedAt}}
virtual_size: {{.Size}}
"""
NONE = "<none>"
UNKNOWN = "N/A"


class ImageRow(NamedTuple):
    """One name of an image; an image has a row for each."""

    image: Document
    repository: str
    tag: str
    digest: str


def run(session: Session, parsed: Parsed) -> int:
    """List images."""
    filters = filters_of(parsed)
    if parsed.arguments:
        filters.setdefault("reference", []).append(parsed.arguments[0])
    wants_tree = parsed.is_on("tree")
    if wants_tree:
        check_flags(parsed)
    found = session.client.images.list(
        all_layers=parsed.is_on("all"), filters=filters, with_manifests=wants_tree
    )
    if wants_tree:
        show_tree(session, found)
        return 0
    form = parsed.text("format")
    if not form and not parsed.is_on("quiet"):
        form = session.setting("imagesFormat")
    shows_digests = parsed.is_on("digests")
    needs_digests = shows_digests or ".Digest" in form
    listed = [row for image in found for row in _rows_of(image, with_digests=needs_digests)]
    columns = image_columns(truncates=not parsed.is_on("no-trunc"))
    digest = ("Digest",) if shows_digests else ()
    rows.show(
        session,
        listed,
        columns,
        ("Repository", "Tag", *digest, "ID", "CreatedSince", "Size"),
        form=form,
        is_quiet=parsed.is_on("quiet"),
        raw=_RAW % ("\ndigest: {{.Digest}}" if shows_digests else ""),
    )
    return 0


def image_columns(*, truncates: bool) -> rows.Columns[ImageRow]:
    """What a template may ask of an image in a list."""
    column = rows.Column[ImageRow]

    def identifier(row: ImageRow) -> str:
        return short_id(text(row.image, "Id")) if truncates else text(row.image, "Id")

    columns: tuple[rows.Column[ImageRow], ...] = (
        column("ID", "IMAGE ID", identifier),
        column("Repository", "REPOSITORY", lambda row: row.repository),
        column("Tag", "TAG", lambda row: row.tag),
        column("Digest", "DIGEST", lambda row: row.digest),
        column("CreatedSince", "CREATED", lambda row: _created_since(row.image)),
        column("CreatedAt", "CREATED AT", lambda row: go_time(number(row.image, "Created"))),
        column("Size", "SIZE", lambda row: human_size_short(number(row.image, "Size"))),
        column("Containers", "CONTAINERS", lambda row: _count(row.image, "Containers")),
        column("VirtualSize", "SIZE", lambda row: human_size(number(row.image, "Size"))),
        column("SharedSize", "SHARED SIZE", lambda row: _size(row.image, "SharedSize")),
        column("UniqueSize", "UNIQUE SIZE", _unique_size),
    )
    return rows.Columns[ImageRow](type_name="formatter.imageContext", columns=columns)


def image_rows(image: Document) -> list[ImageRow]:
    """The rows of one image, without digests."""
    return _rows_of(image, with_digests=False)


def _rows_of(image: Document, *, with_digests: bool) -> list[ImageRow]:
    """A row per tag, with each digest of its repository; then digests that have no tag."""
    tags = _by_repository(texts(image, "RepoTags"))
    digests = _by_repository(texts(image, "RepoDigests"))
    if not tags and not digests:
        return [ImageRow(image, NONE, NONE, NONE)]
    result = []
    for repository, names in tags.items():
        own = digests.pop(repository, []) if with_digests else []
        digests.pop(repository, None)
        result += [
            ImageRow(image, repository, tag, digest) for tag in names for digest in own or [NONE]
        ]
    for repository, names in digests.items():
        shown = names if with_digests else [""]
        result += [ImageRow(image, repository, NONE, digest) for digest in shown]
    return result


def _by_repository(references: list[str]) -> dict[str, list[str]]:
    """Tags or digests by the familiar name of their repository."""
    result: dict[str, list[str]] = {}
    for each in references:
        try:
            reference = parse_reference(each)
        except ValueError:
            continue  # `<none>:<none>` of older engines
        name = reference.tag or reference.digest
        if name:
            result.setdefault(reference.familiar_name, []).append(name)
    return result


def _created_since(image: Document) -> str:
    created = number(image, "Created")
    return ago(created) if created > 0 else UNKNOWN


def _count(image: Document, key: str) -> str:
    count = number(image, key) if key in image else -1
    return str(count) if count >= 0 else UNKNOWN


def _size(image: Document, key: str) -> str:
    size = number(image, key) if key in image else -1
    return human_size(size) if size >= 0 else UNKNOWN


def _unique_size(row: ImageRow) -> str:
    shared = number(row.image, "SharedSize") if "SharedSize" in row.image else -1
    return human_size(number(row.image, "Size") - shared) if shared >= 0 else UNKNOWN


LIST = Command(
    shape="[REPOSITORY[:TAG]]",
    summary="List images",
    arguments=AT_MOST_ONE,
    run=run,
    flags=(
        Flag("all", SWITCH, "Show intermediate images too", short="a"),
        Flag("digests", SWITCH, "Show digests"),
        Flag("filter", FILTER, "Show only what matches, as name=value", short="f"),
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("no-trunc", SWITCH, "Show ids in full"),
        Flag("quiet", SWITCH, "Show ids only", short="q"),
        Flag("tree", SWITCH, "Show the images of several platforms below their name"),
    ),
)
