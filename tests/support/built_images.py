"""What an image is, as lines that can be compared: what it says, and its files."""

import hashlib
import io
import json
import posixpath
import re
import stat
import tarfile
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from support.daemon import Engine
from support.stock_engine import StockEngine

Tree = Mapping[str, str]
"""A line for each path."""
_MOUNT_POINTS = frozenset({"/dev", "/proc", "/sys"})
"""BuildKit leaves them behind where an image has none."""
_OLD_MOUNT_POINTS = {"/c", "/t", "/own", "/run", "/run/secrets", "/run/buildkit", *_MOUNT_POINTS}
"""Those of the cases' mounts, too, were left behind by BuildKit once."""
_UNSAID = ("", None, [], {}, False)
_COMPOSE = "com.docker.compose."
"""What the names of labels begin with that Compose gives to all that it builds."""
_OF_NO_MATTER = ("Hostname", "Image", "ArgsEscaped", "AttachStdin")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}
_LONGEST = 300
"""Bytes of a file that is shown whole."""
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image beside the one that it may stand on."""

    result: str
    """The fields of its configuration and the files that are not the base's, one in a line."""
    history: str
    """Of its own steps, in their order; `(no layer)` behind those that changed no file."""


@dataclass(frozen=True, slots=True)
class _Read:
    document: Any
    layers: list[tuple[str, bytes]]


def built_image(engine: Engine, name: str, base: str, attributes: Set[str]) -> BuiltImage:
    """What a build has made; `times` of files and the number of `layers` where they are wanted."""
    has_times = "times" in attributes
    made, below = _read(engine, name), _read(engine, base)
    names = [digest for digest, _content in below.layers]
    is_on_base = [digest for digest, _content in made.layers][: len(names)] == names
    if not is_on_base:
        below = _Read({"config": {}, "history": []}, [])
    before = _tree(below, has_times=has_times)
    after = _tree(made, has_times=has_times)
    on = [] if is_on_base else ["on nothing"]
    if "layers" in attributes:
        on.append(f"layers {len(made.layers) - len(below.layers)}")
    ignored = _OLD_MOUNT_POINTS if isinstance(engine, StockEngine) else _MOUNT_POINTS
    changed = [each for each in _changed(before, after) if each.split()[0] not in ignored]
    lines = [*on, *_said(made, below), *changed]
    told = made.document["history"][len(below.document["history"]) :]
    return BuiltImage(_text(lines), _text(_told(each) for each in told))


def _text(lines: Iterator[str] | list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _told(entry: Mapping[str, Any]) -> str:
    created_by = _DIGEST.sub("...", entry.get("created_by") or "-").rstrip()
    return created_by + (" (no layer)" if entry.get("empty_layer") else "")


def _read(engine: Engine, name: str) -> _Read:
    answer = engine.api("GET", f"/images/{name}/get")
    assert answer.status == 200, answer.body
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:

        def content(path: str) -> bytes:
            # dockerd writes a layer that is there already as a link to it.
            file = archive.extractfile(path)
            assert file is not None
            return file.read()

        manifest = json.loads(content("manifest.json"))[0]
        document = json.loads(content(manifest["Config"]))
        digests = document["rootfs"].get("diff_ids") or []
        layers = [content(each) for each in manifest["Layers"] or ()]
    return _Read(document, list(zip(digests, layers, strict=True)))


def _said(made: _Read, below: _Read) -> Iterator[str]:
    said = dict(_fields("", made.document.get("config") or {}))
    before = dict(_fields("", below.document.get("config") or {}))
    for name in sorted({*said, *before}):
        if said.get(name) != before.get(name):
            yield f"{name} {said.get(name, 'is not said')}"
    for name in ("author", "architecture", "variant"):
        if made.document.get(name) not in ("", None, "amd64"):
            yield f"{name} {made.document[name]}"


def _fields(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        is_default = (name, value) == ("WorkingDir", "/")
        if value in _UNSAID or name in _OF_NO_MATTER or is_default:
            continue
        if name == "Env":
            value = [each for each in value if each != _PATH]
            if not value:
                continue
        if name == "Labels":
            value = {each: text for each, text in value.items() if not each.startswith(_COMPOSE)}
            if not value:
                continue
        if isinstance(value, dict) and name not in ("Labels", "ExposedPorts", "Volumes"):
            yield from _fields(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", json.dumps(value, ensure_ascii=False, sort_keys=True)


def _tree(image: _Read, *, has_times: bool) -> Tree:
    """The files of all layers, each above the one before it."""
    tree: dict[str, str] = {}
    for _digest, content in image.layers:
        with tarfile.open(fileobj=io.BytesIO(content), errors="surrogateescape") as layer:
            for member in layer:
                path = posixpath.normpath(f"/{member.name}")
                parent, _slash, last = path.rpartition("/")
                if last == ".wh..wh..opq":
                    _remove(tree, parent, with_itself=False)
                elif last.startswith(".wh."):
                    _remove(tree, f"{parent}/{last.removeprefix('.wh.')}", with_itself=True)
                elif path != "/":
                    if not member.isdir():
                        _remove(tree, path, with_itself=True)
                    tree[path] = _line(layer, member, tree, has_times=has_times)
    return tree


def _remove(tree: dict[str, str], path: str, *, with_itself: bool) -> None:
    gone = [each for each in tree if each.startswith(f"{path}/") or (with_itself and each == path)]
    for each in gone:
        del tree[each]


def _line(layer: tarfile.TarFile, member: tarfile.TarInfo, tree: Tree, *, has_times: bool) -> str:
    if member.islnk():
        return tree[posixpath.normpath(f"/{member.linkname}")]
    mode = stat.filemode(_KINDS.get(member.type, stat.S_IFREG) | member.mode)
    words = [mode, f"{member.uid}:{member.gid}"]
    if member.issym():
        words.append(f"-> {member.linkname}")
    file = layer.extractfile(member) if member.isreg() else None
    if file is not None:
        content = file.read()
        words.append(_shown(content))
        if has_times:
            words.append(f"at {int(member.mtime)}")
    return " ".join(words)


def _shown(content: bytes) -> str:
    if len(content) < _LONGEST and b"\0" not in content:
        return repr(content.decode(errors="backslashreplace"))
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _changed(before: Tree, after: Tree) -> Iterator[str]:
    for path in sorted({*before, *after}):
        if before.get(path) != after.get(path):
            yield f"{path} {after.get(path, 'is gone')}"
