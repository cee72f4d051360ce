"""OCI layouts as directories: what skopeo calls `oci:DIR`, from an archive and back."""

import os
import re
import tarfile
from collections.abc import Iterable, Iterator

from wherry.cli.failures import CommandFailed
from wherry.cli.local_trees import ReadablePieces, pack
from wherry.kit.directories import remove_directory

_PARTS = re.compile(r"index\.json|oci-layout|blobs/sha256/[0-9a-f]{64}")
"""What a layout has. The lists for older engines, which an archive has too, are left out."""


def pieces_of_directory(path: str) -> Iterator[bytes]:
    """A layout as an archive. Raises: CommandFailed."""
    if not os.path.isfile(f"{path}/oci-layout"):
        raise CommandFailed(f"{path} is a directory, and no OCI layout: it has no file oci-layout")
    return pack(path, ".")


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
