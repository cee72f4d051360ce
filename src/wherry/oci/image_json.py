"""Image documents from and to JSON.

What we write is canonical: keys sorted, no blanks, absent members left out; the same image gives
the same bytes, and so the same id.
"""

import json
import re
from collections.abc import Mapping

from wherry.oci import json_fields
from wherry.oci.image_spec import (
    CONFIG,
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
from wherry.oci.json_fields import Fields

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST_BLOB = (0, (1 << 63) - 1)
_DURATION = (0, (1 << 63) - 1)

Json = str | int | bool | list["Json"] | dict[str, "Json"]


def decode_image(document: bytes) -> ImageDocument:
    """Read an image's configuration. Raises: ValueError naming the field."""
    fields = json_fields.parse(document)
    rootfs = fields.child("rootfs")
    kind = rootfs.text("type", "layers")
    if kind != "layers":
        raise ValueError(f"rootfs.type: {kind!r} is not layers")
    return ImageDocument(
        architecture=fields.text("architecture"),
        os=fields.text("os"),
        variant=fields.text("variant"),
        created=fields.text("created"),
        author=fields.text("author"),
        comment=fields.text("comment"),
        config=_decode_defaults(fields.child("config")),
        diff_ids=tuple(_digest(each, "rootfs.diff_ids") for each in rootfs.texts("diff_ids")),
        history=tuple(_decode_history(each) for each in fields.children("history")),
    )


def decode_manifest(document: bytes) -> Manifest:
    """Read a manifest. Raises: ValueError naming the field."""
    fields = json_fields.parse(document)
    fields.require("config")
    return Manifest(
        config=_decode_descriptor(fields.child("config")),
        layers=tuple(_decode_descriptor(each) for each in fields.children("layers")),
        annotations=fields.texts_by_name("annotations"),
    )


def decode_index(document: bytes) -> Index:
    """Read an index. Raises: ValueError naming the field."""
    fields = json_fields.parse(document)
    return Index(
        manifests=tuple(_decode_descriptor(each) for each in fields.children("manifests")),
        annotations=fields.texts_by_name("annotations"),
    )


def encode_image(image: ImageDocument) -> bytes:
    """Write an image's configuration."""
    return canonical(
        {
            "architecture": image.architecture,
            "os": image.os,
            "variant": image.variant,
            "created": image.created,
            "author": image.author,
            "comment": image.comment,
            "config": _encode_defaults(image.config),
            "rootfs": {"type": "layers", "diff_ids": list(image.diff_ids)},
            "history": [
                _present(
                    {
                        "created": each.created,
                        "created_by": each.created_by,
                        "comment": each.comment,
                        "author": each.author,
                        "empty_layer": each.empty_layer,
                    }
                )
                for each in image.history
            ],
        }
    )


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest."""
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor_json(manifest.config),
            "layers": [descriptor_json(each) for each in manifest.layers],
            "annotations": dict(manifest.annotations),
        },
        keeps=("layers",),
    )


def encode_index(index: Index) -> bytes:
    """Write an index."""
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [descriptor_json(each) for each in index.manifests],
            "annotations": dict(index.annotations),
        },
        keeps=("manifests",),
    )


def descriptor_json(descriptor: Descriptor) -> Json:
    """A descriptor as a JSON value."""
    platform: Json = {}
    if descriptor.platform is not None:
        platform = _present(
            {
                "architecture": descriptor.platform.architecture,
                "os": descriptor.platform.os,
                "variant": descriptor.platform.variant,
            }
        )
    value = _present({"annotations": dict(descriptor.annotations), "platform": platform})
    return value | {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }


def canonical(document: Mapping[str, Json], *, keeps: tuple[str, ...] = ()) -> bytes:
    """JSON with sorted keys and no blanks; empty members are left out unless kept."""
    present = _present(document) | {key: document[key] for key in keeps}
    return json.dumps(present, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )


def _present(members: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in members.items() if value not in ("", [], {}, False)}


def _decode_defaults(fields: Fields) -> ExecutionDefaults:
    return ExecutionDefaults(
        user=fields.text("User"),
        exposed_ports=_keys(fields, "ExposedPorts"),
        env=fields.texts("Env"),
        entrypoint=fields.texts("Entrypoint") if fields.has("Entrypoint") else None,
        cmd=fields.texts("Cmd") if fields.has("Cmd") else None,
        volumes=_keys(fields, "Volumes"),
        working_dir=fields.text("WorkingDir"),
        labels=fields.texts_by_name("Labels"),
        stop_signal=fields.text("StopSignal"),
        shell=fields.texts("Shell"),
        on_build=fields.texts("OnBuild"),
        healthcheck=_decode_healthcheck(fields),
    )


def _decode_healthcheck(fields: Fields) -> Healthcheck | None:
    if not fields.has("Healthcheck"):
        return None
    check = fields.child("Healthcheck")
    return Healthcheck(
        test=check.texts("Test"),
        interval=check.number("Interval", _DURATION),
        timeout=check.number("Timeout", _DURATION),
        start_period=check.number("StartPeriod", _DURATION),
        start_interval=check.number("StartInterval", _DURATION),
        retries=check.number("Retries", _DURATION),
    )


def _encode_defaults(config: ExecutionDefaults) -> dict[str, Json]:
    members: dict[str, Json] = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Env": list(config.env),
        "Volumes": {path: {} for path in config.volumes},
        "WorkingDir": config.working_dir,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
        "Shell": list(config.shell),
        "OnBuild": list(config.on_build),
    }
    present = _present(members)
    if config.entrypoint is not None:
        present["Entrypoint"] = list(config.entrypoint)
    if config.cmd is not None:
        present["Cmd"] = list(config.cmd)
    if config.healthcheck is not None:
        present["Healthcheck"] = _encode_healthcheck(config.healthcheck)
    return present


def _encode_healthcheck(check: Healthcheck) -> Json:
    members: dict[str, Json] = {
        "Test": list(check.test),
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    }
    return {key: value for key, value in members.items() if value}


def _decode_history(fields: Fields) -> History:
    return History(
        created=fields.text("created"),
        created_by=fields.text("created_by"),
        comment=fields.text("comment"),
        author=fields.text("author"),
        empty_layer=fields.flag("empty_layer"),
    )


def _decode_descriptor(fields: Fields) -> Descriptor:
    fields.require("digest", "size")
    platform = None
    if fields.has("platform"):
        member = fields.child("platform")
        platform = Platform(
            architecture=member.text("architecture"),
            os=member.text("os"),
            variant=member.text("variant"),
        )
    return Descriptor(
        media_type=fields.text("mediaType", CONFIG),
        digest=_digest(fields.text("digest"), fields.where("digest")),
        size=fields.number("size", _LARGEST_BLOB),
        annotations=fields.texts_by_name("annotations"),
        platform=platform,
    )


def _keys(fields: Fields, name: str) -> tuple[str, ...]:
    """The keys of a set that Go writes as an object of empty objects."""
    return tuple(sorted(fields.child(name).names()))


def _digest(text: str, place: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise ValueError(f"{place}: {text[:80]!r} is not a sha256 digest")
    return text
