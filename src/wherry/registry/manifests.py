"""Manifests as registries give them: bounded, checked against their digest, and unambiguous.

A document that is a manifest to one reader and an index to another makes two engines run
different images under one digest (GHSA-mc8v-mgrf-8f4m), so it is refused, and so is one whose
own media type is not the one that the registry announced.
"""

import hashlib
import json

from wherry.kit.values import dataclass
from wherry.model.errors.images import DigestMismatch
from wherry.model.errors.registries import ManifestRefused
from wherry.model.ids import Digest
from wherry.oci.image_json import decode_index, decode_manifest
from wherry.oci.image_spec import (
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    INDEX,
    MANIFEST,
    Descriptor,
    Index,
    Manifest,
)

LARGEST_MANIFEST = 4 << 20
"""Bytes (the distribution specification's advice to registries, and so what may be met)."""
MOST_LAYERS = 1000
MOST_ENTRIES = 10_000

MANIFESTS = (MANIFEST, DOCKER_MANIFEST)
INDEXES = (INDEX, DOCKER_MANIFEST_LIST)
ACCEPTED = (*MANIFESTS, *INDEXES)
"""Media types that we understand."""
ACCEPTANCE = ("Accept", ", ".join(ACCEPTED))
"""The header that asks for them, in this order."""

_OLD = "application/vnd.docker.distribution.manifest.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedManifest:
    """A manifest or index with the bytes that its digest is of."""

    digest: Digest
    media_type: str
    content: bytes
    document: Manifest | Index

    @property
    def descriptor(self) -> Descriptor:
        """How others refer to it."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.content))

    @property
    def named(self) -> frozenset[Digest]:
        """The digests of all that it is made of."""
        match self.document:
            case Manifest(config=config, layers=layers):
                parts = (config, *layers)
            case Index(manifests=manifests):
                parts = manifests
        return frozenset(Digest(each.digest) for each in parts)


def digest_of(content: bytes) -> Digest:
    """The sha256 digest of bytes."""
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def read_manifest(
    content: bytes, *, announced: str = "", expected: Digest | None = None
) -> FetchedManifest:
    """Check and read a document.

    `announced` is the media type that came with it, `expected` the digest that it was asked by.
    Raises: ManifestRefused, DigestMismatch.
    """
    if len(content) > LARGEST_MANIFEST:
        raise ManifestRefused(f"a manifest of {len(content)} bytes is too large")
    digest = digest_of(content)
    if expected is not None and digest != expected:
        raise DigestMismatch(expected, digest)
    media_type = _media_type(content, announced.partition(";")[0].strip())
    try:
        document = decode_index(content) if media_type in INDEXES else decode_manifest(content)
    except ValueError as error:
        raise ManifestRefused(f"manifest {digest}: {error}") from error
    match document:
        case Manifest(layers=layers) if len(layers) > MOST_LAYERS:
            raise ManifestRefused(f"manifest {digest}: {len(layers)} layers are too many")
        case Index(manifests=entries) if len(entries) > MOST_ENTRIES:
            raise ManifestRefused(f"index {digest}: {len(entries)} entries are too many")
        case _:
            pass
    return FetchedManifest(
        digest=digest, media_type=media_type, content=content, document=document
    )


def _media_type(content: bytes, announced: str) -> str:
    """What a document is, by what it says and by what was announced. Raises: ManifestRefused."""
    try:
        members = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ManifestRefused(f"a manifest that is no JSON: {error}") from error
    if not isinstance(members, dict):
        raise ManifestRefused("a manifest that is no JSON object")
    own = members.get("mediaType")
    if own is not None and not isinstance(own, str):
        raise ManifestRefused(f"mediaType: {own!r} is no media type")
    if announced.startswith(_OLD) or members.get("schemaVersion") == 1:
        raise ManifestRefused(
            "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has "
            "been removed"
        )
    if own and announced in ACCEPTED and own != announced:
        raise ManifestRefused(f"its media type is {own}, but {announced} was announced")
    if "manifests" in members and ("layers" in members or "config" in members):
        raise ManifestRefused("a document that is a manifest and an index at once")
    found = own or (announced if announced in ACCEPTED else "")
    if not found:
        found = INDEX if "manifests" in members else MANIFEST
    if found not in ACCEPTED:
        raise ManifestRefused(f"unsupported manifest media type {found}")
    if ("manifests" in members) != (found in INDEXES):
        raise ManifestRefused(f"a document of media type {found} with the members of another")
    return found
