"""A build cache as a document: BuildKit's `vnd.buildkit.cacheconfig.v0`.

    layers    each with its blob, and the layer below it
    records   each a step: its key, the records below it, and the topmost layer after it

Written and read are both. What a key is of is every builder's own affair: BuildKit's are of LLB
operations, ours of instructions and what they see. So a cache that BuildKit has written is read
without complaint, and none of its records is ever found; nor ours by BuildKit.
"""

import json
from collections.abc import Sequence

from wherry.kit.timestamps import parse_rfc3339, rfc3339_nano
from wherry.kit.values import dataclass
from wherry.oci import json_fields
from wherry.oci.image_spec import Descriptor
from wherry.oci.json_fields import Fields

CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"
_DIGEST = "sha256:"
_NUMBERS = (-1, 1 << 20)
_SIZES = (0, (1 << 63) - 1)
_LAST_MOMENT_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedLayer:
    """A layer of a cache."""

    blob: Descriptor
    diff_id: str
    parent: int = -1
    """The layer below, by its place among the layers; -1: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedResult:
    """What is there after a step."""

    key: str
    below: int = -1
    """The step below, by its place among the records; -1: none, it is a base."""
    top: int = -1
    """The topmost layer; -1: there is none."""
    created_at_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheDocument:
    """A whole cache."""

    layers: Sequence[CachedLayer]
    results: Sequence[CachedResult]


def encode_cache(cache: CacheDocument) -> bytes:
    """The document's bytes; the same cache gives the same."""
    layers = [
        {
            "blob": each.blob.digest,
            "parent": each.parent,
            "annotations": {
                "mediaType": each.blob.media_type,
                "diffID": each.diff_id,
                "size": each.blob.size,
            },
        }
        for each in cache.layers
    ]
    records = [_record(each) for each in cache.results]
    document = {"layers": layers, "records": records}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _record(result: CachedResult) -> json_fields.JsonObject:
    created = rfc3339_nano(result.created_at_ns)
    has_layer = result.top >= 0
    return json_fields.present(
        digest=_DIGEST + result.key,
        inputs=[[{"link": result.below}]] if result.below >= 0 else None,
        layers=[{"layer": result.top, "createdAt": created}] if has_layer else None,
        chains=None if has_layer else [{"layers": [], "createdAt": created}],
    )


def decode_cache(content: bytes) -> CacheDocument:
    """Raises: ValueError, which names the field."""
    document = json_fields.parse(content)
    layers = [_layer(each) for each in document.children("layers")]
    records = list(document.children("records"))
    results = []
    for each in records:
        result = _result(each, len(layers))
        if not -1 <= result.below < len(records):
            raise ValueError(f"{each.where('inputs')}: there is no record {result.below}")
        results.append(result)
    return CacheDocument(layers=layers, results=results)


def moment_ns(text: str) -> int:
    """A time that somebody else wrote. Raises: ValueError for one that can't be kept."""
    moment = parse_rfc3339(text)
    if not 0 <= moment <= _LAST_MOMENT_NS:
        raise ValueError(f"a time that is not in 1970..2262: {text!r}")
    return moment


def _layer(fields: Fields) -> CachedLayer:
    fields.require("blob", "annotations")
    told = fields.child("annotations")
    return CachedLayer(
        blob=Descriptor(
            media_type=told.text("mediaType"),
            digest=fields.text("blob"),
            size=told.number("size", _SIZES),
        ),
        diff_id=told.text("diffID"),
        parent=fields.number("parent", _NUMBERS),
    )


def _result(fields: Fields, layer_count: int) -> CachedResult:
    """One record; of several ways to have come to it, the first."""
    below, top, created = -1, -1, ""
    for group in fields.items("inputs")[:1]:
        if not isinstance(group, list):
            raise ValueError(f"{fields.where('inputs')}: not an array of arrays")
        for each in group[:1]:
            if not isinstance(each, dict):
                raise ValueError(f"{fields.where('inputs')}: not an array of objects")
            below = Fields(each, fields.where("inputs")).number("link", _NUMBERS)
    for found in list(fields.children("layers"))[:1]:
        top, created = found.number("layer", _NUMBERS), found.text("createdAt")
    for found in list(fields.children("chains"))[:1]:
        chain = found.numbers("layers", _NUMBERS)
        top, created = chain[-1] if chain else -1, found.text("createdAt")
    if top >= layer_count:
        raise ValueError(f"{fields.place}: there is no layer {top}")
    return CachedResult(
        key=fields.text("digest").removeprefix(_DIGEST),
        below=below,
        top=top,
        created_at_ns=moment_ns(created) if created else 0,
    )
