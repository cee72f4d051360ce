"""Attestations of images that are kept here: what is said of them beside what they are.

An index names them as manifests of no platform, each with the digest of the image that it is
about. To people there is one image: only those who pass the index on (a push, a saved archive,
the collector) need to know of them.
"""

from collections.abc import Iterator, Mapping

from wherry.content import ContentStore
from wherry.images.documents import LARGEST_DOCUMENT
from wherry.kit.values import dataclass
from wherry.model.errors import StateUnreadable, WherryError
from wherry.model.ids import Digest
from wherry.oci.image_spec import Descriptor, Index, Manifest
from wherry.registry import FetchedManifest, read_manifest

_ABOUT, _TYPE = "vnd.docker.reference.digest", "vnd.docker.reference.type"
_ATTESTATION = "attestation-manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """The attestations of one image."""

    manifest: FetchedManifest
    blobs: tuple[Digest, ...]

    @property
    def digests(self) -> tuple[Digest, ...]:
        """All that it is made of."""
        return (self.manifest.digest, *self.blobs)


def attestation_of(manifest: Digest) -> Mapping[str, str]:
    """How an index's entry says what it is, and which manifest it is about."""
    return {_ABOUT: manifest, _TYPE: _ATTESTATION}


def is_attestation(entry: Descriptor) -> bool:
    """Whether an index's entry is not an image itself."""
    return entry.annotations.get(_TYPE) == _ATTESTATION


def images_in(index: FetchedManifest) -> frozenset[Digest]:
    """The manifests of an index that are of images."""
    if not isinstance(index.document, Index):
        return frozenset()
    entries = index.document.manifests
    return frozenset(Digest(each.digest) for each in entries if not is_attestation(each))


def attached(content: ContentStore, index: FetchedManifest) -> Iterator[Attestation]:
    """The attestations that an index names, as far as they are here whole."""
    if not isinstance(index.document, Index):
        return
    for entry in filter(is_attestation, index.document.manifests):
        digest = Digest(entry.digest)
        try:
            text = content.read(digest, limit_bytes=LARGEST_DOCUMENT)
            found = read_manifest(text, expected=digest)
        except (StateUnreadable, WherryError):
            continue
        if isinstance(found.document, Manifest) and all(map(content.has, found.named)):
            yield Attestation(manifest=found, blobs=tuple(sorted(found.named)))
