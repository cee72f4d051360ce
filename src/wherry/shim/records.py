"""The files by which a container's end outlives its shim: `exit.json` and `journal.json`."""

import json
from collections.abc import Mapping

from wherry.kit.atomic_files import read_bounded, write_durably
from wherry.kit.messages import Message
from wherry.kit.values import dataclass, field
from wherry.shim.protocol import EXIT_NAME, JOURNAL_NAME, RECORD_VERSION, Ending

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


def write_end(directory: str, record: EndRecord) -> None:
    """Make the end of a container durable: the one fsynced file of a start. Raises: OSError."""
    content = {
        "version": RECORD_VERSION,
        "container_id": record.container_id,
        "pid": record.pid,
        "ending": record.ending.to_message(),
        "sessions": {name: each.to_message() for name, each in record.sessions.items()},
    }
    write_durably(f"{directory}/{EXIT_NAME}", json.dumps(content).encode())


def read_end(directory: str) -> EndRecord | None:
    """The end of a container; None when it has not ended. Raises: OSError; UnknownRecord."""
    content = _read(f"{directory}/{EXIT_NAME}")
    if content is None:
        return None
    try:
        return EndRecord(
            container_id=content["container_id"],
            pid=content["pid"],
            ending=Ending.from_message(content["ending"]),
            sessions={
                name: Ending.from_message(each) for name, each in content["sessions"].items()
            },
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UnknownRecord(f"{directory}/{EXIT_NAME}: {error!r}") from error


def journal_path(directory: str) -> str:
    """Where the shim keeps what it did to the kernel."""
    return f"{directory}/{JOURNAL_NAME}"


def _read(path: str) -> Message | None:
    try:
        content = json.loads(read_bounded(path, limit_bytes=_LARGEST_RECORD))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UnknownRecord(f"{path}: {error}") from error
    if not isinstance(content, dict) or content.get("version") != RECORD_VERSION:
        raise UnknownRecord(f"{path}: not a record of version {RECORD_VERSION}")
    return content
