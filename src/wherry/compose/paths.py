"""Relative paths become absolute: relative to the project's directory, `~` to the user's."""

import os
import re
from collections.abc import Callable

from wherry.client.documents import Document, Json, document
from wherry.compose.tree_paths import PathTable
from wherry.compose.yaml_source import Path

_REMOTE = re.compile(
    r"^(https?|git|ssh|oci|docker-image|target)://|^service:|^git@|^github\.com/|\.git(#|$)"
)


def resolve_paths(value: Document, directory: str) -> Document:
    """A new document whose paths are absolute."""

    def absolute(path: str) -> str:
        return absolute_path(path, directory)

    def walk(each: Json, path: Path) -> Json:
        rule = _RULES.at(path)
        if rule is not None:
            return rule(each, absolute)
        if isinstance(each, dict):
            return {key: walk(inner, (*path, key)) for key, inner in each.items()}
        if isinstance(each, list):
            return [walk(inner, (*path, "[]")) for inner in each]
        return each

    return document(walk(value, ()))


_WINDOWS = re.compile(r"[A-Za-z]:[\\/]")


def absolute_path(path: str, directory: str) -> str:
    """One path; one of another machine's or a remote stays as it is."""
    if path == "~" or path.startswith("~/"):
        return os.path.join(os.path.expanduser("~"), path[2:])
    if os.path.isabs(path) or _WINDOWS.match(path):
        return path
    return os.path.normpath(os.path.join(directory, path))


def is_remote(context: str) -> bool:
    """Whether a build context or resource is fetched from somewhere."""
    return _REMOTE.search(context) is not None


Absolute = Callable[[str], str]


def _path(value: Json, absolute: Absolute) -> Json:
    if isinstance(value, list):
        return [_path(each, absolute) for each in value]
    return absolute(value) if isinstance(value, str) else value


def _context(value: Json, absolute: Absolute) -> Json:
    if not isinstance(value, str) or is_remote(value):
        return value
    return absolute(value)


def _volume(value: Json, absolute: Absolute) -> Json:
    volume = document(value)
    source = volume.get("source")
    if volume.get("type") == "bind" and isinstance(source, str):
        return {**volume, "source": absolute(source)}
    return value


def _named_volume(value: Json, absolute: Absolute) -> Json:
    volume = document(value)
    options = document(volume.get("driver_opts"))
    device = options.get("device")
    if (
        options.get("o") == "bind"
        and isinstance(device, str)
        and volume.get("driver") in (None, "local")
    ):
        return {**volume, "driver_opts": {**options, "device": absolute(device)}}
    return value


_RULES: PathTable[Callable[[Json, Absolute], Json]] = PathTable(
    {
        "services.*.build.context": _context,
        "services.*.build.additional_contexts.*": _context,
        "services.*.build.ssh.*": _path,
        "services.*.env_file.*.path": _path,
        "services.*.label_file.*": _path,
        "services.*.extends.file": _path,
        "services.*.develop.watch.*.path": _path,
        "services.*.volumes.*": _volume,
        "configs.*.file": _path,
        "secrets.*.file": _path,
        "include.*.path": _path,
        "include.*.project_directory": _path,
        "include.*.env_file": _path,
        "volumes.*": _named_volume,
    }
)
