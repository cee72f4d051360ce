"""Volumes, mounts and tmpfs: `-v`, `--mount`, `--tmpfs`."""

import os
from collections.abc import Sequence

from wherry.cli.flags import read_size, read_switch
from wherry.client.documents import Document, Json, document, text

_TYPES = ("bind", "cluster", "image", "npipe", "tmpfs", "volume")
_SWITCHES = (
    "readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src",
)  # fmt: skip
_RECURSIVE_READ_ONLY = ("enabled", "disabled", "writable", "readonly")


def split_volumes(volumes: Sequence[str]) -> tuple[list[str], Document]:
    """The binds of `-v`, with relative paths made absolute, and the anonymous volumes.

    Raises: ValueError.
    """
    binds: list[str] = []
    anonymous: Document = {}
    for volume in volumes:
        if not volume:
            raise ValueError("invalid empty volume spec")
        parts = volume.split(":")
        if "" in parts:
            raise ValueError(f"invalid spec: {volume}: empty section between colons")
        if len(parts) == 1:
            anonymous[volume] = {}
        elif parts[0].startswith("."):
            binds.append(":".join([os.path.abspath(parts[0]), *parts[1:]]))
        else:
            binds.append(volume)
    return binds, anonymous


def split_tmpfs(given: Sequence[str]) -> Document:
    """The API's map from path to options."""
    return {path: options for path, _, options in (text.partition(":") for text in given)}


def parse_mount(value: str) -> Document:
    """The API's mount of one `--mount`. Raises: ValueError with Docker's text."""
    mount: Document = {"Type": "volume"}
    if not value.strip():
        raise ValueError("EOF")
    import csv  # For `--mount` alone.

    for field in next(csv.reader([value], strict=True)):
        key, equals, given = field.partition("=")
        key = key.lower()
        if not equals:
            if key not in _SWITCHES:
                raise ValueError(f"invalid field '{field}' must be a key=value pair")
            given = "true"
        _set(mount, key, given, field)
    _check(mount)
    return mount


def _set(mount: Document, key: str, value: str, field: str) -> None:
    match key:
        case "type":
            mount["Type"] = value.lower()
        case "source" | "src":
            is_relative = value == "." or value.startswith(("./", "../")) or value == ".."
            mount["Source"] = os.path.abspath(value) if is_relative else value
        case "target" | "dst" | "destination":
            mount["Target"] = value
        case "readonly" | "ro":
            mount["ReadOnly"] = _switch(key, value)
        case "consistency":
            mount["Consistency"] = value.lower()
        case "bind-propagation":
            _inner(mount, "BindOptions")["Propagation"] = value.lower()
        case "bind-nonrecursive":
            _inner(mount, "BindOptions")["NonRecursive"] = _switch(key, value)
        case "bind-create-src":
            _inner(mount, "BindOptions")["CreateMountpoint"] = _switch(key, value)
        case "bind-recursive":
            _set_recursive(_inner(mount, "BindOptions"), value)
        case "volume-subpath":
            _inner(mount, "VolumeOptions")["Subpath"] = value
        case "image-subpath":
            _inner(mount, "ImageOptions")["Subpath"] = value
        case "volume-nocopy":
            _inner(mount, "VolumeOptions")["NoCopy"] = _switch(key, value)
        case "volume-label":
            _add(_inner(mount, "VolumeOptions"), "Labels", value)
        case "volume-driver":
            _inner(_inner(mount, "VolumeOptions"), "DriverConfig")["Name"] = value
        case "volume-opt":
            _add(_inner(_inner(mount, "VolumeOptions"), "DriverConfig"), "Options", value)
        case "tmpfs-size":
            try:
                _inner(mount, "TmpfsOptions")["SizeBytes"] = read_size(value)
            except ValueError:
                raise ValueError(f"invalid value for {key}: {value}") from None
        case "tmpfs-mode":
            if not value or set(value) - set("01234567") or int(value, 8) > 0xFFFFFFFF:
                raise ValueError(f"invalid value for {key}: {value}")
            _inner(mount, "TmpfsOptions")["Mode"] = int(value, 8)
        case _:
            raise ValueError(f"unexpected key '{key}' in '{field}'")


def _set_recursive(options: Document, value: str) -> None:
    if value not in _RECURSIVE_READ_ONLY:
        raise ValueError(
            f'invalid value for bind-recursive: {value} (must be "enabled", "disabled", '
            '"writable", or "readonly")'
        )
    if value == "disabled":
        options["NonRecursive"] = True
    elif value == "writable":
        options["ReadOnlyNonRecursive"] = True
    elif value == "readonly":
        options["ReadOnlyForceRecursive"] = True


def _check(mount: Document) -> None:
    kind = text(mount, "Type")
    if not kind:
        raise ValueError("type is required")
    if not text(mount, "Target"):
        raise ValueError("target is required")
    if kind not in _TYPES:
        return  # The engine says which types there are.
    for options, prefix in (
        ("VolumeOptions", "volume"), ("BindOptions", "bind"), ("TmpfsOptions", "tmpfs"),
        ("ImageOptions", "image"),
    ):  # fmt: skip
        if options in mount and kind != prefix:
            raise ValueError(f"cannot mix '{prefix}-*' options with mount type '{kind}'")
    binding = document(mount.get("BindOptions"))
    if binding.get("ReadOnlyNonRecursive") and not mount.get("ReadOnly"):
        raise ValueError(
            "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction"
        )
    if binding.get("ReadOnlyForceRecursive"):
        if not mount.get("ReadOnly"):
            raise ValueError(
                "option 'bind-recursive=readonly' requires 'readonly' to be specified "
                "in conjunction"
            )
        if binding.get("Propagation") != "rprivate":
            raise ValueError(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' "
                "to be specified in conjunction"
            )


def _switch(key: str, value: str) -> bool:
    try:
        return read_switch(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _inner(of: Document, key: str) -> Document:
    inner: Json = of.setdefault(key, {})
    if not isinstance(inner, dict):
        raise TypeError(f"{key} is no object")
    return inner


def _add(of: Document, key: str, pair: str) -> None:
    name, _, value = pair.partition("=")
    _inner(of, key)[name] = value
