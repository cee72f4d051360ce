"""Reading image archives: what `docker save` writes, old and new, and OCI layouts.

An archive is a tar of files that refer to each other by name. Nothing is ever written under
those names: each member becomes a staged blob, and a name is looked up in a dictionary. So a
name with `..` in it, or a link that leads out, only ever leads nowhere.
"""

import contextlib
import posixpath
import re
from collections.abc import Iterable, Iterator

from wherry.content import ContentStore, StagedBlob
from wherry.images.ahead import UnpackingAhead
from wherry.images.attestations import is_attestation
from wherry.images.documents import LARGEST_DOCUMENT
from wherry.images.intake import ImagePlan, StagedManifest
from wherry.images.references import Reference, parse
from wherry.kit.random_ids import short_id
from wherry.kit.values import dataclass, replace
from wherry.model.errors import WherryError
from wherry.model.errors.images import ArchiveRefused, DigestMismatch, InvalidReference
from wherry.model.errors.registries import ManifestRefused
from wherry.model.ids import Digest
from wherry.model.outcomes import Progress
from wherry.oci import json_fields
from wherry.oci.image_json import decode_index
from wherry.oci.image_spec import INDEXES, Descriptor, Index, Manifest
from wherry.oci.json_fields import Fields
from wherry.registry import read_manifest
from wherry.snapshots import (
    DIRECTORY,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Readable,
    TarReader,
    decompressed,
)

MOST_MEMBERS = 16_384
_MOST_LINKS = 8
_WORTH_TELLING = 1 << 20
_WORTH_UNPACKING = 1 << 16
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_DOCUMENTS = ("manifest.json", "index.json", "repositories", "oci-layout")
_NAME_ANNOTATION = "io.containerd.image.name"
"""The full name in an index, as Docker 25 and containerd write it."""
_REF_NAME_ANNOTATION = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class _Link:
    target: str


class ImageArchive:
    """The members of one archive, staged; leaving the block throws away what is left."""

    def __init__(self, content: ContentStore, ahead: UnpackingAhead) -> None:
        """`ahead` unpacks what may be layers."""
        self._content = content
        self._ahead = ahead
        self._members: dict[str, StagedBlob | _Link] = {}
        self._count = 0

    def __enter__(self) -> "ImageArchive":
        return self

    def __exit__(self, *_error: object) -> None:
        for member in self._members.values():
            if isinstance(member, StagedBlob):
                self._content.discard(member)

    def receive(self, source: Readable) -> Iterator[Progress]:
        """Stage every member. Raises: ArchiveRefused; OSError."""
        archive = TarReader(decompressed(source)[1])
        for entry in archive:
            self._count += 1
            if self._count > MOST_MEMBERS:
                raise ArchiveRefused(f"more than {MOST_MEMBERS} members")
            name = _member_name(entry.path)
            if entry.kind == DIRECTORY:
                continue
            if entry.kind == SYMLINK:
                target = posixpath.join(posixpath.dirname(name), _text(entry.link))
                self._put(name, _Link(_normal(target)))
            elif entry.kind == HARD_LINK:
                self._put(name, _Link(_member_name(entry.link)))
            elif entry.kind == REGULAR and entry.sparse is None:
                if name in _DOCUMENTS and entry.size > LARGEST_DOCUMENT:
                    raise ArchiveRefused(f"{name} of {entry.size} bytes")
                blob = self._received(name, entry.size, archive)
                self._put(name, blob)
                if entry.size >= _WORTH_TELLING:
                    yield Progress(
                        status="Loading layer",
                        id=short_id(blob.digest),
                        current=entry.size,
                        total=entry.size,
                    )
            else:
                raise ArchiveRefused(f"member {name!r} is neither a file nor a link")

    def _received(self, name: str, size: int, archive: TarReader) -> StagedBlob:
        with self._content.ingest() as writer:
            if size >= _WORTH_UNPACKING and not self._is_here(name):
                self._ahead.follow(writer)
            while archive.remaining:
                writer.write(archive.read_content())
            return writer.finish()

    def _is_here(self, name: str) -> bool:
        """Whether a member's name is the digest of a blob that we have."""
        match = _BLOB.fullmatch(name)
        return match is not None and self._content.has(Digest(f"sha256:{match.group(1)}"))

    def plans(self) -> tuple[ImagePlan, ...]:
        """The images that the archive describes. Raises: ArchiveRefused; DigestMismatch."""
        try:
            return _merged(self._plans())
        except (ValueError, InvalidReference) as error:
            raise ArchiveRefused(str(error)) from error
        except ManifestRefused as error:
            raise ArchiveRefused(error.problem) from error

    def _plans(self) -> Iterator[ImagePlan]:
        """By `manifest.json`, unless the index knows of several platforms, which that can't."""
        index = Index(manifests=())
        if "index.json" in self._members:
            index = decode_index(self._document("index.json"))
        elif "manifest.json" not in self._members:
            raise ArchiveRefused("neither manifest.json nor index.json is in it")
        has_platforms = any(each.media_type in INDEXES for each in index.manifests)
        if "manifest.json" in self._members and not has_platforms:
            manifests = self._manifests_in(index)
            for plan in self._docker_plans():
                yield replace(plan, manifest=manifests.get(_contents(plan)))
            return
        for descriptor in index.manifests:
            yield from self._oci_plans(descriptor)

    # -- the two forms -----------------------------------------------------------------------

    def _docker_plans(self) -> Iterator[ImagePlan]:
        """`manifest.json`: a list of images, each by the names of its files."""
        for item in _document_list(self._document("manifest.json")):
            names = tuple(_tagged(text) for text in item.texts("RepoTags"))
            item.require("Config")
            yield ImagePlan(
                config=self._blob(item.text("Config")),
                layers=tuple(self._blob(name) for name in item.texts("Layers")),
                names=names,
            )

    def _oci_plans(self, descriptor: Descriptor) -> Iterator[ImagePlan]:
        """`index.json`: manifests by digest; an index in it has one for each platform."""
        names = _annotated(descriptor)
        if descriptor.media_type not in INDEXES:
            yield self._oci_plan(descriptor, names)
            return
        found = False
        index = self._described(descriptor)
        entries = decode_index(self._content_of(descriptor)).manifests
        said = tuple(
            blob for each in filter(is_attestation, entries) for blob in self._parts(each)
        )
        for inner in entries:
            is_linux = inner.platform is None or inner.platform.os == "linux"
            # Whoever has pulled one platform may save the index of all.
            if is_linux and _blob_path(inner) in self._members:
                if inner.media_type in INDEXES:
                    raise ArchiveRefused(f"index {descriptor.digest} has an index in it")
                plan = self._oci_plan(inner, names or _annotated(inner))
                indexes = dict.fromkeys(plan.names, index)
                yield replace(plan, indexes=indexes, attestations=said)
                found = True
        if not found:
            raise ArchiveRefused("index without a manifest for linux")

    def _parts(self, descriptor: Descriptor) -> tuple[StagedBlob, ...]:
        """All that an attestation is made of; nothing where it was left out."""
        if _blob_path(descriptor) not in self._members:
            return ()
        return tuple(self._oci_plan(descriptor, ()).blobs)

    def _oci_plan(self, descriptor: Descriptor, names: tuple[Reference, ...]) -> ImagePlan:
        read = read_manifest(self._content_of(descriptor), announced=descriptor.media_type)
        if not isinstance(read.document, Manifest):
            raise ArchiveRefused(f"{descriptor.digest} is no manifest")
        return ImagePlan(
            config=self._described(read.document.config),
            layers=tuple(self._described(each) for each in read.document.layers),
            names=names,
            manifest=StagedManifest(blob=self._described(descriptor), media_type=read.media_type),
        )

    def _manifests_in(self, index: Index) -> dict[tuple[Digest, ...], StagedManifest]:
        """By their contents, those that can be kept; `manifest.json` says what is loaded."""
        found = {}
        for descriptor in index.manifests:
            with contextlib.suppress(WherryError, ValueError):
                plan = self._oci_plan(descriptor, ())
                if plan.manifest is not None:
                    found[_contents(plan)] = plan.manifest
        return found

    # -- members -----------------------------------------------------------------------------

    def _put(self, name: str, member: StagedBlob | _Link) -> None:
        """Of two members with one name the later one counts, as when a tar is unpacked."""
        old = self._members.get(name)
        if isinstance(old, StagedBlob):
            self._ahead.forget(old)
            self._content.discard(old)
        self._members[name] = member

    def _blob(self, name: str) -> StagedBlob:
        found = self._members.get(_normal(name))
        for _ in range(_MOST_LINKS):
            if not isinstance(found, _Link):
                break
            found = self._members.get(found.target)
        if not isinstance(found, StagedBlob):
            raise ArchiveRefused(f"{name!r} is not in the archive")
        return found

    def _described(self, descriptor: Descriptor) -> StagedBlob:
        blob = self._blob(_blob_path(descriptor))
        if blob.digest != descriptor.digest:
            raise DigestMismatch(descriptor.digest, blob.digest)
        return blob

    def _content_of(self, descriptor: Descriptor) -> bytes:
        return _read(self._described(descriptor), descriptor.digest)

    def _document(self, name: str) -> bytes:
        return _read(self._blob(name), name)


def _merged(plans: Iterable[ImagePlan]) -> tuple[ImagePlan, ...]:
    """One plan for each image: an index names one as often as it has names."""
    merged: dict[Digest, ImagePlan] = {}
    for plan in plans:
        known = merged.get(plan.config.digest)
        if known is not None:
            names = tuple(dict.fromkeys((*known.names, *plan.names)))
            indexes = {**known.indexes, **plan.indexes}
            plan = replace(plan, names=names, indexes=indexes)
        merged[plan.config.digest] = plan
    return tuple(merged.values())


def _contents(plan: ImagePlan) -> tuple[Digest, ...]:
    return (plan.config.digest, *(each.digest for each in plan.layers))


def _blob_path(descriptor: Descriptor) -> str:
    return "blobs/" + descriptor.digest.replace(":", "/", 1)


def _document_list(content: bytes) -> Iterator[Fields]:
    """The objects of a document that is an array."""
    wrapped = b'{"images":' + content + b"}"
    return json_fields.parse(wrapped).children("images")


def _read(blob: StagedBlob, name: str) -> bytes:
    if blob.size_bytes > LARGEST_DOCUMENT:
        raise ArchiveRefused(f"{name} of {blob.size_bytes} bytes")
    with blob.open() as file:
        return file.read()


def _tagged(text: str) -> Reference:
    name = parse(text)
    if not name.tag or name.digest is not None:
        raise ArchiveRefused(f"invalid tag {text!r}")
    return name


def _annotated(descriptor: Descriptor) -> tuple[Reference, ...]:
    name = descriptor.annotations.get(_NAME_ANNOTATION, "")
    if not name:
        # podman has the full name here; the specification allows just a tag, which names nothing.
        name = descriptor.annotations.get(_REF_NAME_ANNOTATION, "")
        if ":" not in name:
            return ()
    with contextlib.suppress(InvalidReference):
        return (_tagged(name),)
    return ()


def _member_name(path: bytes) -> str:
    return _normal(_text(path))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _normal(name: str) -> str:
    """A name relative to the archive's root; one that leads above it stays recognisable."""
    return posixpath.normpath(name.lstrip("/") or ".")
