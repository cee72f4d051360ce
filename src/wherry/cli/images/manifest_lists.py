"""Indexes in the making: what `manifest create` began and `manifest push` will send.

They are kept as docker keeps them, so that either program goes on with what the other began:

    manifests/LIST/MEMBER    one JSON document per image: reference, descriptor, manifest

where LIST and MEMBER are references with `/` as `_` and `:` as `-`.
"""

import base64
import binascii
import json
import os
import shutil
from typing import NamedTuple

from wherry.cli.failures import CommandFailed
from wherry.client.documents import Document, Json, child, document, parse, text, texts
from wherry.kit.atomic_files import write_atomically

_OCI = "application/vnd.oci.image.manifest.v1+json"
_SYSTEMS = {
    "darwin": "386 amd64 arm arm64",
    "dragonfly": "amd64",
    "freebsd": "386 amd64 arm",
    "linux": "386 amd64 arm arm64 loong64 mips64 mips64le ppc64le riscv64 s390x",
    "netbsd": "386 amd64 arm",
    "openbsd": "386 amd64 arm",
    "plan9": "386 amd64",
    "solaris": "amd64",
    "windows": "386 amd64 arm arm64",
}


class Member(NamedTuple):
    """One image of an index."""

    reference: str
    media_type: str
    digest: str
    content: bytes
    """The manifest, as its digest is of it."""
    platform: Document

    def as_document(self) -> Document:
        """As it is kept, and as `inspect --verbose` shows it."""
        kind = "OCIManifest" if self.media_type == _OCI else "SchemaV2Manifest"
        return {
            "Ref": self.reference,
            "Descriptor": {
                "mediaType": self.media_type,
                "digest": self.digest,
                "size": len(self.content),
                "platform": self.platform,
            },
            "Raw": base64.b64encode(self.content).decode(),
            kind: parse(self.content),
        }

    def annotated(self, said: Document) -> "Member":
        """With more said of its platform. Raises: CommandFailed for one that there isn't."""
        ordered = ("architecture", "os", "os.version", "os.features", "variant")
        merged = self.platform | said
        made = self._replace(platform={key: merged[key] for key in ordered if merged.get(key)})
        made.check_platform()
        return made

    def check_platform(self) -> None:
        """Raises: CommandFailed for a platform that there isn't."""
        system, architecture = text(self.platform, "os"), text(self.platform, "architecture")
        if architecture not in _SYSTEMS.get(system, "").split():
            raise CommandFailed(
                "manifest entry for image has unsupported os/arch combination: "
                f"{system}/{architecture}"
            )


class ManifestLists:
    """The indexes in the making below one configuration directory."""

    def __init__(self, directory: str) -> None:
        self._root = os.path.join(directory, "manifests")

    def members(self, name: str) -> list[Member]:
        """The images of an index, by reference; none when it is not in the making.

        Raises: CommandFailed for a file that can't be read.
        """
        place = self._place(name)
        found = sorted(os.listdir(place)) if os.path.isdir(place) else []
        return [_read(os.path.join(place, each)) for each in found if not each.endswith(".new")]

    def member(self, name: str, reference: str) -> Member | None:
        """One image of an index. Raises: CommandFailed."""
        path = os.path.join(self._place(name), _file_name(reference))
        return _read(path) if os.path.exists(path) else None

    def put(self, name: str, member: Member) -> None:
        """Add or replace an image. Raises: OSError."""
        place = self._place(name)
        os.makedirs(place, mode=0o755, exist_ok=True)
        content = json.dumps(member.as_document(), separators=(",", ":")).encode()
        write_atomically(os.path.join(place, _file_name(member.reference)), content, mode=0o644)

    def has(self, name: str) -> bool:
        """Whether an index of this name is in the making."""
        return os.path.isdir(self._place(name))

    def remove(self, name: str) -> None:
        """Forget an index. Raises: CommandFailed when there is none."""
        if not self.has(name):
            raise CommandFailed(f"No such manifest: {name}")
        shutil.rmtree(self._place(name))

    def _place(self, name: str) -> str:
        return os.path.join(self._root, _file_name(name))


def _file_name(reference: str) -> str:
    return reference.replace("/", "_").replace(":", "-")


def _read(path: str) -> Member:
    try:
        with open(path, "rb") as file:
            kept = document(parse(file.read()))
        descriptor = child(kept, "Descriptor")
        return Member(
            reference=text(kept, "Ref"),
            media_type=text(descriptor, "mediaType"),
            digest=text(descriptor, "digest"),
            content=base64.b64decode(text(kept, "Raw"), validate=True),
            platform=_platform(child(descriptor, "platform")),
        )
    except (OSError, ValueError, binascii.Error) as problem:
        raise CommandFailed(f"{path}: {problem}") from None


def _platform(members: Document) -> Document:
    known: Document = {
        key: text(members, key)
        for key in ("architecture", "os", "os.version", "variant")
        if text(members, key)
    }
    if features := texts(members, "os.features"):
        known["os.features"] = list[Json](features)
    return known
