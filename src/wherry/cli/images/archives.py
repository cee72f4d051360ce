"""`load`, `save` and `import`: images as tar archives."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from wherry.cli.command import NONE, ONE_OR_MORE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import LIST, STRING, SWITCH, Flag, Parsed
from wherry.cli.images.oci_directories import pieces_of_directory, write_directory
from wherry.cli.images.platform_names import checked_platforms
from wherry.cli.images.references import parse_reference
from wherry.cli.progress import show_progress
from wherry.cli.session import Session
from wherry.cli.whole_files import deliver

_PIECE_BYTES = 256 * 1024
_BAD_PLATFORM = "invalid platform: "
OCI_DIRECTORY = "oci-dir"
FORMATS = ("docker-archive", "oci-archive", OCI_DIRECTORY)
"""The first two are the same file: it has the lists of both."""


def load(session: Session, parsed: Parsed) -> int:
    """Add the images of an archive."""
    path = parsed.text("input")
    if not path and sys.stdin.isatty():
        raise CommandFailed("requested load from stdin, but stdin is empty")
    platforms = checked_platforms(parsed.texts("platform"), lead=_BAD_PLATFORM)
    with opened_layout(path) as pieces:
        messages = session.client.images.load(
            pieces,
            is_quiet=parsed.is_on("quiet") or not session.out.isatty(),
            platforms=platforms,
        )
        show_progress(messages, session.out)
    return 0


def save(session: Session, parsed: Parsed) -> int:
    """Write an archive of images."""
    path, form = parsed.text("output"), parsed.text("format") or FORMATS[0]
    if form not in FORMATS:
        raise CommandFailed(f"unknown format {form!r}: must be one of {', '.join(FORMATS)}")
    if form == OCI_DIRECTORY and not path:
        raise CommandFailed(
            f"the format {OCI_DIRECTORY} needs a directory to make: use the -o flag"
        )
    if not path and sys.stdout.isatty():
        raise CommandFailed("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    platforms = checked_platforms(parsed.texts("platform"), lead=_BAD_PLATFORM)

    def pieces() -> Iterable[bytes]:
        return session.client.images.save(parsed.arguments, platforms=platforms)

    if form == OCI_DIRECTORY:
        write_directory(path, pieces())
    else:
        deliver(pieces, path, purpose="save image")
    return 0


@contextlib.contextmanager
def opened_layout(path: str) -> Iterator[Iterable[bytes]]:
    """An archive, of a file or of standard input, or a directory as one. Raises: CommandFailed."""
    if path and os.path.isdir(path):
        yield pieces_of_directory(path)
        return
    with opened_archive(path or None) as archive:
        yield pieces_of(archive)


def import_(session: Session, parsed: Parsed) -> int:
    """Make an image of a tarball: a file, standard input, or a URL that the engine fetches."""
    source, *name = parsed.arguments[:2]
    query = [("message", parsed.text("message")), ("platform", parsed.text("platform"))]
    query += [("changes", change) for change in parsed.texts("change")]
    if name:
        try:
            parse_reference(name[0])
        except ValueError as problem:
            raise CommandFailed(str(problem)) from None
        query.append(("repo", name[0]))
    is_remote = source.startswith(("http://", "https://"))
    query.append(("fromSrc", source if is_remote else "-"))
    query = [(key, value) for key, value in query if value]
    if is_remote:
        show_progress(session.client.images.create(query), session.out)
        return 0
    with opened_archive(None if source == "-" else source) as archive:
        messages = session.client.images.create(query, pieces_of(archive))
        show_progress(messages, session.out)
    return 0


def opened_archive(path: str | None) -> BinaryIO:
    """A file, or without a path the standard input. Raises: CommandFailed."""
    if path is None:
        return os.fdopen(os.dup(0), "rb")
    try:
        return open(path, "rb")
    except OSError as problem:
        reason = (problem.strerror or "").lower()
        raise CommandFailed(f"open {path}: {reason}") from None


def pieces_of(archive: BinaryIO) -> Iterator[bytes]:
    """A file's bytes."""
    while piece := archive.read(_PIECE_BYTES):
        yield piece


LOAD = Command(
    shape="",
    summary="Load an image from a tar archive or STDIN",
    arguments=NONE,
    run=load,
    flags=(
        Flag("input", STRING, "Read from a file or OCI directory, not from STDIN", short="i"),
        Flag("platform", LIST, "Only the images for this platform"),
        Flag("quiet", SWITCH, "Don't show progress", short="q"),
    ),
)
SAVE = Command(
    shape="IMAGE [IMAGE...]",
    summary="Save images to a tar archive (STDOUT by default)",
    arguments=ONE_OR_MORE,
    run=save,
    flags=(
        Flag("format", STRING, f"How to write: {', '.join(FORMATS)}; the archives are one"),
        Flag("output", STRING, "Write to a file, not to STDOUT", short="o"),
        Flag("platform", LIST, "Only the images for this platform"),
    ),
)
IMPORT = Command(
    shape="file|URL|- [REPOSITORY[:TAG]]",
    summary="Make an image from a tarball of files",
    arguments=ONE_OR_MORE,
    run=import_,
    flags=(
        Flag("change", LIST, "Apply a Dockerfile instruction to the image", short="c"),
        Flag("message", STRING, "Message of the import", short="m"),
        Flag("platform", STRING, "Platform of the image"),
    ),
)
