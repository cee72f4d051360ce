"""The documents of a build's results: configurations, manifests, attestations, an index.

    index ─┬─▶ manifest ─▶ configuration, layers            for each platform
           └─▶ manifest ─▶ configuration, statements        its attestations, of no platform

Without attestations and for one platform there is no index. An attestation is found beside the
image that it is about by annotations, as BuildKit and everybody who reads images have it:
https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
"""

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from wherry.builder.results.scan_extras import ScanExtras
from wherry.builder.results.statements import Predicate, statement
from wherry.builder.results.wishes import OutputWish
from wherry.images import BuildImages, BuildState, Document, LayerBlob, attestation_of, parse
from wherry.kit.values import dataclass, replace
from wherry.model.errors import InvalidValue
from wherry.model.ids import Digest
from wherry.oci.image_json import encode_image, encode_index, encode_manifest
from wherry.oci.image_spec import (
    CONFIG,
    INDEX,
    MANIFEST,
    Descriptor,
    ImageDocument,
    Index,
    Manifest,
    Platform,
)
from wherry.oci.json_fields import Json
from wherry.oci.platforms import formatted
from wherry.snapshots import Compression

_STATEMENT_FILE = "application/vnd.in-toto+json"
_NOWHERE = Platform(os="unknown", architecture="unknown")


@dataclass(frozen=True, slots=True)
class Result:
    """What a build made for one platform."""

    platform: str
    """That was asked for."""
    state: BuildState
    extras: ScanExtras

    @property
    def built_for(self) -> str:
        """The platform of the image: its base may be for another one."""
        return formatted(built_platform(self.state))


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Results as they go out."""

    states: Sequence[BuildState]
    """With their layers as they are packed."""
    manifests: Sequence[Document]
    """One for each state."""
    documents: Sequence[Document]
    """All manifests, each behind those that it refers to; the last one leads to everything."""
    blobs: Sequence[Digest]
    """Configurations and statements."""
    descriptor: Descriptor
    """Of the last one."""

    @property
    def layers(self) -> Sequence[LayerBlob]:
        """Of all states, each once."""
        found = {layer.blob: layer for state in self.states for layer in state.layers}
        return list(found.values())

    @property
    def digests(self) -> Sequence[Digest]:
        """Everything that it is made of."""
        return [
            *(each.blob for each in self.layers),
            *self.blobs,
            *(each.digest for each in self.documents),
        ]

    @property
    def has_index(self) -> bool:
        """Whether an index leads to the results."""
        return self.documents[-1].media_type == INDEX


def make_product(
    states: Sequence[BuildState],
    wish: OutputWish,
    compression: Compression | None,
    predicates: Mapping[str, Sequence[Predicate]],
    names: Sequence[str],
    images: BuildImages,
) -> Product:
    """Pack layers, and write documents; blocks. Raises: InvalidValue, StateUnreadable.

    `compression`: None leaves layers as they are. `predicates`: what is said of each, by platform.
    """
    packed = [_packed(each, wish, compression, images) for each in states]
    blobs, manifests, entries = list[Digest](), list[Document](), list[Descriptor]()
    attestations = list[Document]()
    for state in packed:
        platform = built_platform(state)
        config = images.keep(encode_image(state.document))
        blobs.append(config)
        manifest = _manifest(state, config, wish.annotated("manifest", formatted(platform)))
        manifests.append(manifest)
        told = wish.annotated("manifest-descriptor", formatted(platform))
        entries.append(replace(manifest.described(platform=platform), annotations=told))
    for state, manifest in zip(packed, manifests, strict=True):
        if said := predicates.get(formatted(built_platform(state))):
            subjects = _subjects(names, built_platform(state), manifest)
            attestation, kept = _attestation(said, subjects, images)
            attestations.append(attestation)
            blobs += kept
            entries.append(_beside(manifest, attestation))
    documents = [*manifests, *attestations]
    if len(entries) > 1:
        content = Index(manifests=tuple(entries), annotations=wish.annotated("index"))
        documents.append(Document(media_type=INDEX, content=encode_index(content)))
    elif wish.annotated("index"):
        raise InvalidValue("index annotations not supported for single platform export")
    for each in documents:
        images.keep(each.content)
    top = documents[-1]
    place = "index-descriptor" if top.media_type == INDEX else "manifest-descriptor"
    return Product(
        states=packed,
        manifests=manifests,
        documents=documents,
        blobs=list(dict.fromkeys(blobs)),
        descriptor=replace(top.described(), annotations=wish.annotated(place)),
    )


def _packed(
    state: BuildState, wish: OutputWish, compression: Compression | None, images: BuildImages
) -> BuildState:
    if compression is None:
        return state
    layers = tuple(
        images.packed(each, compression, is_forced=wish.forces_compression)
        for each in state.layers
    )
    return replace(state, layers=layers)


def built_platform(state: BuildState) -> Platform:
    """What a result is for."""
    document = state.document
    return Platform(os=document.os, architecture=document.architecture, variant=document.variant)


def _manifest(state: BuildState, config: Digest, annotations: Mapping[str, str]) -> Document:
    content = encode_manifest(
        Manifest(
            config=Descriptor(
                media_type=CONFIG, digest=config, size=len(encode_image(state.document))
            ),
            layers=tuple(
                Descriptor(media_type=each.media_type, digest=each.blob, size=each.blob_bytes)
                for each in state.layers
            ),
            annotations=annotations,
        )
    )
    return Document(media_type=MANIFEST, content=content)


# -- attestations ----------------------------------------------------------------------------


def _subjects(names: Sequence[str], platform: Platform, manifest: Document) -> Sequence[Json]:
    """Of whom something is said: of which manifest, by all its names."""
    digest = {"sha256": manifest.digest.removeprefix("sha256:")}
    query = f"?platform={quote(formatted(platform), safe='')}"
    return [
        {"name": f"pkg:docker/{each.familiar_repository}@{each.tag}{query}", "digest": digest}
        for each in (parse(name).with_default_tag() for name in names)
    ] or [{"name": "_", "digest": digest}]


def _attestation(
    said: Sequence[Predicate], subjects: Sequence[Json], images: BuildImages
) -> tuple[Document, Sequence[Digest]]:
    """The manifest of some statements, and the blobs that it names."""
    statements = []
    for each in said:
        content = json.dumps(statement(each, subjects), separators=(",", ":")).encode()
        statements.append(
            Descriptor(
                media_type=_STATEMENT_FILE,
                digest=images.keep(content),
                size=len(content),
                annotations={"in-toto.io/predicate-type": each.type},
            )
        )
    digests = tuple(Digest(each.digest) for each in statements)
    config = encode_image(ImageDocument(architecture="unknown", os="unknown", diff_ids=digests))
    kept = images.keep(config)
    manifest = Manifest(
        config=Descriptor(media_type=CONFIG, digest=kept, size=len(config)),
        layers=tuple(statements),
    )
    return Document(media_type=MANIFEST, content=encode_manifest(manifest)), (kept, *digests)


def _beside(manifest: Document, attestation: Document) -> Descriptor:
    """How an index tells of the attestations of one of its images."""
    return replace(
        attestation.described(platform=_NOWHERE),
        annotations=attestation_of(manifest.digest),
    )
