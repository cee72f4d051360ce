"""`volume snapshot`, `snapshots`, `rollback`, `clone`, `rename`, `diff`, `export`, `import`."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator

from wherry.cli import rows
from wherry.cli.command import ONE, TWO, Arguments, Command
from wherry.cli.containers.files import KINDS
from wherry.cli.durations import ago
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import LIST, STRING, SWITCH, Flag, Parsed
from wherry.cli.images.archives import opened_archive, pieces_of
from wherry.cli.session import Session
from wherry.cli.whole_files import deliver
from wherry.client.documents import Document, number, text, texts
from wherry.kit.byte_sizes import human_size
from wherry.kit.timestamps import NANOSECONDS, parse_rfc3339

_TABLE = ("Name", "Created", "Method", "Files", "Size", "Writers")
_CHECKSUM = ".sha256"
"""Beside an exported file, as sha256sum(1) writes and checks it."""


def snapshot(session: Session, parsed: Parsed) -> int:
    """Keep how a volume is, print the snapshot's name, and warn of who wrote meanwhile."""
    taken = session.client.volumes.take_snapshot(
        parsed.arguments[0],
        name=parsed.text("name"),
        consistent=parsed.text("consistent") or "none",
    )
    writers = texts(taken, "Writers")
    if writers and text(taken, "Method") != "btrfs snapshot":
        session.complain(
            f"WARNING: {', '.join(writers)} went on writing: each file is as it was when its turn "
            "came (--consistent pause or stop holds them)"
        )
    session.say(text(taken, "Name"))
    return 0


def snapshots(session: Session, parsed: Parsed) -> int:
    """List a volume's snapshots, or remove some."""
    name, doomed = parsed.arguments[0], parsed.texts("rm")
    for label in doomed:
        session.client.volumes.forget_snapshot(name, label)
        session.say(label)
    if doomed:
        return 0
    found, form = session.client.volumes.snapshots(name), parsed.text("format")
    is_quiet = parsed.is_on("quiet")
    rows.show(session, found, _COLUMNS, _TABLE, form=form, is_quiet=is_quiet, identity="Name")
    return 0


def roll_back(session: Session, parsed: Parsed) -> int:
    """Let a volume be as it was; say what its present is kept as."""
    name, label = parsed.arguments
    kept = session.client.volumes.roll_back(name, label, restarts=parsed.is_on("restart"))
    session.say(f"{name} is as in {label}; what it was is kept as {text(kept, 'Name')}")
    return 0


def clone(session: Session, parsed: Parsed) -> int:
    """Make a volume like another one, and print its name."""
    name, new_name = parsed.arguments
    made = session.client.volumes.clone(name, new_name, snapshot=parsed.text("from"))
    session.say(text(made, "Name"))
    return 0


def rename(session: Session, parsed: Parsed) -> int:
    """Give a volume another name."""
    session.client.volumes.rename(*parsed.arguments)
    return 0


def diff(session: Session, parsed: Parsed) -> int:
    """Print what was changed (C), added (A) and deleted (D)."""
    name, older, newer = (*parsed.arguments, "", "")[:3]
    for change in session.client.volumes.changes(name, older, newer):
        session.say(f"{KINDS.get(number(change, 'Kind'), '?')} {text(change, 'Path')}")
    return 0


def export(session: Session, parsed: Parsed) -> int:
    """Write a tar of a volume's files; with a file also its checksum."""
    path = parsed.text("output")
    if not path and sys.stdout.isatty():
        raise CommandFailed(
            "cowardly refusing to export to a terminal. Use the -o flag or redirect"
        )
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        exported = session.client.volumes.export(
            parsed.arguments[0], snapshot=parsed.text("from"), compression=parsed.text("compress")
        )
        return _hashed(exported, digest.update)

    deliver(pieces, path, purpose="export volume")
    if path:
        line = f"{digest.hexdigest()}  {os.path.basename(path)}\n"
        deliver(lambda: [line.encode()], path + _CHECKSUM, purpose="export volume")
    return 0


def import_(session: Session, parsed: Parsed) -> int:
    """Make a volume of a tar, and print its name; a checksum beside the file must be right."""
    name, path = (*parsed.arguments, "-")[:2]
    path = "" if path == "-" else path
    if not path and sys.stdin.isatty():
        raise CommandFailed("requested import from stdin, but stdin is empty")
    with opened_archive(path or None) as archive:
        if path:
            _check(path)
        made = session.client.volumes.import_archive(
            name,
            pieces_of(archive),
            replaces=parsed.is_on("replace"),
            takes_devices=parsed.is_on("allow-devices"),
        )
    session.say(text(made, "Name"))
    return 0


def _hashed(pieces: Iterator[bytes], note: Callable[[bytes], None]) -> Iterator[bytes]:
    for piece in pieces:
        note(piece)
        yield piece


def _check(path: str) -> None:
    """Raises: CommandFailed when the file is not what its checksum says."""
    try:
        with open(path + _CHECKSUM) as file:
            wanted = file.read().split(maxsplit=1)[0]
    except FileNotFoundError:
        return
    except (OSError, IndexError, UnicodeDecodeError) as problem:
        raise CommandFailed(f"{path}{_CHECKSUM} can't be read: {problem}") from None
    with open(path, "rb") as archive:
        actual = hashlib.file_digest(archive, "sha256").hexdigest()
    if actual != wanted:
        raise CommandFailed(f"{path} has checksum {actual}, {path}{_CHECKSUM} says {wanted}")


def _created(taken: Document) -> str:
    return ago(parse_rfc3339(text(taken, "CreatedAt")) / NANOSECONDS)


def _counted(taken: Document, key: str) -> int | None:
    """A number that somebody counted."""
    return number(taken, key) if number(taken, key) >= 0 else None


def _files(taken: Document) -> str:
    files = _counted(taken, "Files")
    return "-" if files is None else str(files)


def _size(taken: Document) -> str:
    size = _counted(taken, "Size")
    return "-" if size is None else human_size(size)


_COLUMNS: rows.Columns[Document] = rows.Columns(
    type_name="volume.snapshotContext",
    columns=(
        rows.Column("Name", "NAME", lambda taken: text(taken, "Name")),
        rows.Column("Created", "CREATED", _created),
        rows.Column("CreatedAt", "CREATED AT", lambda taken: text(taken, "CreatedAt")),
        rows.Column("Method", "METHOD", lambda taken: text(taken, "Method")),
        rows.Column("Consistency", "CONSISTENCY", lambda taken: text(taken, "Consistency")),
        rows.Column("Files", "FILES", _files),
        rows.Column("Size", "SIZE", _size),
        rows.Column("Writers", "WRITERS", lambda taken: ",".join(texts(taken, "Writers"))),
        rows.Column("Volume", "VOLUME", lambda taken: text(taken, "Volume")),
    ),
)

_FROM = Flag("from", STRING, "A snapshot; without it, or with present, the volume as it is now")

SNAPSHOT = Command(
    "VOLUME",
    "Keep how a volume is now",
    ONE,
    snapshot,
    (
        Flag("consistent", STRING, "What running containers do meanwhile: none, pause, stop",
             default="none"),
        Flag("name", STRING, "Of the snapshot; without it the time"),
    ),
)  # fmt: skip
SNAPSHOTS = Command(
    "VOLUME",
    "List the snapshots of a volume, or remove some",
    ONE,
    snapshots,
    (
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("quiet", SWITCH, "Show names only", short="q"),
        Flag("rm", LIST, "Remove this snapshot"),
    ),
)
ROLLBACK = Command(
    "VOLUME SNAPSHOT",
    "Let a volume be as it was; what it is becomes a snapshot",
    TWO,
    roll_back,
    (Flag("restart", SWITCH, "Stop the containers that use it, and start them again"),),
)
CLONE = Command("VOLUME NEW_VOLUME", "Make a volume like another one", TWO, clone, (_FROM,))
RENAME = Command("VOLUME NEW_NAME", "Give a volume another name", TWO, rename)
DIFF = Command(
    "VOLUME [SNAPSHOT [SNAPSHOT]]",
    "Show what changed since a snapshot (the last one), or between two; present is the volume now",
    Arguments(1, 3),
    diff,
)
EXPORT = Command(
    "VOLUME",
    "Write a volume's files as a tar archive",
    ONE,
    export,
    (
        Flag("compress", STRING, "gzip or zstd"),
        _FROM,
        Flag("output", STRING, "Write to a file, with FILE.sha256 beside it", short="o"),
    ),
)
IMPORT = Command(
    "VOLUME [FILE|-]",
    "Make a volume of a tar archive",
    Arguments(1, 2),
    import_,
    (
        Flag("allow-devices", SWITCH, "Take device files, too"),
        Flag("replace", SWITCH, "Of a volume that is there; what it was becomes a snapshot"),
    ),
)
