"""The spawner, kept alive: started with the engine, and again whenever it has died."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Sequence

from wherry.kit import messages
from wherry.kit.aio import OffloadPool
from wherry.kit.messages import Message
from wherry.model.errors.containers import StartFailed
from wherry.shim.protocol import READY_NOTICE, Refused
from wherry.tasks.channel import Answer, Channel, ChannelLost
from wherry.tasks.interpreter import protected_interpreter

_READY_WITHIN_S = 20
_JOB_WITHIN_S = 60
_SETTLED_AFTER_S = 1
"""A spawner that dies sooner is not replaced until there is something to do."""
_SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PROGRAM = "wherry.programs.spawner"
_BOOT = (
    "import sys; sys.path[:0] = sys.argv[1].split(':'); "
    "from importlib import import_module; import_module(sys.argv[2]).main(int(sys.argv[3]))"
)


class SpawnerProcess:
    """One spawner at a time."""

    def __init__(
        self,
        *,
        empty_directory: str,
        offload: OffloadPool,
        program: str = _PROGRAM,
        paths: Sequence[str] = (_SOURCE,),
    ) -> None:
        """`program` is a module with `main(channel_descriptor)`, found below `paths`."""
        self._empty_directory = empty_directory
        self._offload = offload
        self._program = program
        self._paths = os.pathsep.join(paths)
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._starting: asyncio.Task[Channel] | None = None
        self._is_closed = False

    @property
    def pid(self) -> int:
        """The process id of the spawner that runs; 0 when none does."""
        return 0 if self._process is None else self._process.pid

    async def channel(self) -> Channel:
        """A channel to a spawner that runs; starts one when none does.

        Raises: StartFailed when it doesn't come up.
        """
        if self._channel is not None and self._channel.is_open:
            return self._channel
        return await asyncio.shield(self._begin_start())

    async def ask(self, verb: str, *descriptors: int, **operands: object) -> Answer:
        """Have a job done. Raises: StartFailed."""
        channel = await self.channel()
        try:
            async with asyncio.timeout(_JOB_WITHIN_S):
                return await channel.ask(verb, *descriptors, **operands)
        except TimeoutError as error:
            raise StartFailed(f"the spawner did not answer {verb}") from error
        except Refused as refused:
            raise StartFailed(refused.message) from refused
        except ChannelLost as lost:
            raise StartFailed("the spawner died meanwhile") from lost

    async def tell(self, verb: str, *descriptors: int, **operands: object) -> Channel:
        """Send what the spawner itself doesn't answer; the channel that it went by.

        Raises: StartFailed.
        """
        for _attempt in range(2):
            channel = await self.channel()
            try:
                channel.tell(verb, *descriptors, **operands)
                return channel
            except Refused as refused:
                raise StartFailed(refused.message) from refused
            except ChannelLost:
                # It died unnoticed: nothing of this was done, so the next one may do it.
                channel.close()
        raise StartFailed("the spawner died twice")

    async def close(self) -> None:
        """End the spawner; shims go on without it."""
        self._is_closed = True
        if self._starting is not None:
            self._starting.cancel()
        if self._channel is not None:
            self._channel.close()
        await self._bury()

    # -- its life ----------------------------------------------------------------------------

    def _begin_start(self) -> "asyncio.Task[Channel]":
        """Start one, unless that is under way."""
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
            self._starting.add_done_callback(self._on_started)
        return self._starting

    async def _start(self) -> Channel:
        await self._bury()
        ours, theirs = messages.channel_pair()
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        settled_at = loop.time() + _SETTLED_AFTER_S

        def on_notice(message: Message) -> None:
            if message["notice"] == READY_NOTICE and not ready.done():
                ready.set_result(None)

        def on_lost() -> None:
            if not ready.done():
                ready.set_exception(StartFailed("the spawner ended before it was ready"))
            elif not self._is_closed and loop.time() > settled_at:
                # The next request should not have to wait for another one.
                self._begin_start()

        with theirs:
            self._process = self._execute(theirs)
        channel = Channel(ours, on_notice=on_notice, on_lost=on_lost)
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                await ready
        except TimeoutError as error:
            channel.close()
            raise StartFailed("the spawner did not become ready") from error
        self._channel = channel
        return channel

    def _execute(self, theirs: socket.socket) -> "subprocess.Popen[bytes]":
        with protected_interpreter(self._empty_directory) as interpreter:
            return subprocess.Popen(
                [
                    interpreter.argument_zero, "-I", "-S", "-c", _BOOT,
                    self._paths, self._program, str(theirs.fileno()),
                ],
                executable=interpreter.executable,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
                # Not in the daemon's terminal session: Ctrl-C there is for the daemon.
                start_new_session=True,
            )  # fmt: skip

    def _on_started(self, starting: "asyncio.Task[Channel]") -> None:
        self._starting = None
        if not starting.cancelled():
            starting.exception()

    async def _bury(self) -> None:
        """Reap the spawner before, whose channel is closed: it ends by that."""
        process, self._process = self._process, None
        if process is not None:
            await self._offload(_reap, process)


def _reap(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
