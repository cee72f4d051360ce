"""The files by which a container's end outlives its shim: `exit.json` and `journal.json`."""

import json
from collections.abc import Mapping

from wherry.kit.atomic_files import read_bounded, write_durably
from wherry.kit.values import dataclass, field
from wherry.oci import json_fields
from wherry.oci.json_fields import INT64
from wherry.oci.shapes import by_name, number, one, plain, text
from wherry.shim.protocol import ENDING, EXIT_NAME, JOURNAL_NAME, RECORD_VERSION, Ending

_LARGEST_RECORD = 64 << 20


class UnknownRecord(Exception):
    """A record file that is not one of ours, or of a newer version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRecord:
    """What `exit.json` says."""

    container_id: str
    pid: int
    ending: Ending
    sessions: Mapping[str, Ending] = field(default_factory=dict)
    """Exec sessions whose end nobody has collected."""


_END_RECORD = plain(
    EndRecord,
    container_id=text(),
    pid=number(INT64),
    ending=one(ENDING),
    sessions=by_name(ENDING),
)


def write_end(directory: str, record: EndRecord) -> None:
    """Make the end of a container durable: the one fsynced file of a start. Raises: OSError."""
    content = {"version": RECORD_VERSION, **_END_RECORD.to_json(record)}
    write_durably(f"{directory}/{EXIT_NAME}", json.dumps(content).encode())


def read_end(directory: str) -> EndRecord | None:
    """The end of a container; None when it has not ended. Raises: OSError; UnknownRecord."""
    path = f"{directory}/{EXIT_NAME}"
    try:
        content = json_fields.parse(read_bounded(path, limit_bytes=_LARGEST_RECORD))
        if content.number("version", INT64) != RECORD_VERSION:
            raise UnknownRecord(f"{path}: not a record of version {RECORD_VERSION}")
        return _END_RECORD.read(content)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UnknownRecord(f"{path}: {error}") from error


def journal_path(directory: str) -> str:
    """Where the shim keeps what it did to the kernel."""
    return f"{directory}/{JOURNAL_NAME}"
