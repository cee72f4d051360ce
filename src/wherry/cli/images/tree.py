"""`images --tree`: each name with the images that it leads to, one for each platform."""

from collections.abc import Sequence

from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Parsed
from wherry.cli.session import Session
from wherry.cli.tables import table
from wherry.cli.texts import short_id
from wherry.client.documents import Document, child, children, number, text, texts
from wherry.kit.byte_sizes import human_size_short

_HEADS = ("IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "IN USE")
_EXCLUDED = ("quiet", "no-trunc", "digests", "format")


def check_flags(parsed: Parsed) -> None:
    """Raises: CommandFailed for a flag that goes with lists only."""
    for name in _EXCLUDED:
        if parsed.text(name) if name == "format" else parsed.is_on(name):
            raise CommandFailed(f"--{name} is not yet supported with --tree")


def show_tree(session: Session, images: Sequence[Document]) -> None:
    """Print it."""
    lines: list[Sequence[str]] = [_HEADS]
    for image in images:
        manifests = children(image, "Manifests")
        *others, last = texts(image, "RepoTags") or ["<untagged>"]
        lines += [(name, "", "", "", "") for name in others]
        content = sum(number(child(each, "Size"), "Content") for each in manifests)
        is_used = any(texts(child(each, "ImageData"), "Containers") for each in manifests)
        lines.append(
            _line(last, text(image, "Id"), number(image, "Size"), content, is_used=is_used)
        )
        for position, each in enumerate(manifests, 1):
            lines.append(_branch(each, "└─" if position == len(manifests) else "├─"))
    session.say(table(lines).rstrip("\n"))


def _branch(manifest: Document, sign: str) -> Sequence[str]:
    of, size = child(manifest, "ImageData"), child(manifest, "Size")
    platform = child(of, "Platform")
    parts = (text(platform, key) for key in ("os", "architecture", "variant"))
    return _line(
        f"{sign} {'/'.join(filter(None, parts))}",
        text(manifest, "ID"),
        number(size, "Total"),
        number(size, "Content"),
        is_used=bool(texts(of, "Containers")),
    )


def _line(name: str, identity: str, disk: int, content: int, *, is_used: bool) -> Sequence[str]:
    sizes = (human_size_short(disk), human_size_short(content))
    return (name, short_id(identity), *sizes, "yes" if is_used else "")
