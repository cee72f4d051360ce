"""Writing image archives: an OCI layout and a docker-archive in one tar.

Newer tools read `index.json`, older ones `manifest.json` and `repositories`; both lead to the
same blobs, given out byte for byte as they came. The same images make the same archive.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import BinaryIO

from wherry.content import ContentStore, VerifiedBlob
from wherry.images.attestations import attached, images_in
from wherry.images.image_rows import LayerBlob, ManifestBlob
from wherry.images.references import Reference, parse
from wherry.kit.values import dataclass, replace
from wherry.model.ids import Digest
from wherry.model.images import Image
from wherry.oci.image_json import canonical, encode_index
from wherry.oci.image_spec import INDEX, Descriptor, Index, Platform
from wherry.oci.json_fields import Json
from wherry.registry import FetchedManifest, digest_of
from wherry.snapshots import DIRECTORY, REGULAR, TAR_END, TarEntry, tar_header, tar_padding

_CHUNK = 1 << 20
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """An image, its layers, and the manifest that leads to them."""

    image: Image
    blobs: tuple[LayerBlob, ...]
    content: bytes
    manifest: ManifestBlob


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImages:
    """What is saved under some names: one image, or one for each of several platforms."""

    siblings: tuple[SavedImage, ...]
    names: tuple[Reference, ...]
    index: FetchedManifest | None = None
    """The one that the names came with."""

    def named_also(self, names: Sequence[Reference]) -> "SavedImages":
        """The same under more names."""
        return replace(self, names=tuple(dict.fromkeys((*self.names, *names))))


def archive(content: ContentStore, saved: Sequence[SavedImages]) -> Iterator[bytes]:
    """The bytes of an archive. Raises (while iterating): StateUnreadable."""
    yield _directory(b"blobs/")
    yield _directory(b"blobs/sha256/")
    sizes: dict[Digest, int] = {}
    documents: dict[Digest, bytes] = {}
    descriptors: list[Descriptor] = []
    for each in saved:
        for sibling in each.siblings:
            config = Digest(sibling.image.id)
            sizes[config] = content.size(config)
            sizes |= {layer.blob: layer.blob_bytes for layer in sibling.blobs}
            documents[sibling.manifest.digest] = sibling.content
        top = _top(each, documents)
        if each.index is not None:
            for found in attached(content, each.index):
                sizes |= {digest: content.size(digest) for digest in found.digests}
        told = name_annotations([name.familiar for name in each.names])
        descriptors += [replace(top, annotations=names) for names in told]
    for digest in sorted(sizes | dict.fromkeys(documents, 0)):
        if digest in documents:
            yield from _file(_blob_name(digest), documents[digest])
        else:
            opened = partial(content.open_verified, digest)
            yield from _file_of(_blob_name(digest), sizes[digest], opened)
    yield from _file("index.json", encode_index(Index(manifests=tuple(descriptors))))
    yield from _file("manifest.json", _docker_manifest(saved))
    yield from _file("oci-layout", _LAYOUT)
    repositories = _repositories(saved)
    if repositories:
        yield from _file("repositories", canonical(repositories))
    yield TAR_END


def layout_archive(
    blobs: Sequence[tuple[Digest, int, Callable[[], BinaryIO]]], tops: Sequence[Descriptor]
) -> Iterator[bytes]:
    """An OCI layout of blobs, each with its size, and of what it is an index of."""
    yield _directory(b"blobs/")
    yield _directory(b"blobs/sha256/")
    for digest, size, open_blob in sorted(blobs, key=lambda each: each[0]):
        yield from _file_of(_blob_name(digest), size, open_blob)
    yield from _file("index.json", encode_index(Index(manifests=tuple(tops))))
    yield from _file("oci-layout", _LAYOUT)
    yield TAR_END


def _top(saved: SavedImages, documents: dict[Digest, bytes]) -> Descriptor:
    """What a name leads to: a manifest or, for several platforms, an index of manifests."""
    manifests = tuple(_described(each) for each in saved.siblings)
    kept = saved.index
    if kept is not None and images_in(kept) == {each.digest for each in manifests}:
        documents[kept.digest] = kept.content
        return kept.descriptor
    if len(manifests) == 1:
        return manifests[0]
    index = encode_index(Index(manifests=manifests))
    digest = digest_of(index)
    documents[digest] = index
    return Descriptor(media_type=INDEX, digest=digest, size=len(index))


def _described(sibling: SavedImage) -> Descriptor:
    image = sibling.image
    return Descriptor(
        media_type=sibling.manifest.media_type,
        digest=sibling.manifest.digest,
        size=len(sibling.content),
        platform=Platform(
            architecture=image.architecture, os=image.operating_system, variant=image.variant
        ),
    )


def name_annotations(names: Sequence[str]) -> list[dict[str, str]]:
    """How an index tells of each name; what has no name is told of too."""
    return [
        {
            "io.containerd.image.name": f"{name.repository}:{name.tag}",
            "org.opencontainers.image.ref.name": name.tag,
        }
        for name in map(parse, names)
    ] or [{}]


def _docker_manifest(saved: Sequence[SavedImages]) -> bytes:
    """The older list: of several platforms the last one is who has the name after a load."""
    # As a member of an object: `canonical` writes objects, and an array is what is wanted.
    entries: list[Json] = [
        {
            "Config": _blob_name(Digest(sibling.image.id)),
            "RepoTags": [name.familiar for name in each.names],
            "Layers": [_blob_name(layer.blob) for layer in sibling.blobs],
        }
        for each in saved
        for sibling in reversed(each.siblings)
    ]
    return canonical({"images": entries})[len(b'{"images":') : -1]


def _repositories(saved: Sequence[SavedImages]) -> dict[str, Json]:
    """The oldest index of all: name, tag, and the topmost layer."""
    found: dict[str, Json] = {}
    for each in saved:
        layers = each.siblings[0].blobs
        for name in each.names:
            tags = found.setdefault(name.familiar_repository, {})
            assert isinstance(tags, dict)
            tags[name.tag] = layers[-1].blob.removeprefix("sha256:") if layers else ""
    return found


def _blob_name(digest: Digest) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _file_of(
    name: str, size: int, open_file: Callable[[], BinaryIO | VerifiedBlob]
) -> Iterator[bytes]:
    with open_file() as file:
        yield _header(name, size)
        while chunk := file.read(_CHUNK):
            yield chunk
    yield tar_padding(size)


def _file(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data)) + data + tar_padding(len(data))


def _header(name: str, size: int) -> bytes:
    return tar_header(TarEntry(REGULAR, name.encode(), b"", 0o644, 0, 0, size, 0, 0, 0))


def _directory(name: bytes) -> bytes:
    return tar_header(TarEntry(DIRECTORY, name, b"", 0o755, 0, 0, 0, 0, 0, 0))
