"""`cp`: files from here into a container, and the other way round.

Where a copy lands, and under which name, is Docker's to say (docs.docker.com, "docker container
cp"): into a directory that is there, under a new name beside what is not, and `/.` at the end of
a source means its content alone.
"""

import os
import posixpath
import stat
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wherry.cli import local_trees
from wherry.cli.command import TWO, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.client.documents import number, text
from wherry.client.errors import ApiError
from wherry.kit.byte_sizes import human_size_short

_GO_DIRECTORY, _GO_LINK = 1 << 31, 1 << 27
_STREAM = "-"


class Place(NamedTuple):
    """One end of a copy, and what is there."""

    path: str
    exists: bool = True
    is_directory: bool = False


def run(session: Session, parsed: Parsed) -> int:
    """Copy one way or the other."""
    source, target = parsed.arguments
    for name, given in (("source", source), ("destination", target)):
        if not given:
            raise CommandFailed(f"{name} can not be empty")
    from_container, from_path = _split(source)
    to_container, to_path = _split(target)
    if from_container and to_container:
        raise CommandFailed("copying between containers is not supported")
    if from_container:
        copied = _out(session, parsed, from_container, from_path, to_path)
        shown = to_path
    elif to_container:
        copied = _in(session, parsed, from_path, to_container, to_path)
        shown = f"{to_container}:{to_path}"
    else:
        raise CommandFailed("must specify at least one container source")
    if not parsed.is_on("quiet") and session.err.isatty() and to_path != _STREAM:
        session.complain(f"Successfully copied {human_size_short(copied)} to {shown}")
    return 0


def _split(argument: str) -> tuple[str, str]:
    """Container and path; no container for a path of this machine."""
    container, colon, path = argument.partition(":")
    if argument.startswith(("/", ".")) or not colon:
        return "", argument
    return container, path


# -- out of a container ----------------------------------------------------------------------


def _out(session: Session, parsed: Parsed, container: str, source: str, target: str) -> int:
    containers = session.client.containers
    if target != _STREAM:
        _check_output(target)
    renamed = ""
    if parsed.is_on("follow-link"):
        state = containers.path_state(container, source)
        if number(state, "mode") & _GO_LINK:
            renamed = posixpath.basename(source.rstrip("/"))
            source = _link_target(source, text(state, "linkTarget"))
    state, pieces = containers.archive(container, source)
    if target == _STREAM:
        return _to_stdout(pieces)
    is_directory = bool(number(state, "mode") & _GO_DIRECTORY)
    base = _base(source)
    directory, new_base = _landing(
        _here(target), source_is_directory=is_directory, base=renamed or base
    )
    if not os.path.isdir(directory):
        raise CommandFailed(f'invalid output path: directory "{directory}" does not exist')
    return local_trees.unpack(pieces, directory, base, new_base)


def _check_output(path: str) -> None:
    """Refuse a place that nothing can be copied to, before anything is on its way."""
    directory = os.path.dirname(os.path.normpath(path))
    if directory and not os.path.exists(directory):
        raise CommandFailed(f'invalid output path: directory "{directory}" does not exist')
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as problem:
        raise CommandFailed(f"stat {path}: {(problem.strerror or '').lower()}") from None
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise CommandFailed(
            f'invalid output path: "{path}" must be a directory or a regular file: got a device'
        )


def _to_stdout(pieces: Iterable[bytes]) -> int:
    size = 0
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece)
        size += len(piece)
    sys.stdout.buffer.flush()
    return size


# -- into a container ------------------------------------------------------------------------


def _in(session: Session, parsed: Parsed, source: str, container: str, target: str) -> int:
    place = _there(session, container, target)
    counted = _Counted()
    if source == _STREAM:
        if not place.is_directory:
            raise CommandFailed(f'destination "{container}:{target}" must be a directory')
        directory, pieces = place.path, _from_stdin()
    else:
        path = os.path.realpath(source) if parsed.is_on("follow-link") else source
        if not os.path.lexists(path.rstrip("/") or "/"):
            raise CommandFailed(f"lstat {source}: no such file or directory")
        base = _base(source) if source.endswith("/.") else posixpath.basename(source.rstrip("/"))
        is_directory = os.path.isdir(path) and (
            source.endswith(("/", "/.")) or not os.path.islink(path)
        )
        directory, new_base = _landing(place, source_is_directory=is_directory, base=base or "/")
        pieces = local_trees.pack(path.rstrip("/") or "/", new_base or base or ".")
    session.client.containers.unpack(
        container, directory, counted.counting(pieces), gives_to_user=parsed.is_on("archive")
    )
    return counted.size


def _there(session: Session, container: str, path: str) -> Place:
    """What a container has under a path, with a link at its end followed once.

    The answer to HEAD has no room for a sentence: what is wrong with the container or the path
    is said when it is written to.
    """
    try:
        state = session.client.containers.path_state(container, path)
        if number(state, "mode") & _GO_LINK:
            path = _link_target(path, text(state, "linkTarget"))
            state = session.client.containers.path_state(container, path)
    except ApiError:
        return Place(path, exists=False)
    return Place(path, is_directory=bool(number(state, "mode") & _GO_DIRECTORY))


class _Counted:
    def __init__(self) -> None:
        self.size = 0

    def counting(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces, counted as they pass."""
        for piece in pieces:
            self.size += len(piece)
            yield piece


def _from_stdin() -> Iterator[bytes]:
    while piece := os.read(sys.stdin.fileno(), 1 << 18):
        yield piece


# -- names -----------------------------------------------------------------------------------


def _here(path: str) -> Place:
    if not os.path.lexists(path):
        return Place(path, exists=False)
    return Place(path, is_directory=os.path.isdir(path))


def _base(path: str) -> str:
    """The first part of the names in a container's archive of a path."""
    if path.endswith("/."):
        return "."
    return posixpath.basename(path.rstrip("/")) or "/"


def _link_target(path: str, target: str) -> str:
    if target.startswith("/"):
        return target
    return posixpath.join(posixpath.dirname(path), target)


def _landing(place: Place, *, source_is_directory: bool, base: str) -> tuple[str, str]:
    """The directory that is unpacked into, and what the source is called there.

    Raises: CommandFailed in Docker's words.
    """
    wants_directory = place.path.endswith(("/", "/."))
    if place.is_directory:
        return place.path, "" if base in (".", "/") else base
    if wants_directory and (place.exists or not source_is_directory):
        raise CommandFailed("no such directory" if not place.exists else "not a directory")
    if place.exists and source_is_directory:
        raise CommandFailed("cannot copy directory")
    path = place.path.rstrip("/")
    return posixpath.dirname(path) or ("/" if path.startswith("/") else "."), (
        posixpath.basename(path)
    )


COPY = Command(
    "CONTAINER:SRC_PATH DEST_PATH|-\nSRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files between a container and this machine",
    TWO,
    run,
    (
        Flag("archive", SWITCH, "Give everything to the container's user", short="a"),
        Flag("follow-link", SWITCH, "Copy what a link at the source leads to", short="L"),
        Flag("quiet", SWITCH, "Don't say how much was copied", short="q"),
    ),
)
