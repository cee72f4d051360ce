"""What the engine did to the kernel for a container, from the journals of its last start."""

import json
import os
import sys
from collections.abc import Callable

from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.model.containers import Container
from wherry.model.errors import StateUnreadable
from wherry.model.ids import ContainerId
from wherry.operations.cgroup_changes import with_changes
from wherry.operations.journal_files import UnknownJournal, read_journal
from wherry.operations.plan import Journal
from wherry.operations.render import look, render_json, render_text


class Explanations:
    """Reads journals back and renders them."""

    def __init__(
        self,
        records: ContainerRecords,
        paths: ContainerPaths,
        offload: OffloadPool,
        seccomp_path: Callable[[Container], str],
    ) -> None:
        """`seccomp_path` makes the file of a container's compiled filter; it may block."""
        self._records = records
        self._paths = paths
        self._offload = offload
        self._seccomp_path = seccomp_path

    async def container_text(self, reference: str, *, live: bool = False) -> str:
        """The journal for a person; `live` adds what the kernel says now.

        Raises: ContainerNotFound, StateUnreadable.
        """
        container = self._records.find(reference)
        return await self._offload(self._render_text, container, live)

    async def container_json(self, reference: str, *, live: bool = False) -> bytes:
        """The journal for a program. Raises: ContainerNotFound, StateUnreadable."""
        container = self._records.find(reference)
        return await self._offload(self._render_json, container.id, live)

    async def container_script(self, reference: str) -> str:
        """The last start as a shell script. Raises: ContainerNotFound, StateUnreadable."""
        container = self._records.find(reference)
        return await self._offload(self._render_script, container)

    def _render_text(self, container: Container, live: bool) -> str:
        journal = self._journal(container.id)
        failure = container.status.error
        return render_text(
            journal,
            findings=look(journal) if live else None,
            title=f"The last start failed: {failure}" if failure else "",
        )

    def _render_json(self, container_id: ContainerId, live: bool) -> bytes:
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

    def _journal(self, container_id: ContainerId) -> Journal:
        """The journals of create, connect and start in the order of time, and the updates."""
        entries: Journal = []
        for path in (
            self._paths.snapshot_journal(container_id),
            self._paths.network_journal(container_id),
            self._paths.journal(container_id),
        ):
            entries += _read(path)
        entries.sort(key=lambda entry: entry.at_ns)
        return with_changes(entries, _read(self._paths.update_journal(container_id)))


def _read(path: str) -> Journal:
    """Raises: StateUnreadable."""
    try:
        return read_journal(path) or []
    except (OSError, UnknownJournal) as error:
        raise StateUnreadable(path, str(error)) from error
