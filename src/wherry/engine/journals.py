"""Journals as files beside a container's other records."""

import json
import os

from wherry.kit.atomic_files import write_atomically
from wherry.model.errors import StateUnreadable
from wherry.operations.journal import from_json, to_json
from wherry.operations.plan import Journal


def write_journal(path: str, journal: Journal) -> None:
    """Keep a journal. Not durable: what it tells of does not survive a power cut either."""
    write_atomically(path, json.dumps(to_json(journal), separators=(",", ":")).encode())


def read_journals(*paths: str) -> Journal:
    """The journals that are there, in the order of time. Raises: StateUnreadable."""
    journal: Journal = []
    for path in paths:
        if not os.path.exists(path):
            continue
        try:
            with open(path, "rb") as file:
                journal += from_json(json.load(file))
        except (ValueError, KeyError, TypeError) as error:
            raise StateUnreadable(path, str(error)) from error
    journal.sort(key=lambda entry: entry.at_ns)
    return journal
