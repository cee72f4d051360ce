"""Logs that only a plugin can read back (docs.docker.com/engine/extend/plugins_logging).

    POST /LogDriver.ReadLogs  ------->  whose log, since when, how many, whether to follow
    length, LogEntry, length, LogEntry  <---  until the plugin ends the answer

`logs` reads the local copy of a log, which is whole and there at once. Where `cache-disabled` says
that there is none, this is how a plugin gives out what it keeps, if it says that it can.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from wherry.engine.containers.log_feeding import log_plugin, source_of
from wherry.kit.aio import OffloadPool
from wherry.kit.timestamps import rfc3339_nano
from wherry.logs.json_lines import Line
from wherry.logs.reader import Selection
from wherry.model.containers import Container
from wherry.model.errors.containers import ReceiverUnreachable
from wherry.model.errors.plugins import PluginFailed
from wherry.model.tasks import ExitRecord
from wherry.plugins import LogCapabilities, LogWindow, Nothing, PluginHost

READ = "LogDriver.ReadLogs"
_ANSWERS_WITHIN_S = 30.0
_ENDS_WITHIN_S = 30.0
"""How long the plugin may go on after its container has ended."""
_LARGEST_HEAD = 64 << 10
_NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time."""


class PluginLogs:
    """Reads logs through the plugins that keep them."""

    def __init__(self, *, plugins: PluginHost, offload: OffloadPool) -> None:
        self._plugins = plugins
        self._offload = offload

    async def can_read(self, container: Container) -> bool:
        """Whether a container's log is a plugin's that reads it back."""
        return await self._offload(self._can_read, container.spec.log.driver)

    def _can_read(self, driver: str) -> bool:
        try:
            plugin, _socket = log_plugin(self._plugins, driver)
            said = plugin.call("LogDriver.Capabilities", Nothing(), LogCapabilities)
        except (ReceiverUnreachable, PluginFailed):
            return False
        return said.Cap is not None and said.Cap.ReadLogs

    async def batches(
        self,
        container: Container,
        selection: Selection,
        ended: asyncio.Future[ExitRecord] | None,
    ) -> AsyncIterator[list[Line]]:
        """The lines that are wanted; with `ended`, until that and the plugin's own end.

        Raises: ReceiverUnreachable, PluginFailed.
        """
        from wherry.logs.receivers import plugin as protocol

        driver = container.spec.log.driver
        _plugin, socket = await self._offload(log_plugin, self._plugins, driver)
        info = protocol.described(container.spec.log.options, source_of(container))
        request = {"Info": info, "Config": _window(selection, follows=ended is not None)}
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                reader, writer = await _asked(socket, msgspec.json.encode(request))
            with contextlib.closing(writer):
                if ended is not None:
                    ended.add_done_callback(lambda _ended: _close_soon(writer))
                while True:
                    size = protocol.entry_bytes(await reader.readexactly(4))
                    line = protocol.line_of(await reader.readexactly(size))
                    if selection.takes(line):
                        yield [line]
        except asyncio.IncompleteReadError as cut:
            if cut.partial:
                raise PluginFailed(driver, READ, "the answer is cut off") from cut
        except (OSError, ValueError) as error:
            raise PluginFailed(driver, READ, str(error) or type(error).__name__) from error


def _window(selection: Selection, *, follows: bool) -> LogWindow:
    since, until = (
        _NEVER if at_ns is None else rfc3339_nano(at_ns)
        for at_ns in (selection.since_ns, selection.until_ns)
    )
    tail = -1 if selection.tail is None else selection.tail
    return LogWindow(Since=since, Until=until, Tail=tail, Follow=follows)


def _close_soon(writer: asyncio.StreamWriter) -> None:
    """What is read ends then, if the plugin has not ended it."""
    asyncio.get_running_loop().call_later(_ENDS_WITHIN_S, writer.close)


async def _asked(socket: str, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Where the answer's body begins. Raises: OSError; ValueError for a refusal."""
    reader, writer = await asyncio.open_unix_connection(socket, limit=_LARGEST_HEAD)
    try:
        # Of the older version, so that the body is what comes until the end.
        head = f"POST /{READ} HTTP/1.0\r\nHost: plugin\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status = (await reader.readline()).split(b" ", 2)[1:2]
        while (await reader.readline()).strip():
            pass
        if status != [b"200"]:
            problem = (await reader.read(200)).decode(errors="replace").strip()
            raise ValueError(problem or "no answer")
    except BaseException:
        writer.close()
        raise
    return reader, writer
