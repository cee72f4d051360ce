"""The processes of a container, as the host's `ps` shows them."""

import asyncio

from wherry.engine.containers.process_table import processes_of
from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.model.errors import InvalidValue
from wherry.model.errors.containers import ContainerNotRunning
from wherry.model.queries import ProcessTable


class TopContainer:
    """The verb `top`."""

    def __init__(
        self, *, records: ContainerRecords, events: EventLog, offload: OffloadPool
    ) -> None:
        self._records = records
        self._events = events
        self._offload = offload

    async def __call__(self, reference: str, ps_arguments: str) -> ProcessTable:
        """The rows of `ps` that are of the container.

        Raises: ContainerNotFound, ContainerNotRunning, InvalidValue for ps's own complaints.
        """
        container = self._records.find(reference)
        if not container.is_alive:
            raise ContainerNotRunning(container.id)
        inside = await self._offload(processes_of, container.status.pid)
        process = await asyncio.create_subprocess_exec(
            "ps",
            *(ps_arguments or "-ef").split(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complaint = await process.communicate()
        if process.returncode:
            problem = complaint.decode(errors="replace").strip()
            raise InvalidValue(f"ps: {problem.splitlines()[0] if problem else 'failed'}")
        table = _parse_ps(output.decode(errors="replace"), inside)
        self._events.container("top", container)
        return table


def _parse_ps(output: str, wanted: frozenset[int]) -> ProcessTable:
    """The rows of ps's table whose PID is wanted.

    Raises: InvalidValue when the format has no PID column.
    """
    lines = output.splitlines()
    titles = tuple(lines[0].split()) if lines else ()
    if "PID" not in titles:
        raise InvalidValue("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = []
    for line in lines[1:]:
        cells = line.split(None, len(titles) - 1)
        if len(cells) > column and cells[column].isdigit() and int(cells[column]) in wanted:
            rows.append(tuple(cells))
    return ProcessTable(titles=titles, rows=tuple(rows))
