"""Image documents from and to JSON.

What we write is canonical: keys sorted, no blanks, absent members left out; the same image gives
the same bytes, and so the same id.
"""

import json
import re

from wherry.oci import json_fields
from wherry.oci.image_spec import (
    INDEX,
    MANIFEST,
    Descriptor,
    ExecutionDefaults,
    Healthcheck,
    History,
    ImageDocument,
    Index,
    Manifest,
    Platform,
)
from wherry.oci.json_fields import INT64, Fields, JsonObject
from wherry.oci.shapes import (
    Member,
    Shape,
    flag,
    many,
    number,
    one,
    text,
    texts,
    texts_by_name,
)

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_POSITIVE = (0, INT64[1])


# -- documents -------------------------------------------------------------------------------


def decode_image(document: bytes) -> ImageDocument:
    """Read an image's configuration. Raises: ValueError naming the field."""
    return _IMAGE.read(json_fields.parse(document))


def decode_manifest(document: bytes) -> Manifest:
    """Read a manifest. Raises: ValueError naming the field."""
    return _MANIFEST.read(json_fields.parse(document))


def decode_index(document: bytes) -> Index:
    """Read an index. Raises: ValueError naming the field."""
    return _INDEX.read(json_fields.parse(document))


def encode_image(image: ImageDocument) -> bytes:
    """Write an image's configuration."""
    return canonical(_IMAGE.to_json(image))


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest."""
    return canonical({"schemaVersion": 2, "mediaType": MANIFEST, **_MANIFEST.to_json(manifest)})


def encode_index(index: Index) -> bytes:
    """Write an index."""
    return canonical({"schemaVersion": 2, "mediaType": INDEX, **_INDEX.to_json(index)})


def canonical(document: JsonObject) -> bytes:
    """JSON with sorted keys and no blanks."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )


# -- members of their own kind ---------------------------------------------------------------


def _digest(fields: Fields, name: str) -> str:
    return _checked(fields.text(name), fields.where(name))


def _checked(text: str, place: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise ValueError(f"{place}: {text[:80]!r} is not a sha256 digest")
    return text


def _diff_ids(fields: Fields, name: str) -> tuple[str, ...]:
    rootfs = fields.child(name)
    kind = rootfs.text("type", "layers")
    if kind != "layers":
        raise ValueError(f"{rootfs.where('type')}: {kind!r} is not layers")
    place = rootfs.where("diff_ids")
    return tuple(_checked(each, place) for each in rootfs.texts("diff_ids"))


def _rootfs(diff_ids: tuple[str, ...]) -> JsonObject:
    return {"type": "layers", "diff_ids": diff_ids}


def _keys(fields: Fields, name: str) -> tuple[str, ...]:
    """The keys of a set that Go writes as an object of empty objects."""
    return tuple(sorted(fields.child(name).names()))


def _set(keys: tuple[str, ...]) -> JsonObject:
    return {key: {} for key in keys}


# -- objects ---------------------------------------------------------------------------------

_PLATFORM = Shape(Platform, architecture=text(), os=text(), variant=text())
DESCRIPTOR = Shape(
    Descriptor,
    keeps=("media_type",),
    media_type=text(),
    digest=Member(_digest),
    size=number(_POSITIVE),
    annotations=texts_by_name(),
    platform=one(_PLATFORM),
)
_MANIFEST = Shape(
    Manifest,
    keeps=("layers",),
    config=one(DESCRIPTOR),
    layers=many(DESCRIPTOR),
    annotations=texts_by_name(),
)
_INDEX = Shape(
    Index,
    keeps=("manifests",),
    manifests=many(DESCRIPTOR),
    annotations=texts_by_name(),
)
_HEALTHCHECK = Shape(
    Healthcheck,
    test=texts("Test"),
    interval=number(_POSITIVE, "Interval"),
    timeout=number(_POSITIVE, "Timeout"),
    start_period=number(_POSITIVE, "StartPeriod"),
    start_interval=number(_POSITIVE, "StartInterval"),
    retries=number(_POSITIVE, "Retries"),
)
_DEFAULTS = Shape(
    ExecutionDefaults,
    user=text("User"),
    exposed_ports=Member(_keys, _set, "ExposedPorts"),
    env=texts("Env"),
    entrypoint=texts("Entrypoint"),
    cmd=texts("Cmd"),
    volumes=Member(_keys, _set, "Volumes"),
    working_dir=text("WorkingDir"),
    labels=texts_by_name("Labels"),
    stop_signal=text("StopSignal"),
    shell=texts("Shell"),
    on_build=texts("OnBuild"),
    healthcheck=one(_HEALTHCHECK, "Healthcheck"),
)
_HISTORY = Shape(
    History,
    created=text(),
    created_by=text("created_by"),
    comment=text(),
    author=text(),
    empty_layer=flag("empty_layer"),
    step_key=text("dev.wherry.step"),
)
_IMAGE = Shape(
    ImageDocument,
    keeps=("diff_ids",),
    architecture=text(),
    os=text(),
    variant=text(),
    created=text(),
    author=text(),
    comment=text(),
    config=one(_DEFAULTS),
    diff_ids=Member(_diff_ids, _rootfs, "rootfs"),
    history=many(_HISTORY),
)
