"""Writing image archives: an OCI layout and a docker-archive in one tar.

Newer tools read `index.json`, older ones `manifest.json` and `repositories`; both lead to the
same blobs, given out byte for byte as they came. The same images make the same archive.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wherry.content import ContentStore
from wherry.images.image_table import LayerBlob
from wherry.images.references import Reference
from wherry.model.ids import Digest
from wherry.model.images import Image
from wherry.oci.image_json import Json, canonical, encode_index, encode_manifest
from wherry.oci.image_spec import CONFIG, MANIFEST, Descriptor, Index, Manifest, Platform
from wherry.snapshots import DIRECTORY, REGULAR, TAR_END, TarEntry, tar_header, tar_padding

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """An image and the names under which it is saved."""

    image: Image
    blobs: tuple[LayerBlob, ...]
    names: tuple[Reference, ...]


def archive(content: ContentStore, images: Sequence[SavedImage]) -> Iterator[bytes]:
    """The bytes of an archive. Raises (while iterating): StateUnreadable for a missing blob."""
    yield _directory(b"blobs/")
    yield _directory(b"blobs/sha256/")
    sizes: dict[Digest, int] = {}
    documents: dict[Digest, bytes] = {}
    descriptors: list[Descriptor] = []
    for saved in images:
        config = Digest(saved.image.id)
        sizes[config] = content.size(config)
        sizes |= {layer.blob: layer.blob_bytes for layer in saved.blobs}
        manifest = _manifest(saved, sizes)
        digest = Digest("sha256:" + hashlib.sha256(manifest).hexdigest())
        documents[digest] = manifest
        descriptors += _descriptors(saved, digest, len(manifest))
    for digest in sorted(sizes | dict.fromkeys(documents, 0)):
        if digest in documents:
            yield from _file(_blob_name(digest), documents[digest])
        else:
            yield from _blob(content, digest, sizes[digest])
    yield from _file("index.json", encode_index(Index(manifests=tuple(descriptors))))
    yield from _file("manifest.json", _docker_manifest(images))
    yield from _file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    repositories = _repositories(images)
    if repositories:
        yield from _file("repositories", canonical(repositories))
    yield TAR_END


def _manifest(saved: SavedImage, sizes: dict[Digest, int]) -> bytes:
    return encode_manifest(
        Manifest(
            config=Descriptor(
                media_type=CONFIG, digest=saved.image.id, size=sizes[Digest(saved.image.id)]
            ),
            layers=tuple(
                Descriptor(media_type=each.media_type, digest=each.blob, size=each.blob_bytes)
                for each in saved.blobs
            ),
        )
    )


def _descriptors(saved: SavedImage, digest: Digest, size: int) -> Iterator[Descriptor]:
    """One for each name; an image without a name has one too."""
    platform = Platform(
        architecture=saved.image.architecture,
        os=saved.image.operating_system,
        variant=saved.image.variant,
    )
    annotations: list[dict[str, str]] = [
        {
            "io.containerd.image.name": f"{name.repository}:{name.tag}",
            "org.opencontainers.image.ref.name": name.tag,
        }
        for name in saved.names
    ]
    for each in annotations or [{}]:
        yield Descriptor(
            media_type=MANIFEST, digest=digest, size=size, annotations=each, platform=platform
        )


def _docker_manifest(images: Sequence[SavedImage]) -> bytes:
    # As a member of an object: `canonical` writes objects, and an array is what is wanted.
    entries: list[Json] = [
        {
            "Config": _blob_name(Digest(saved.image.id)),
            "RepoTags": [name.familiar for name in saved.names],
            "Layers": [_blob_name(layer.blob) for layer in saved.blobs],
        }
        for saved in images
    ]
    return canonical({"images": entries})[len(b'{"images":') : -1]


def _repositories(images: Sequence[SavedImage]) -> dict[str, Json]:
    """The oldest index of all: name, tag, and the topmost layer."""
    found: dict[str, Json] = {}
    for saved in images:
        for name in saved.names:
            tags = found.setdefault(name.familiar_repository, {})
            assert isinstance(tags, dict)
            tags[name.tag] = saved.blobs[-1].blob.removeprefix("sha256:") if saved.blobs else ""
    return found


def _blob_name(digest: Digest) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _blob(content: ContentStore, digest: Digest, size: int) -> Iterator[bytes]:
    with content.open(digest) as file:
        yield _header(_blob_name(digest), size)
        while chunk := file.read(_CHUNK):
            yield chunk
    yield tar_padding(size)


def _file(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data)) + data + tar_padding(len(data))


def _header(name: str, size: int) -> bytes:
    return tar_header(TarEntry(REGULAR, name.encode(), b"", 0o644, 0, 0, size, 0, 0, 0))


def _directory(name: bytes) -> bytes:
    return tar_header(TarEntry(DIRECTORY, name, b"", 0o755, 0, 0, 0, 0, 0, 0))
