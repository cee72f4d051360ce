"""Contexts: named engines, in the store that docker's own client keeps.

    contexts/meta/SHA256(name)/meta.json             name, description, address
    contexts/tls/SHA256(name)/docker/{ca,cert,key}.pem

`default` is not in the store: it is DOCKER_HOST, or this machine's own engine.
"""

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from typing import NamedTuple

from wherry.client.documents import Document, child, document, flag, parse, text
from wherry.client.endpoint import Endpoint, TlsFiles, parse_endpoint
from wherry.kit.atomic_files import write_atomically

DEFAULT = "default"
NAME = r"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"
TLS_NAMES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
_LARGEST_IMPORT_BYTES = 10 << 20


class ContextProblem(Exception):
    """A context that is not there, or can't be; the text is Docker's."""


class Context(NamedTuple):
    """A stored context."""

    name: str
    description: str = ""
    address: str = ""
    skips_verification: bool = False

    def as_document(self) -> Document:
        """As it is stored, and as `inspect` begins."""
        metadata: Document = {"Description": self.description} if self.description else {}
        endpoint: Document = {"Host": self.address, "SkipTLSVerify": self.skips_verification}
        return {"Name": self.name, "Metadata": metadata, "Endpoints": {"docker": endpoint}}


class ContextStore:
    """The contexts below one configuration directory."""

    def __init__(self, directory: str) -> None:
        self._root = os.path.join(directory, "contexts")

    def meta_directory(self, name: str) -> str:
        """Where a context's description is."""
        return os.path.join(self._root, "meta", hashlib.sha256(name.encode()).hexdigest())

    def tls_directory(self, name: str) -> str:
        """Where a context's certificates are."""
        return os.path.join(self._root, "tls", hashlib.sha256(name.encode()).hexdigest())

    def get(self, name: str) -> Context:
        """Raises: ContextProblem."""
        path = os.path.join(self.meta_directory(name), "meta.json")
        try:
            with open(path, "rb") as file:
                return _context(document(parse(file.read())))
        except OSError as problem:
            reason = (problem.strerror or "").lower()
            raise ContextProblem(
                f'context "{name}": context not found: open {path}: {reason}'
            ) from None
        except ValueError as problem:
            raise ContextProblem(f'context "{name}": {path}: {problem}') from None

    def has(self, name: str) -> bool:
        """Whether it is stored."""
        return os.path.exists(os.path.join(self.meta_directory(name), "meta.json"))

    def all(self) -> list[Context]:
        """Every stored context, by name. Raises: ContextProblem."""
        found = []
        place = os.path.join(self._root, "meta")
        for entry in os.listdir(place) if os.path.isdir(place) else ():
            try:
                with open(os.path.join(place, entry, "meta.json"), "rb") as file:
                    found.append(_context(document(parse(file.read()))))
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as problem:
                raise ContextProblem(f"context {place}/{entry}: {problem}") from None
        return sorted(found)

    def put(self, context: Context, material: Mapping[str, bytes] | None = None) -> None:
        """Store it; `material` (by file name) replaces its certificates, None keeps them.

        Raises: OSError.
        """
        place = self.meta_directory(context.name)
        os.makedirs(place, mode=0o755, exist_ok=True)
        content = json.dumps(context.as_document(), separators=(",", ":")).encode()
        write_atomically(os.path.join(place, "meta.json"), content, mode=0o644)
        if material is None:
            return
        shutil.rmtree(self.tls_directory(context.name), ignore_errors=True)
        if material:
            keys = os.path.join(self.tls_directory(context.name), "docker")
            os.makedirs(keys, mode=0o700)
            for name, pem in material.items():
                write_atomically(os.path.join(keys, name), pem)

    def remove(self, name: str) -> None:
        """Take it and its certificates away. Raises: ContextProblem."""
        if not self.has(name):
            raise ContextProblem(f'context "{name}" does not exist')
        shutil.rmtree(self.meta_directory(name))
        shutil.rmtree(self.tls_directory(name), ignore_errors=True)

    def material(self, name: str) -> dict[str, bytes]:
        """Its certificates by file name."""
        keys = os.path.join(self.tls_directory(name), "docker")
        found = {}
        for each in sorted(os.listdir(keys)) if os.path.isdir(keys) else ():
            with open(os.path.join(keys, each), "rb") as file:
                found[each] = file.read()
        return found

    def endpoint(self, name: str) -> Endpoint:
        """Where its engine is. Raises: ContextProblem, InvalidEndpoint."""
        context = self.get(name)
        keys = os.path.join(self.tls_directory(name), "docker")
        paths = {key: os.path.join(keys, each) for key, each in TLS_NAMES.items()}
        there = {key: path for key, path in paths.items() if os.path.exists(path)}
        tls = None
        if there or context.skips_verification:
            tls = TlsFiles(
                there.get("ca", ""),
                there.get("cert", ""),
                there.get("key", ""),
                context.skips_verification,
            )
        return parse_endpoint(context.address, tls)

    # -- archives ----------------------------------------------------------------------------

    def export(self, name: str) -> bytes:
        """A tar archive of it, as docker's client writes them. Raises: ContextProblem."""
        content = json.dumps(self.get(name).as_document(), separators=(",", ":")).encode()
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            _add(archive, "meta.json", content, mode=0o644)
            _add(archive, "tls", None, mode=0o700)
            material = self.material(name)
            if material:
                _add(archive, "tls/docker", None, mode=0o700)
            for each, pem in material.items():
                _add(archive, f"tls/docker/{each}", pem, mode=0o600)
        return buffer.getvalue()

    def take_in(self, name: str, archive: bytes) -> None:
        """Store what an archive, tar or zip, holds. Raises: ContextProblem, OSError."""
        files = _files_of(archive)
        if "meta.json" not in files:
            raise ContextProblem("invalid context: no metadata found")
        try:
            context = _context(document(parse(files.pop("meta.json"))))
        except ValueError as problem:
            raise ContextProblem(f"invalid context: {problem}") from None
        material = {}
        for path, content in files.items():
            place, _slash, file_name = path.rpartition("/")
            if place != "tls/docker" or file_name not in TLS_NAMES.values():
                raise ContextProblem(f"unexpected context file: {path}")
            material[file_name] = content
        self.put(context._replace(name=name), material)


def check_name(name: str) -> None:
    """Raises: ContextProblem for one that no context can have."""
    if name == DEFAULT:
        raise ContextProblem('"default" is a reserved context name')
    if not re.fullmatch(NAME, name):
        raise ContextProblem(
            f'context name "{name}" is invalid, names are validated against regexp "{NAME}"'
        )


def _context(stored: Document) -> Context:
    endpoint = child(child(stored, "Endpoints"), "docker")
    return Context(
        name=text(stored, "Name"),
        description=text(child(stored, "Metadata"), "Description"),
        address=text(endpoint, "Host"),
        skips_verification=flag(endpoint, "SkipTLSVerify"),
    )


def _add(archive: tarfile.TarFile, name: str, content: bytes | None, *, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.mode = mode
    if content is None:
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
        return
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _files_of(archive: bytes) -> dict[str, bytes]:
    """The regular files of an archive, by path. Raises: ContextProblem."""
    if len(archive) > _LARGEST_IMPORT_BYTES:
        raise ContextProblem(f"context archive exceeds {_LARGEST_IMPORT_BYTES} bytes")
    files: dict[str, bytes] = {}
    try:
        if archive[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
                for entry in zipped.infolist():
                    if entry.file_size > _LARGEST_IMPORT_BYTES:
                        raise ContextProblem(f"context file {entry.filename} is too large")
                    if not entry.is_dir():
                        files[entry.filename] = zipped.read(entry)
            return files
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    files[member.name] = content.read()
    except (tarfile.TarError, zipfile.BadZipFile) as problem:
        raise ContextProblem(f"invalid context archive: {problem}") from None
    return files
