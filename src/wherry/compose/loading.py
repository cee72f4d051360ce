"""From files, variables and flags to a `Project`.

For every file, in order: read YAML, replace variables, follow `extends`, forget what !reset and
!override name, follow `include`, merge over what is there, validate, bring into long forms. Then,
once: defaults, paths, environment files, names, profiles.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from wherry.client.documents import Document, Json, child, document, text, texts
from wherry.compose.canonical import canonical, with_defaults
from wherry.compose.consistency import check_consistency, check_values
from wherry.compose.env_files import read_env_file, text_of
from wherry.compose.errors import ComposeError
from wherry.compose.interpolation import interpolate
from wherry.compose.merging import merge, unique, without
from wherry.compose.normalising import normalise
from wherry.compose.paths import absolute_path, is_remote, resolve_paths
from wherry.compose.project import Project
from wherry.compose.schema import validate
from wherry.compose.service_files import with_env_files, with_label_files
from wherry.compose.whereabouts import Wishes, files_of, name_of, variables_of
from wherry.compose.yaml_source import MOST_BYTES, Source, as_text, read_documents

_MOST_FILES = 200


def load_project(
    wishes: Wishes, environment: Mapping[str, str], warn: Callable[[str], None]
) -> Project:
    """Read a project. Raises: ComposeError, OSError."""
    files, directory = files_of(wishes, environment)
    variables = variables_of(wishes, environment, directory)
    if not wishes.files and "COMPOSE_FILE" in variables and "COMPOSE_FILE" not in environment:
        files, directory = files_of(wishes, variables)
    loader = _Loader(wishes, variables, warn)
    value = loader.load(files, directory, ())
    if not value:
        raise ComposeError("empty compose file")
    name = name_of(wishes, variables, value, directory)
    value = {**value, "name": name}
    value.pop("include", None)
    profiles = list(wishes.profiles) or [
        each for each in variables.get("COMPOSE_PROFILES", "").split(",") if each
    ]
    if wishes.normalises:
        value = normalise(value, variables)
    if wishes.checks_consistency:
        check_consistency(value)
    if wishes.interpolates:
        value = with_label_files(value)
    project = Project(
        name=name, directory=directory, files=files, document=value, environment=variables,
        profiles=profiles, env_files=list(wishes.env_files),
    )  # fmt: skip
    if wishes.resolves_environment:
        project = project.with_document(with_env_files(value, variables))
    return project


class _Loader:
    """Reads files one over the other; the same object serves extends and include."""

    def __init__(
        self, wishes: Wishes, variables: Mapping[str, str], warn: Callable[[str], None]
    ) -> None:
        self._wishes = wishes
        self._variables = variables
        self._warn = warn
        self._unset: set[str] = set()
        self._files_read = 0

    def load(
        self,
        files: Sequence[str],
        directory: str,
        including: tuple[str, ...],
        paths_from: str | None = None,
    ) -> Document:
        """The merged document of some files, in long forms.

        Its paths are taken from `directory`, if paths are resolved at all; those of included
        files always, from `paths_from`.
        """
        if files[0] in including:
            chain = "\n include ".join((*including, files[0])[1:])
            raise ComposeError(f"include cycle detected:\n{including[0]}\n include {chain}")
        result: Document = {}
        for file in files:
            for source in self._read(file):
                result = self._over(result, source, file, directory, (*including, files[0]))
        result = document(with_defaults(result))
        check_values(result)
        if paths_from is not None or self._wishes.resolves_paths:
            result = resolve_paths(result, directory if paths_from is None else paths_from)
        return result

    def _over(
        self, below: Document, source: Source, file: str, directory: str,
        including: tuple[str, ...],
    ) -> Document:  # fmt: skip
        value = self._interpolated(source.value, file)
        if "volumes" in value and value["volumes"] is None:
            value = {**value, "volumes": {}}
        value = self._extended(value, file, directory)
        for place in source.replaced:
            below = document(without(below, place))
        value = self._with_included(value, directory, including)
        result = document(unique(merge(below, value)))
        validate(result, file, source.lines)
        if "version" in result:
            self._warn(
                f"{file}: the attribute `version` is obsolete, it will be ignored, please "
                "remove it to avoid potential confusion"
            )
            result = {key: each for key, each in result.items() if key != "version"}
        result = canonical(result, keeps_unreadable=not self._wishes.interpolates)
        return document(unique(_without_empty_dns(result)))

    def _read(self, file: str) -> Iterator[Source]:
        self._files_read += 1
        if self._files_read > _MOST_FILES:
            raise ComposeError(f"{file}: more than {_MOST_FILES} files make up this project")
        if file == "-":
            import sys

            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            try:
                with open(file, "rb") as opened:
                    content = opened.read(MOST_BYTES + 1)
            except FileNotFoundError:
                raise ComposeError(f"open {file}: no such file or directory") from None
        yield from (each for each in read_documents(content, file) if each.value is not None)

    def _interpolated(self, value: Json, file: str) -> Document:
        if not isinstance(value, dict):
            raise ComposeError("top-level object must be a mapping")
        if not self._wishes.interpolates:
            return value
        return document(
            interpolate(value, self._variables.get, on_unset=self._warn_of_unset, warn=self._warn)
        )

    def _warn_of_unset(self, name: str) -> None:
        if name not in self._unset:
            self._unset.add(name)
            self._warn(f'The "{name}" variable is not set. Defaulting to a blank string.')

    def _extended(self, value: Document, file: str, directory: str) -> Document:
        services = child(value, "services")
        if not any("extends" in document(each) for each in services.values()):
            return value
        done = {
            name: self._extended_service(name, services, file, directory, ()) for name in services
        }
        return {**value, "services": done}

    def _extended_service(
        self, name: str, services: Document, file: str, directory: str,
        chain: tuple[tuple[str, str], ...],
    ) -> Json:  # fmt: skip
        service = services[name]
        if not isinstance(service, dict) or "extends" not in service:
            return service
        if (file, name) in chain:
            first, *rest = (*chain, (file, name))
            lines = [f"  extends {each} in {place}" for place, each in rest]
            raise ComposeError("\n".join(
                ["Circular reference:", f"  {first[1]} in {first[0]}", *lines]
            ))  # fmt: skip
        extends = service["extends"]
        base_name = extends if isinstance(extends, str) else text(document(extends), "service")
        base_file = text(document(extends), "file") if isinstance(extends, dict) else ""
        base_services, place, base_directory = services, file, directory
        if base_file:
            place = absolute_path(base_file, directory)
            base_directory = os.path.dirname(place)
            base_services = child(self._raw_file(place), "services")
        if base_name not in base_services:
            where = f" in {place}" if base_file else ""
            raise ComposeError(
                f'cannot extend service "{name}" in {file}: service "{base_name}" not found{where}'
            )
        base = self._extended_service(
            base_name, base_services, place, base_directory, (*chain, (file, name))
        )
        if base_directory != directory:
            base = _relocated(document(base), os.path.relpath(base_directory, directory))
        own = {key: each for key, each in service.items() if key != "extends"}
        merged = merge({"services": {name: base}}, {"services": {name: own}})
        return child(merged, "services")[name]

    def _raw_file(self, file: str) -> Document:
        result: Document = {}
        for source in self._read(file):
            result = merge(result, self._interpolated(source.value, file))
        return result

    def _with_included(
        self, value: Document, directory: str, including: tuple[str, ...]
    ) -> Document:
        includes = value.get("include")
        if not isinstance(includes, list):
            return value
        result = {key: each for key, each in value.items() if key != "include"}
        for each in includes:
            included = self._included({"path": each} if isinstance(each, str) else document(each),
                                      directory, including)  # fmt: skip
            result = _imported(result, included, as_text(document(each).get("path") or each))
        return result

    def _included(self, include: Document, directory: str, including: tuple[str, ...]) -> Document:
        paths = texts(include, "path") or [text(include, "path")]
        for path in paths:
            if is_remote(path):
                raise ComposeError(f"include {path}: remote resources are not there yet")
        files = [absolute_path(path, directory) for path in paths]
        base = text(include, "project_directory")
        base = absolute_path(base, directory) if base else os.path.dirname(files[0])
        env_files = texts(include, "env_file") or [
            each for each in [text(include, "env_file")] if each
        ]
        if not env_files and os.path.isfile(os.path.join(base, ".env")):
            env_files = [os.path.join(base, ".env")]
        variables = dict(self._variables)
        for each in env_files:
            path = absolute_path(each, directory)
            try:
                content = text_of(path)
            except FileNotFoundError:
                raise ComposeError(f"stat {path}: no such file or directory") from None
            variables = {**read_env_file(content, path, variables), **variables}
        loader = _Loader(self._wishes, variables, self._warn)
        loader._files_read = self._files_read
        paths_from = base if self._wishes.resolves_paths else os.path.relpath(base, directory)
        result = loader.load(files, base, including, paths_from)
        self._files_read = loader._files_read
        return result


def _imported(value: Document, included: Document, path: str) -> Document:
    """Resources of an included project; each may be defined once, or twice the same."""
    result = dict(value)
    for kind in ("services", "volumes", "networks", "secrets", "configs", "models"):
        ours, theirs = child(result, kind), child(included, kind)
        for name, each in theirs.items():
            if name in ours and ours[name] != each:
                raise ComposeError(f"{kind}.{name} conflicts with imported resource")
        if theirs:
            result[kind] = {**theirs, **ours}
    return result


def _relocated(service: Document, directory: str) -> Json:
    """A service of another directory, given relative to ours; so are its paths then."""
    whole = canonical({"services": {"it": service}})
    return child(resolve_paths(whole, directory), "services")["it"]


def _without_empty_dns(value: Document) -> Document:
    services = child(value, "services")
    if not services:
        return value
    done: Document = {}
    for name, each in services.items():
        service = document(each)
        if isinstance(service.get("dns"), list):
            service = {**service, "dns": [entry for entry in texts(service, "dns") if entry]}
        done[name] = service
    return {**value, "services": done}
