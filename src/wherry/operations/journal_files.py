"""Journals as files: a version, and the entries."""

import json

from wherry.kit.atomic_files import read_bounded, write_atomically
from wherry.operations.journal import from_json, to_json
from wherry.operations.plan import Journal

VERSION = 1
_LARGEST_JOURNAL = 64 << 20


class UnknownJournal(Exception):
    """A file that is not one of our journals, or of a newer version."""


def write_journal(path: str, journal: Journal) -> None:
    """Keep what was done to the kernel. Not durable: it says nothing after a reboot.

    Raises: OSError.
    """
    content = {"version": VERSION, "entries": to_json(journal)}
    write_atomically(path, json.dumps(content, separators=(",", ":")).encode())


def read_journal(path: str) -> Journal | None:
    """What was done; None when there is no file. Raises: OSError; UnknownJournal."""
    try:
        content = json.loads(read_bounded(path, limit_bytes=_LARGEST_JOURNAL))
        if not isinstance(content, dict) or content.get("version") != VERSION:
            raise UnknownJournal(f"{path}: not a journal of version {VERSION}")
        return from_json(content["entries"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as error:
        raise UnknownJournal(f"{path}: {error}") from error
