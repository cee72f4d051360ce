"""`container prune`, `image prune`, `builder prune`, `system prune`: remove what nobody uses.

Each asks first.
"""

import sys
from collections.abc import Mapping, Sequence

from wherry.cli.command import NONE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import BYTES, FILTER, SWITCH, Flag, Parsed, filters_of
from wherry.cli.session import Session
from wherry.client.documents import Document, children, number, text, texts
from wherry.kit.byte_sizes import human_size

_QUESTION = "Are you sure you want to continue? [y/N] "
Filters = dict[str, list[str]]


def confirmed(session: Session, warning: str) -> bool:
    """Whether the user says yes to a warning. An end of input is no."""
    session.out.write(f"{warning}\n{_QUESTION}")
    session.out.flush()
    return sys.stdin.readline().strip().lower() == "y"


# -- one kind --------------------------------------------------------------------------------


def prune_containers(session: Session, parsed: Parsed) -> int:
    """Remove stopped containers."""
    warning = "WARNING! This will remove all stopped containers."
    if not parsed.is_on("force") and not confirmed(session, warning):
        return 0
    freed = _containers(session, filters_of(parsed))
    session.say(f"Total reclaimed space: {human_size(freed)}")
    return 0


def prune_images(session: Session, parsed: Parsed) -> int:
    """Remove images without a name, or with `--all` all that no container uses."""
    takes_all = parsed.is_on("all")
    warning = (
        "WARNING! This will remove all images without at least one container associated to them."
        if takes_all
        else "WARNING! This will remove all dangling images."
    )
    if not parsed.is_on("force") and not confirmed(session, warning):
        return 0
    freed = _images(session, filters_of(parsed), takes_all=takes_all)
    session.say(f"Total reclaimed space: {human_size(freed)}")
    return 0


def prune_builds(session: Session, parsed: Parsed) -> int:
    """Remove what builds have kept, but for what images have too; with `--all` that as well."""
    takes_all = parsed.is_on("all")
    which = "all build cache" if takes_all else "all dangling build cache"
    if not parsed.is_on("force") and not confirmed(session, f"WARNING! This will remove {which}."):
        return 0
    limits = {name: parsed.number(flag) for flag, name in _CACHE_LIMITS if parsed.was_given(flag)}
    freed = _builds(session, filters_of(parsed), takes_all=takes_all, limits=limits)
    session.say(f"Total reclaimed space: {human_size(freed)}")
    return 0


def _builds(
    session: Session, filters: Filters, *, takes_all: bool, limits: Mapping[str, int]
) -> int:
    answer = session.client.system.prune_builds(filters, takes_all=takes_all, limits=limits)
    _show_deleted(session, "Deleted build cache objects:", texts(answer, "CachesDeleted"))
    return number(answer, "SpaceReclaimed")


def _containers(session: Session, filters: Filters) -> int:
    answer = session.client.system.prune("containers", filters)
    _show_deleted(session, "Deleted Containers:", texts(answer, "ContainersDeleted"))
    return number(answer, "SpaceReclaimed")


def _images(session: Session, filters: Filters, *, takes_all: bool) -> int:
    answer = session.client.system.prune(
        "images",
        {
            **filters,
            "dangling": ["false" if takes_all else "true", *filters.get("dangling", [])],
        },
    )
    lines = [_image_line(each) for each in children(answer, "ImagesDeleted")]
    _show_deleted(session, "Deleted Images:", lines)
    return number(answer, "SpaceReclaimed")


def _image_line(deletion: Document) -> str:
    untagged = text(deletion, "Untagged")
    return f"untagged: {untagged}" if untagged else f"deleted: {text(deletion, 'Deleted')}"


def _show_deleted(session: Session, title: str, lines: Sequence[str]) -> None:
    if lines:
        session.say("\n".join([title, *lines, ""]))


# -- everything ------------------------------------------------------------------------------


def prune_system(session: Session, parsed: Parsed) -> int:
    """Remove containers, networks, images, and with `--volumes` anonymous volumes."""
    filters = filters_of(parsed)
    takes_all, takes_volumes = parsed.is_on("all"), parsed.is_on("volumes")
    if takes_volumes and "until" in filters:
        raise CommandFailed('ERROR: The "until" filter is not supported with "--volumes"')
    warning = _warning(filters, takes_all=takes_all, takes_volumes=takes_volumes)
    if not parsed.is_on("force") and not confirmed(session, warning):
        return 0
    freed = _containers(session, filters)
    networks = session.client.system.prune("networks", filters)
    _show_deleted(session, "Deleted Networks:", texts(networks, "NetworksDeleted"))
    if takes_volumes:
        volumes = session.client.system.prune("volumes", filters)
        _show_deleted(session, "Deleted Volumes:", texts(volumes, "VolumesDeleted"))
        freed += number(volumes, "SpaceReclaimed")
    freed += _images(session, filters, takes_all=takes_all)
    by_time = {name: values for name, values in filters.items() if name == "until"}
    if by_time == filters:
        freed += _builds(session, by_time, takes_all=takes_all, limits={})
    session.say(f"Total reclaimed space: {human_size(freed)}")
    return 0


def _warning(filters: Filters, *, takes_all: bool, takes_volumes: bool) -> str:
    lines = ["all stopped containers", "all networks not used by at least one container"]
    if takes_volumes:
        lines.append("all anonymous volumes not used by at least one container")
    lines.append(
        "all images without at least one container associated to them"
        if takes_all
        else "all dangling images"
    )
    lines.append("all build cache" if takes_all else "unused build cache")
    text_lines = ["WARNING! This will remove:", *(f"  - {line}" for line in lines)]
    if filters:
        text_lines += ["", "  Items to be pruned will be filtered with:"]
        pairs = ((name, value) for name in sorted(filters) for value in filters[name])
        text_lines += [f"  - {name}={value}" for name, value in pairs]
    return "\n".join([*text_lines, ""])


_FILTER = Flag("filter", FILTER, 'Provide filter values ("until=24h", "label=key=value")')
_FORCE = Flag("force", SWITCH, "Do not prompt for confirmation", short="f")

_CACHE_LIMITS = (
    ("reserved-space", "reserved-space"),
    ("keep-storage", "reserved-space"),
    ("max-used-space", "max-used-space"),
    ("min-free-space", "min-free-space"),
)

BUILDS = Command(
    "", "Remove what builds have kept", NONE, prune_builds,
    (Flag("all", SWITCH, "Remove all of it, also what images have too", short="a"),
     Flag("filter", FILTER, 'Provide filter values ("until=24h")'), _FORCE,
     Flag("keep-storage", BYTES, "Space that is left to it (as reserved-space)"),
     Flag("max-used-space", BYTES, "Space that it may take at most"),
     Flag("min-free-space", BYTES, "Space of the disk that is to be free afterwards"),
     Flag("reserved-space", BYTES, "Space that is always left to it")),
)  # fmt: skip
CONTAINERS = Command("", "Remove all stopped containers", NONE, prune_containers,
                     (_FILTER, _FORCE))  # fmt: skip
IMAGES = Command(
    "", "Remove unused images", NONE, prune_images,
    (Flag("all", SWITCH, "Remove all unused images, not just dangling ones", short="a"),
     _FILTER, _FORCE),
)  # fmt: skip
SYSTEM = Command(
    "", "Remove unused data", NONE, prune_system,
    (Flag("all", SWITCH, "Remove all unused images, not just dangling ones", short="a"),
     _FILTER, _FORCE, Flag("volumes", SWITCH, "Prune anonymous volumes")),
)  # fmt: skip
