"""Environment variables and labels, from flags and from files of lines."""

import os
from collections.abc import Callable, Iterator, Sequence

from wherry.cli.flags import repeated


class EnvironmentFileError(ValueError):
    """A file of variables or labels that cannot be read."""


def read_variable_name(text: str) -> str:
    """`NAME=value` or `NAME`, as it is. Raises: ValueError."""
    if not text.partition("=")[0]:
        raise ValueError(f"invalid environment variable: {text}")
    return text


def read_variable(text: str) -> str:
    """`NAME=value`, or `NAME` for this process's own value. Raises: ValueError."""
    name, equals, _ = read_variable_name(text).partition("=")
    if equals or name not in os.environ:
        return text
    return f"{name}={os.environ[name]}"


def read_label(text: str) -> str:
    """`key=value` or `key`. Raises: ValueError."""
    key = text.partition("=")[0].lstrip()
    if not key:
        raise ValueError(f"invalid label '{text}': empty name")
    if any(character.isspace() for character in key):
        raise ValueError(f"label '{key}' contains whitespaces")
    return text


LABELS = repeated("list", read_label)
"""The kind of `--label`, whatever it is that gets them."""


def environment(files: Sequence[str], given: Sequence[str]) -> Iterator[str]:
    """The variables of files, then those of flags. Raises: EnvironmentFileError."""
    for path in files:
        yield from _lines(path, os.environ.get)
    yield from given


def labels(files: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """The labels of files, then those of flags. Raises: EnvironmentFileError."""
    result: dict[str, str] = {}
    for path in files:
        for line in _lines(path, lambda _name: None):
            key, _, value = line.partition("=")
            result[key] = value
    for label in given:
        key, _, value = label.partition("=")
        result[key] = value
    return result


def _lines(path: str, missing: Callable[[str], str | None]) -> Iterator[str]:
    """`NAME=value` lines; a NAME alone takes the value that `missing` gives, or is left out."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as problem:
        reason = (problem.strerror or "").lower()
        raise EnvironmentFileError(f"open {path}: {reason}") from None
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            line = raw.decode().lstrip()
        except UnicodeDecodeError:
            raise EnvironmentFileError(
                f"invalid env file ({path}): invalid utf8 bytes at line {number}: {raw!r}"
            ) from None
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name:
            raise EnvironmentFileError(
                f"invalid env file ({path}): no variable name on line '{line}'"
            )
        if any(character.isspace() for character in name):
            raise EnvironmentFileError(
                f"invalid env file ({path}): variable '{name}' contains whitespaces"
            )
        found = value if equals else missing(name)
        if found is not None:
            yield f"{name}={found}"
