"""What a container of a service finds in its file system, besides its image.

Four sources share one table by target, and the first that names a target has it: anonymous
volumes of the container that is replaced, `volumes`, `secrets` and `configs`. What needs no more
than `source:target:options` goes as a bind, because the engine then makes missing directories;
the rest goes as a mount.
"""

import os
import posixpath
from collections.abc import Callable, Iterable

from wherry.client.documents import Document, Json, child, children, document, flag, number, text
from wherry.compose.application import Application
from wherry.compose.errors import ComposeError
from wherry.compose.observing import SeenContainer, SeenImage
from wherry.compose.service_limits import size_of

Warn = Callable[[str], None]


def mounts_of(
    made: Application,
    service: Document,
    image: SeenImage | None,
    replaced: SeenContainer | None,
    warn: Warn,
) -> tuple[list[str], list[Document]]:
    """Binds and mounts. Raises: ComposeError."""
    wanted = children(service, "volumes")
    binds: list[str] = []
    mounts: dict[str, Document] = {}
    inherited = _inherited(wanted, image, replaced)
    mounts |= inherited
    for each in wanted:
        target = text(each, "target")
        if target in inherited and not text(each, "source"):
            continue
        if (bind := _as_bind(made, each)) is not None:
            mounts.pop(target, None)
            binds.append(bind)
        else:
            mounts[target] = _as_mount(made, each)
    taken = {text(each, "target") for each in wanted} | set(mounts)
    for kind, directory in (("secrets", "/run/secrets/"), ("configs", "/")):
        for each in _files(made, service, kind, directory, warn):
            if text(each, "Target") not in taken:
                mounts[text(each, "Target")] = each
    return binds, list(mounts.values())


def _inherited(
    wanted: Iterable[Document], image: SeenImage | None, replaced: SeenContainer | None
) -> dict[str, Document]:
    """The anonymous volumes that go on from the container that is replaced."""
    anonymous = {text(each, "target") for each in wanted if not text(each, "source")}
    named = {text(each, "target") for each in wanted if text(each, "source")}
    anonymous |= (image.volumes if image else frozenset()) - named
    result: dict[str, Document] = {}
    for each in replaced.mounts if replaced else []:
        target, kind = text(each, "Destination"), text(each, "Type")
        if kind == "tmpfs" or target not in anonymous:
            continue
        result[target] = {
            "Type": kind,
            "Source": text(each, "Name" if kind == "volume" else "Source"),
            "Target": target,
            "ReadOnly": not flag(each, "RW"),
        }
    return result


def _as_bind(made: Application, volume: Document) -> str | None:
    """`source:target:options`, where that says all."""
    kind, source = text(volume, "type"), text(volume, "source")
    options = ["ro" if flag(volume, "read_only") else "rw"]
    if kind == "bind":
        bind = child(volume, "bind")
        if "bind" in volume and not flag(bind, "create_host_path"):
            return None
        if text(bind, "propagation") or text(bind, "recursive"):
            return None
        if selinux := text(bind, "selinux"):
            options.append(selinux)
    elif kind == "volume" and source in made.volumes:
        if any(child(volume, "volume").get(key) for key in ("nocopy", "subpath", "labels")):
            return None
        source = text(child(made.volumes, source), "name")
    else:
        return None
    return f"{source}:{text(volume, 'target')}:{','.join(options)}"


def _as_mount(made: Application, volume: Document) -> Document:
    kind, source = text(volume, "type"), text(volume, "source")
    if kind == "volume" and source in made.volumes:
        source = text(child(made.volumes, source), "name")
    mount: Document = {
        "Type": kind,
        "Source": source,
        "Target": text(volume, "target"),
        "ReadOnly": flag(volume, "read_only"),
        "Consistency": text(volume, "consistency"),
    }
    if kind == "bind" and "bind" in volume:
        mount["BindOptions"] = _bind_options(child(volume, "bind"))
    elif kind == "volume" and "volume" in volume:
        options = child(volume, "volume")
        mount["VolumeOptions"] = {
            "NoCopy": flag(options, "nocopy"),
            "Subpath": text(options, "subpath"),
            "Labels": child(options, "labels"),
        }
    elif kind == "tmpfs" and "tmpfs" in volume:
        options = child(volume, "tmpfs")
        mount["TmpfsOptions"] = {
            "SizeBytes": size_of(options, "size"), "Mode": number(options, "mode"),
        }  # fmt: skip
    elif kind == "image" and "image" in volume:
        mount["ImageOptions"] = {"Subpath": text(child(volume, "image"), "subpath")}
    return mount


def _bind_options(bind: Document) -> Document:
    recursive = text(bind, "recursive")
    return {
        "Propagation": text(bind, "propagation"),
        "CreateMountpoint": flag(bind, "create_host_path"),
        "NonRecursive": recursive == "disabled",
        "ReadOnlyNonRecursive": recursive == "writable",
        "ReadOnlyForceRecursive": recursive == "readonly",
    }


def _files(
    made: Application, service: Document, kind: str, directory: str, warn: Warn
) -> Iterable[Document]:
    """Secrets or configs that are files of the host."""
    noun = kind.removesuffix("s")
    for each in children(service, kind):
        source = text(each, "source")
        defined = document((made.secrets if kind == "secrets" else made.configs).get(source))
        if flag(defined, "external"):
            raise ComposeError(f"unsupported external {noun} {text(defined, 'name')}")
        for field in ("driver", "template_driver"):
            if text(defined, field):
                raise ComposeError(f"Docker Compose does not support {kind}.*.{field}")
        path = text(defined, "file")
        if not path:
            continue
        if text(each, "uid") or text(each, "gid") or each.get("mode") is not None:
            shown = "secrets" if kind == "secrets" else "config"
            warn(f"{shown} `uid`, `gid` and `mode` are not supported, they will be ignored")
        if kind == "secrets" and not os.path.exists(path):
            warn(f"secret file {text(defined, 'name')} does not exist")
        yield {
            "Type": "bind",
            "Source": os.path.abspath(path),
            "Target": target_of(each, directory),
            "ReadOnly": True,
        }


def target_of(file: Document, directory: str) -> str:
    """Where a secret or a config is in the container."""
    target = text(file, "target") or text(file, "source")
    return target if target.startswith("/") else posixpath.join(directory, target)


def carried_files(made: Application, service: Document) -> list[tuple[str, bytes, Document]]:
    """Secrets and configs that are text of the project: target, content, and who owns it.

    Raises: ComposeError for a variable that isn't set.
    """
    found: list[tuple[str, bytes, Document]] = []
    for kind, directory in (("secrets", "/run/secrets/"), ("configs", "/")):
        known = made.secrets if kind == "secrets" else made.configs
        for each in children(service, kind):
            content = _text_of(made, kind, document(known.get(text(each, "source"))))
            if content is not None:
                found.append((target_of(each, directory), content.encode(), each))
    return found


def _text_of(made: Application, kind: str, defined: Document) -> str | None:
    if variable := text(defined, "environment"):
        if variable not in made.environment:
            noun = kind.removesuffix("s")
            raise ComposeError(
                f'environment variable "{variable}" required by {noun} '
                f'"{text(defined, "name")}" is not set'
            )
        return made.environment[variable]
    return text(defined, "content") or None


def archive_of(files: Iterable[tuple[str, bytes, Document]]) -> bytes:
    """A tar of carried files, to be unpacked at the root."""
    import io
    import tarfile
    import time

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for target, content, owner in files:
            member = tarfile.TarInfo(target.lstrip("/"))
            member.size = len(content)
            member.mtime = int(time.time())
            member.mode = _mode(owner.get("mode"))
            member.uid, member.gid = _id(owner, "uid"), _id(owner, "gid")
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def _mode(value: Json) -> int:
    return int(value, 8) if isinstance(value, str) else 0o444


def _id(owner: Document, key: str) -> int:
    given = text(owner, key)
    if given and not given.isdigit():
        raise ComposeError(f"{key} must be a number: {given}")
    return int(given or "0")
