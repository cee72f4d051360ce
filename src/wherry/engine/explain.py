"""What the engine did to the kernel for a container, from the journals of its last start."""

import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress

from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.removed_logs import RemovedLogs
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.model.containers import Container
from wherry.model.errors import StateUnreadable
from wherry.model.errors.containers import ContainerNotFound, ContainerNotRunning
from wherry.model.ids import ContainerId
from wherry.operations.journal_files import UnknownJournal, read_journal
from wherry.operations.plan import Journal
from wherry.operations.processes.cgroup_changes import with_changes
from wherry.operations.render import look, render_json, render_text

_WHOLE_ID = re.compile(r"[0-9a-f]{64}")


class Explanations:
    """Reads journals back and renders them."""

    def __init__(
        self,
        records: ContainerRecords,
        live: LiveContainers,
        paths: ContainerPaths,
        removed: RemovedLogs,
        offload: OffloadPool,
        seccomp_path: Callable[[Container], str],
    ) -> None:
        """`seccomp_path` makes the file of a container's compiled filter; it may block."""
        self._records = records
        self._live = live
        self._paths = paths
        self._removed = removed
        self._offload = offload
        self._seccomp_path = seccomp_path

    async def container_text(self, reference: str, *, live: bool = False) -> str:
        """The journal for a person; `live` adds what the kernel says now.

        A container that was removed in the last days is explained too, if it had written a log.
        Raises: ContainerNotFound, StateUnreadable.
        """
        await self._settle(reference)
        return await self._offload(self._render_text, reference, live)

    async def container_json(self, reference: str, *, live: bool = False) -> bytes:
        """The journal for a program, as `container_text`. Raises: as it does."""
        await self._settle(reference)
        return await self._offload(self._render_json, reference, live)

    async def container_script(self, reference: str) -> str:
        """The last start as a shell script. Raises: ContainerNotFound, StateUnreadable."""
        container = self._records.find(reference)
        await self._settle(reference)
        return await self._offload(self._render_script, container)

    async def _settle(self, reference: str) -> None:
        """A container that has only just been started has its journal before we read it."""
        with suppress(ContainerNotFound, ContainerNotRunning):
            await self._live.task(self._records.find(reference).id).settle()

    def _render_text(self, reference: str, live: bool) -> str:
        container_id, failure = self._found(reference)
        journal = self._journal(container_id)
        return render_text(
            journal,
            findings=look(journal) if live else None,
            title=f"The last start failed: {failure}" if failure else "",
        )

    def _render_json(self, reference: str, live: bool) -> bytes:
        container_id, _failure = self._found(reference)
        journal = self._journal(container_id)
        findings = look(journal) if live else None
        return json.dumps(render_json(journal, findings=findings), indent=1).encode()

    def _render_script(self, container: Container) -> str:
        from wherry.operations.script import render_script  # seldom wanted: not in memory before

        return render_script(
            self._journal(container.id),
            title=f"The container {container.name} ({container.id[:12]}), by hand.",
            seccomp_path=self._seccomp_path(container),
            python=os.path.realpath(sys.executable),
        )

    def _found(self, reference: str) -> tuple[ContainerId, str]:
        """A container, or one that was removed; and why its last start failed, if it did."""
        try:
            container = self._records.find(reference)
        except ContainerNotFound:
            being_removed = ContainerId(reference)
            if _WHOLE_ID.fullmatch(reference) and self._is_on_disk(being_removed):
                return being_removed, ""
            return ContainerId(self._removed.find(reference).id), ""
        return container.id, container.status.error

    def _is_on_disk(self, container_id: ContainerId) -> bool:
        """Whether its journals are still somewhere. They are moved before the rest goes."""
        return os.path.exists(self._paths.record_directory(container_id)) or os.path.exists(
            self._removed.directory(container_id)
        )

    def _journal(self, container_id: ContainerId) -> Journal:
        """The journals of create, connect and start in the order of time, and the updates.

        Raises: ContainerNotFound, StateUnreadable.
        """
        entries: Journal = []
        for path in (
            self._paths.snapshot_journal(container_id),
            self._paths.network_journal(container_id),
            self._paths.journal(container_id),
        ):
            entries += self._kept(container_id, path)
        entries.sort(key=lambda entry: entry.at_ns)
        changes = self._kept(container_id, self._paths.update_journal(container_id))
        if not self._is_on_disk(container_id):
            # Removed while we read, and nothing kept: half a story is none.
            raise ContainerNotFound(container_id)
        return with_changes(entries, changes)

    def _kept(self, container_id: ContainerId, path: str) -> Journal:
        """A journal where it is, or where it was moved to meanwhile: a move is one rename."""
        moved = f"{self._removed.directory(container_id)}/{os.path.basename(path)}"
        journal = _read(path)
        return _read(moved) or [] if journal is None else journal


def _read(path: str) -> Journal | None:
    """None when there is no file. Raises: StateUnreadable."""
    try:
        return read_journal(path)
    except (OSError, UnknownJournal) as error:
        raise StateUnreadable(path, str(error)) from error
