"""What a container wrote, from its local log or, where that is not kept, from a log plugin."""

from collections.abc import AsyncIterator, Sequence

from wherry.engine.containers.live import Waiters
from wherry.engine.containers.plugin_logs import PluginLogs
from wherry.engine.containers.removed_logs import RemovedLogs
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.logs.json_lines import STDERR, STDOUT, Line
from wherry.logs.options import PLUGIN, is_readable, kept_as
from wherry.logs.reader import Selection
from wherry.model.containers import Container
from wherry.model.errors import InvalidValue
from wherry.model.errors.containers import LogsNotReadable
from wherry.model.queries import LogLine, LogQuery, RemovedLines
from wherry.tasks import follow_log, read_log


class ContainerLogs:
    """The verb `logs`."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        waiters: Waiters,
        removed: RemovedLogs,
        of_plugins: PluginLogs,
        paths: ContainerPaths,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._waiters = waiters
        self._removed = removed
        self._of_plugins = of_plugins
        self._paths = paths
        self._offload = offload

    async def __call__(self, reference: str, query: LogQuery) -> AsyncIterator[Sequence[LogLine]]:
        """The lines that match, in batches, oldest first; with `follows`, until it ends.

        Raises: ContainerNotFound, LogsNotReadable, InvalidValue when no stream is wanted.
        """
        container = self._records.find(reference)
        _check_streams(query)
        log = container.spec.log
        if is_readable(log.driver, log.options):
            return _lines_of(self._batches(container, query))
        if kept_as(log.driver) != PLUGIN or not await self._of_plugins.can_read(container):
            raise LogsNotReadable(log.driver)
        follows = query.follows and container.is_alive
        ended = self._waiters.next_exit(container.id) if follows else None
        return _lines_of(self._of_plugins.batches(container, _selection(query), ended))

    async def of_removed(self, reference: str, query: LogQuery) -> RemovedLines:
        """The lines that a container wrote which was removed in the last days.

        Raises: ContainerNotFound, InvalidValue when no stream is wanted.
        """
        _check_streams(query)
        removed = await self._offload(self._removed.find, reference)
        batches = read_log(
            removed.path(self._removed.root), _selection(query), offload=self._offload
        )
        return RemovedLines(
            name=removed.name,
            removed_at_ns=removed.removed_at_ns,
            is_tty=removed.is_tty,
            batches=_lines_of(batches),
        )

    def _batches(self, container: Container, query: LogQuery) -> AsyncIterator[list[Line]]:
        path = self._paths.log(container.id)
        selection = _selection(query)
        if not (query.follows and container.is_alive):
            return read_log(path, selection, offload=self._offload)
        ended = self._waiters.next_exit(container.id)
        return follow_log(path, selection, ended=ended, offload=self._offload)


def _check_streams(query: LogQuery) -> None:
    if not query.wants_stdout and not query.wants_stderr:
        raise InvalidValue("Bad parameters: you must choose at least one stream")


def _selection(query: LogQuery) -> Selection:
    wanted = {STDOUT: query.wants_stdout, STDERR: query.wants_stderr}
    return Selection(
        streams=frozenset(stream for stream, is_wanted in wanted.items() if is_wanted),
        since_ns=query.since_ns,
        until_ns=query.until_ns,
        tail=query.tail,
    )


async def _lines_of(batches: AsyncIterator[list[Line]]) -> AsyncIterator[Sequence[LogLine]]:
    async for batch in batches:
        yield list(map(LogLine._make, batch))
