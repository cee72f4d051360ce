"""What removed containers wrote, and what was done for them, kept for a while.

Theory of operation. A container's log is worth most when the container has just gone. So its
files are not deleted with it but moved, which costs a rename, together with what is needed to
show them, and with the journals of what was done to the kernel. They go after some days, or
earlier when all of them together become too large, the oldest first.
"""

import json
import logging
import os
import shutil
from dataclasses import asdict

from wherry.kit.atomic_files import write_atomically
from wherry.kit.clock import Clock
from wherry.kit.timestamps import NANOSECONDS
from wherry.kit.values import dataclass
from wherry.logs.options import is_readable
from wherry.model.containers import Container
from wherry.model.errors.containers import ContainerNotFound

_RECORD_NAME = "record.json"
_JOURNAL_SUFFIX = "journal.json"
_LARGEST_TOTAL = 512 << 20
_DAY_NS = 86_400 * NANOSECONDS
_SWEEP_EVERY_NS = 600 * NANOSECONDS

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedLog:
    """The log of a container that is no more."""

    id: str
    name: str
    image: str
    is_tty: bool
    removed_at_ns: int
    file_name: str

    def path(self, root: str) -> str:
        """Of its newest file."""
        return f"{root}/{self.id}/{self.file_name}"


class RemovedLogs:
    """The logs of removed containers, by id, name and id prefix. Every method blocks."""

    def __init__(self, root: str, *, retention_days: int, clock: Clock) -> None:
        """`retention_days` of zero keeps nothing."""
        self.root = root
        self._retention_ns = retention_days * _DAY_NS
        self._clock = clock
        self._swept_at_ns = 0

    def keep(self, container: Container, log_path: str) -> None:
        """Move a container's log here, and its journals; an empty or unreadable log is not worth
        it."""
        log = container.spec.log
        if not self._retention_ns or not is_readable(log.driver, log.options):
            return
        try:
            if not os.path.getsize(log_path):
                return
            self._move(container, log_path)
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("log.not_kept container=%s problem=%s", container.id, error)
        now_ns = self._clock.now_ns()
        if now_ns - self._swept_at_ns > _SWEEP_EVERY_NS:
            self.sweep()

    def directory(self, container_id: str) -> str:
        """Where what is kept of a container is, or would be."""
        return f"{self.root}/{container_id}"

    def find(self, reference: str) -> RemovedLog:
        """The log that a user means; of several with one name the latest.

        Raises: ContainerNotFound.
        """
        kept = self._all()
        named = [each for each in kept if each.name == reference.removeprefix("/")]
        by_id = [each for each in kept if len(reference) >= 1 and each.id.startswith(reference)]
        if not named and len(by_id) != 1:
            raise ContainerNotFound(reference)
        return max(named or by_id, key=lambda each: each.removed_at_ns)

    def sweep(self) -> None:
        """Delete what is too old, and the oldest of what is too much."""
        now_ns = self._swept_at_ns = self._clock.now_ns()
        total = 0
        for each in sorted(self._all(), key=lambda each: -each.removed_at_ns):
            directory = f"{self.root}/{each.id}"
            total += sum(entry.stat().st_size for entry in os.scandir(directory))
            if now_ns - each.removed_at_ns > self._retention_ns or total > _LARGEST_TOTAL:
                shutil.rmtree(directory, ignore_errors=True)

    def _move(self, container: Container, log_path: str) -> None:
        directory = f"{self.root}/{container.id}"
        for each in (self.root, directory):
            os.makedirs(each, mode=0o700, exist_ok=True)
        source, name = os.path.split(log_path)
        record = RemovedLog(
            id=container.id,
            name=container.name,
            image=container.spec.image,
            is_tty=container.spec.terminal.is_tty,
            removed_at_ns=self._clock.now_ns(),
            file_name=name,
        )
        # First: a directory without it is taken for one that a dead engine left.
        write_atomically(f"{directory}/{_RECORD_NAME}", json.dumps(asdict(record)).encode())
        for entry in os.listdir(source):
            if entry.startswith(name) or entry.endswith(_JOURNAL_SUFFIX):
                os.rename(f"{source}/{entry}", f"{directory}/{entry}")

    def _all(self) -> list[RemovedLog]:
        found = []
        for identifier in _names_in(self.root):
            try:
                with open(f"{self.root}/{identifier}/{_RECORD_NAME}", encoding="utf-8") as file:
                    found.append(RemovedLog(**json.load(file)))
            except (OSError, ValueError, TypeError):
                # Half moved when the engine died: nobody could show it.
                shutil.rmtree(f"{self.root}/{identifier}", ignore_errors=True)
        return found


def _names_in(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
