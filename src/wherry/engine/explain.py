"""What the engine did to the kernel for a container, from the journals of its last start."""

import json

from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.model.errors import StateUnreadable
from wherry.model.ids import ContainerId
from wherry.operations.journal_files import UnknownJournal, read_journal
from wherry.operations.plan import Journal
from wherry.operations.render import render_json, render_text


class Explanations:
    """Reads journals back and renders them."""

    def __init__(
        self, records: ContainerRecords, paths: ContainerPaths, offload: OffloadPool
    ) -> None:
        self._records = records
        self._paths = paths
        self._offload = offload

    async def container_text(self, reference: str) -> str:
        """The journal for a person. Raises: ContainerNotFound, StateUnreadable."""
        container = self._records.find(reference)
        return await self._offload(self._render_text, container.id)

    async def container_json(self, reference: str) -> bytes:
        """The journal for a program. Raises: ContainerNotFound, StateUnreadable."""
        container = self._records.find(reference)
        return await self._offload(self._render_json, container.id)

    def _render_text(self, container_id: ContainerId) -> str:
        return render_text(self._journal(container_id))

    def _render_json(self, container_id: ContainerId) -> bytes:
        return json.dumps(render_json(self._journal(container_id)), indent=1).encode()

    def _journal(self, container_id: ContainerId) -> Journal:
        """The journals of create, connect and start, in the order of time."""
        entries: Journal = []
        for path in (
            self._paths.snapshot_journal(container_id),
            self._paths.network_journal(container_id),
            self._paths.journal(container_id),
        ):
            try:
                entries += read_journal(path) or []
            except (OSError, UnknownJournal) as error:
                raise StateUnreadable(path, str(error)) from error
        return sorted(entries, key=lambda entry: entry.at_ns)
