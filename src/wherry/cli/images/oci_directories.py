"""OCI layouts as directories: what skopeo calls `oci:DIR`, from an archive and back."""

import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress

from wherry.cli.failures import CommandFailed
from wherry.cli.local_trees import ReadablePieces, pack
from wherry.client.documents import child, children, document, parse, text
from wherry.kit.directories import remove_directory

_TAG = "org.opencontainers.image.ref.name"
_PARTS = re.compile(r"index\.json|oci-layout|blobs/sha256/[0-9a-f]{64}")
"""What a layout has. The lists for older engines, which an archive has too, are left out."""


def pieces_of_directory(path: str) -> Iterator[bytes]:
    """A layout as an archive. Raises: CommandFailed."""
    if not os.path.isfile(f"{path}/oci-layout"):
        raise CommandFailed(f"{path} is a directory, and no OCI layout: it has no file oci-layout")
    return pack(path, ".")


def digest_in_directory(path: str, tag: str) -> str:
    """What a layout's index says of a tag, or of all that it has. Raises: CommandFailed."""
    try:
        with open(f"{path}/index.json", "rb") as file:
            entries = children(document(parse(file.read())), "manifests")
    except (OSError, ValueError) as problem:
        raise CommandFailed(f"{path} is no OCI layout: {problem}") from None
    named = [each for each in entries if text(child(each, "annotations"), _TAG) == tag]
    chosen = named or (entries[-1:] if not tag or len(entries) == 1 else [])
    if not chosen:
        raise CommandFailed(f"{path}: no manifest has the tag {tag}")
    return text(chosen[0], "digest")


def add_to_directory(path: str, archive: Iterable[bytes], tag: str) -> None:
    """Put the layout of an archive into a directory, where others may be. Raises: OSError."""
    staged = f"{path}/.{os.getpid()}.part"
    os.makedirs(f"{staged}/blobs/sha256")
    try:
        _unpack(archive, staged)
        os.makedirs(f"{path}/blobs/sha256", exist_ok=True)
        for blob in os.listdir(f"{staged}/blobs/sha256"):
            os.replace(f"{staged}/blobs/sha256/{blob}", f"{path}/blobs/sha256/{blob}")
        os.replace(f"{staged}/oci-layout", f"{path}/oci-layout")
        _add_to_index(path, staged, tag)
    finally:
        remove_directory(staged)


def _add_to_index(path: str, staged: str, tag: str) -> None:
    """The new entries, and the old ones of other tags."""
    with open(f"{staged}/index.json", "rb") as file:
        index = document(parse(file.read()))
    added = children(index, "manifests")
    for each in added:
        each["annotations"] = {**child(each, "annotations"), **({_TAG: tag} if tag else {})}
    with suppress(OSError, ValueError), open(f"{path}/index.json", "rb") as file:
        names = {text(child(each, "annotations"), _TAG) for each in added}
        old = children(document(parse(file.read())), "manifests")
        added += [each for each in old if text(child(each, "annotations"), _TAG) not in names]
    index["manifests"] = [*added]
    with open(f"{staged}/index.json", "w") as file:
        json.dump(index, file)
    os.replace(f"{staged}/index.json", f"{path}/index.json")


def write_directory(path: str, archive: Iterable[bytes]) -> None:
    """The layout of an archive as a new directory, whole or not at all. Raises: CommandFailed."""
    if os.path.lexists(path):
        raise CommandFailed(f"failed to save image: {path} exists already")
    staged = f"{path}.{os.getpid()}.part"
    os.makedirs(f"{staged}/blobs/sha256")
    try:
        _unpack(archive, staged)
        os.rename(staged, path)
    except BaseException:
        remove_directory(staged)
        raise


def _unpack(archive: Iterable[bytes], directory: str) -> None:
    with tarfile.open(fileobj=ReadablePieces(archive), mode="r|") as members:
        for member in members:
            content = members.extractfile(member)
            if content is None or not _PARTS.fullmatch(member.name):
                continue
            with open(f"{directory}/{member.name}", "xb") as file:
                while piece := content.read(1 << 20):
                    file.write(piece)
