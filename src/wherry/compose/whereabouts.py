"""What the command line says about a project; where its files, variables and name come from."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wherry.client.documents import Document
from wherry.compose.env_files import read_env_file, text_of
from wherry.compose.errors import ComposeError
from wherry.compose.normalising import allowed_name
from wherry.compose.yaml_source import as_text

DEFAULT_FILES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = ("compose.override.yml", "compose.override.yaml",
              "docker-compose.override.yml", "docker-compose.override.yaml")  # fmt: skip


class Wishes(NamedTuple):
    """What the command line says about a project."""

    files: Sequence[str] = ()
    project_name: str = ""
    project_directory: str = ""
    env_files: Sequence[str] = ()
    profiles: Sequence[str] = ()
    interpolates: bool = True
    normalises: bool = True
    resolves_paths: bool = True
    resolves_environment: bool = True
    checks_consistency: bool = True


def files_of(wishes: Wishes, environment: Mapping[str, str]) -> tuple[list[str], str]:
    """The files' absolute paths, and the project's directory. Raises: ComposeError."""
    given = list(wishes.files)
    if not given and (listed := environment.get("COMPOSE_FILE", "")):
        separator = environment.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        given = listed.split(separator)
    if given:
        found = [each if each == "-" else os.path.abspath(each) for each in given]
        base = os.getcwd() if found[0] == "-" else os.path.dirname(found[0])
    else:
        found = _default_files(wishes.project_directory or os.getcwd())
        base = os.path.dirname(found[0])
    return found, os.path.abspath(wishes.project_directory or base)


def _default_files(start: str) -> list[str]:
    """The Compose file of a directory or of the nearest one above it, and its override."""
    directory = os.path.abspath(start)
    while True:
        names = [name for name in DEFAULT_FILES if os.path.isfile(os.path.join(directory, name))]
        if names:
            found = [os.path.join(directory, names[0])]
            for override in _OVERRIDES:
                if os.path.isfile(os.path.join(directory, override)):
                    return [*found, os.path.join(directory, override)]
            return found
        if directory == os.path.dirname(directory):
            raise ComposeError("no configuration file provided: not found")
        directory = os.path.dirname(directory)


def variables_of(wishes: Wishes, environment: Mapping[str, str], directory: str) -> dict[str, str]:
    """The environment over what `.env` says. Raises: ComposeError."""
    named = list(wishes.env_files) or [
        each for each in environment.get("COMPOSE_ENV_FILES", "").split(",") if each
    ]
    found: dict[str, str] = {}
    if not named:
        default = os.path.join(directory, ".env")
        named = [default] if os.path.isfile(default) else []
    for path in named:
        absolute = os.path.abspath(path)
        try:
            content = text_of(absolute)
        except FileNotFoundError:
            raise ComposeError(f"couldn't find env file: {absolute}") from None
        found |= read_env_file(content, absolute, {**found, **environment})
    return {**found, **environment}


def name_of(wishes: Wishes, variables: Mapping[str, str], value: Document, directory: str) -> str:
    """The project's name. Raises: ComposeError."""
    name = wishes.project_name or variables.get("COMPOSE_PROJECT_NAME", "")
    if not name:
        name = allowed_name(as_text(value.get("name")))
    if not name:
        name = allowed_name(os.path.basename(directory))
        if not name:
            raise ComposeError("project name must not be empty")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ComposeError(
            f'invalid project name "{name}": must consist only of lowercase alphanumeric '
            "characters, hyphens, and underscores as well as start with a letter or number"
        )
    return name
