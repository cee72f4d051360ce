"""Caches that a build leaves elsewhere (`--cache-to`): results of its steps, as documents.

`mode=min` leaves the steps that the result is made of, `mode=max` those of all stages that were
needed. `type=inline` asks for nothing: an image's history is in the image.
"""

from collections.abc import Sequence

from wherry.builder.cache.format import (
    CACHE_CONFIG,
    CachedLayer,
    CacheDocument,
    CachedResult,
    encode_cache,
)
from wherry.builder.compressions import compression_named
from wherry.builder.states import Built
from wherry.images import BuildImages, Document, LayerBlob
from wherry.kit.timestamps import parse_rfc3339
from wherry.kit.values import dataclass
from wherry.model.builds import CacheStore
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.model.ids import ChainId, Digest
from wherry.oci.image_json import encode_index, encode_manifest
from wherry.oci.image_spec import INDEX, MANIFEST, Descriptor, Index, Manifest
from wherry.snapshots import Compression, chain_id

_KINDS = {"registry": "ref", "local": "dest"}
_SWITCHES = ("image-manifest", "oci-mediatypes", "ignore-error", "force-compression")
_ATTRIBUTES = ("ref", "dest", "mode", "compression", "tag", "digest", *_SWITCHES)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheExport:
    """One `--cache-to`, understood."""

    number: int
    """Its place in the request."""
    kind: str
    place: str
    """A reference, or a directory of the client's."""
    takes_all: bool
    """`mode=max`."""
    compression: Compression
    forces_compression: bool
    is_image_manifest: bool
    """A manifest, which every registry takes; otherwise an index of layers, as older ones."""
    may_fail: bool


@dataclass(frozen=True, slots=True)
class Solved:
    """A step with its result."""

    built: Built
    below: str
    """The key of the step below; empty for a base."""
    is_of_result: bool
    """Whether a target stands on it."""


@dataclass(frozen=True, slots=True)
class PackedCache:
    """A cache as it is sent."""

    layers: Sequence[LayerBlob]
    config: Digest
    manifest: Document


def wanted_exports(stores: Sequence[CacheStore]) -> list[CacheExport]:
    """Raises: FeatureMissing, InvalidValue."""
    return [_export(number, each) for number, each in enumerate(stores) if each.kind != "inline"]


def _export(number: int, store: CacheStore) -> CacheExport:
    attributes = store.attributes
    needed = _KINDS.get(store.kind)
    if needed is None:
        raise FeatureMissing(f"--cache-to type={store.kind}")
    if not attributes.get(needed):
        raise InvalidValue(f"{needed} is required for the cache type {store.kind}")
    for name, value in attributes.items():
        if name not in _ATTRIBUTES:
            raise FeatureMissing(f"--cache-to type={store.kind},{name}={value}")
        if name in _SWITCHES and value not in ("true", "false"):
            raise InvalidValue(f"failed to parse {name} of --cache-to: {value!r}")
    if attributes.get("oci-mediatypes") == "false":
        raise FeatureMissing("--cache-to oci-mediatypes=false")
    mode = attributes.get("mode", "min")
    if mode not in ("min", "max"):
        raise InvalidValue(f"invalid cache export mode: {mode}")
    return CacheExport(
        number=number,
        kind=store.kind,
        place=attributes[needed],
        takes_all=mode == "max",
        compression=compression_named(attributes.get("compression", "")),
        forces_compression=attributes.get("force-compression") == "true",
        is_image_manifest=attributes.get("image-manifest", "true") == "true",
        may_fail=attributes.get("ignore-error") == "true",
    )


def pack(export: CacheExport, solved: Sequence[Solved], images: BuildImages) -> PackedCache:
    """The layers and documents of a cache; blocks. Raises: StateUnreadable."""
    layers: dict[ChainId, tuple[int, LayerBlob, CachedLayer]] = {}

    def place_of(built: Built) -> int:
        """The place of a state's topmost layer, which is added with all below it."""
        chain: ChainId | None = None
        top = -1
        for layer in built.state.layers:
            chain = chain_id(chain, layer.diff_id)
            if chain not in layers:
                packed = images.packed(
                    layer, export.compression, is_forced=export.forces_compression
                )
                told = CachedLayer(blob=_described(packed), diff_id=layer.diff_id, parent=top)
                layers[chain] = (len(layers), packed, told)
            top = layers[chain][0]
        return top

    wanted = [each for each in solved if each.is_of_result or export.takes_all]
    results: dict[str, CachedResult] = {}
    places: dict[str, int] = {}
    for each in wanted:
        key = each.built.key
        if not key or key in results:
            continue
        places[key] = len(results)
        created = each.built.state.document.created
        results[key] = CachedResult(
            key=key,
            below=places.get(each.below, -1),
            top=place_of(each.built),
            created_at_ns=parse_rfc3339(created) if created else 0,
        )
    content = encode_cache(
        CacheDocument(
            layers=[told for _place, _sent, told in layers.values()],
            results=list(results.values()),
        )
    )
    config = Descriptor(media_type=CACHE_CONFIG, digest=images.keep(content), size=len(content))
    sent = {layer.blob: layer for _place, layer, _told in layers.values()}
    blobs = tuple(_described(each) for each in sent.values())
    manifest = (
        Document(
            media_type=MANIFEST,
            content=encode_manifest(Manifest(config=config, layers=blobs)),
        )
        if export.is_image_manifest
        else Document(media_type=INDEX, content=encode_index(Index(manifests=(*blobs, config))))
    )
    return PackedCache(list(sent.values()), Digest(config.digest), manifest)


def _described(layer: LayerBlob) -> Descriptor:
    return Descriptor(media_type=layer.media_type, digest=layer.blob, size=layer.blob_bytes)
