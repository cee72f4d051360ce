"""One container's processes, as the daemon sees them: a connection to their shim."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from wherry.kit.messages import Message
from wherry.model.errors import StepFailed
from wherry.model.errors.containers import StartFailed
from wherry.model.ids import ContainerId
from wherry.model.tasks import ExitRecord
from wherry.shim.protocol import ENDING, EXEC_ORDER, EXIT_NOTICE, INIT, OOM_NOTICE, Refused
from wherry.tasks.channel import Answer, Channel, ChannelLost
from wherry.tasks.orphans import to_exit_record
from wherry.tasks.refusals import to_model_error
from wherry.tasks.requests import ExecRequest
from wherry.tasks.stream import TaskStream

_KEPT_ENDINGS = 256
"""Ends of exec sessions that nobody has asked for yet."""


class Task:
    """A container's init and exec sessions. Made by `Tasks.spawn` and `Tasks.reattach`."""

    def __init__(
        self,
        container_id: ContainerId,
        *,
        on_shim_lost: Callable[["Task"], Awaitable[ExitRecord]],
    ) -> None:
        """`on_shim_lost` clears up after a shim that died, and says how the container ended."""
        self.container_id = container_id
        self.pid = 0
        """Init's, in the host's pid namespace."""
        self.shim_pid = 0
        self._on_shim_lost = on_shim_lost
        self._channel: Channel | None = None
        self._exits: dict[str, asyncio.Future[ExitRecord]] = {}
        self._running: set[str] = set()
        self._kept: list[str] = []
        self._oom_callbacks: list[Callable[[], None]] = []
        self._clearing: asyncio.Task[None] | None = None
        self._is_armed = False

    # -- becoming ----------------------------------------------------------------------------

    def connect(self, connection: socket.socket) -> Channel:
        """Use a connection to the shim."""
        self._channel = Channel(connection, on_notice=self._on_notice, on_lost=self._on_lost)
        return self._channel

    def take_state(self, state: Message) -> None:
        """Learn what a shim that we meet again knows."""
        self.pid, self.shim_pid = state["pid"], state["shim_pid"]
        self._running.update(state["running"])
        for session, ending in state["endings"].items():
            self._set_exit(session, to_exit_record(ENDING.from_json(ending, "endings")))
        if state["ending"] is not None:
            self._set_exit(INIT, to_exit_record(ENDING.from_json(state["ending"], "ending")))

    def arm(self) -> None:
        """From here on, losing the shim is the container's end."""
        self._is_armed = True
        if self._channel is not None and not self._channel.is_open:
            self._on_lost()

    # -- verbs -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Let init run its program.

        Raises: CommandNotFound, CommandNotExecutable, StartFailed.
        """
        try:
            await self._ask("start")
        except Refused as refused:
            raise to_model_error(refused) from refused
        except ChannelLost as lost:
            await self._on_shim_lost(self)
            raise StartFailed("the container's shim died") from lost
        self.arm()

    async def discard(self) -> None:
        """Undo a spawn, and a start that came after it; nothing happens when nothing is left."""
        try:
            await self._ask("discard")
        except Refused:  # It has started: whatever failed, failed after that.
            await self._end_and_delete()
        except ChannelLost:
            pass
        self._close()

    async def _end_and_delete(self) -> None:
        with suppress(Refused, ChannelLost):
            await self._ask("signal", number=int(signal.SIGKILL))
            await self.wait()
            await self._ask("delete")

    async def signal(self, number: int) -> None:
        """Send init a signal; nothing happens when it has ended. Raises: StepFailed."""
        await self._do("signal", number=number)

    async def settle(self) -> None:
        """Wait until the start has left its journal, which it does once it has answered.

        The shim does one thing after the other: what it is asked now it does after that.
        """
        await self._do("signal", number=0)

    async def pause(self) -> None:
        """Freeze every process. Raises: StepFailed."""
        await self._do("pause")

    async def resume(self) -> None:
        """Let frozen processes go on. Raises: StepFailed."""
        await self._do("resume")

    async def resize(self, rows: int, columns: int, session: str = INIT) -> None:
        """Set a terminal's size; before its process is there as well. Raises: StepFailed."""
        await self._do("resize", session=session, rows=rows, columns=columns)

    async def attach(
        self,
        *,
        session: str = INIT,
        stdin: bool,
        stdout: bool,
        stderr: bool,
    ) -> TaskStream:
        """Connect to a session's streams.

        An exec session is attached before `exec`, so that nothing is missed.
        Raises: StepFailed.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                await self._ask(
                    "attach",
                    theirs.fileno(),
                    session=session,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                )
        except (Refused, ChannelLost) as error:
            ours.close()
            raise StepFailed("attach", str(error) or "the shim is gone") from error
        except BaseException:
            ours.close()
            raise
        return TaskStream(ours)

    async def exec(self, session: str, request: ExecRequest) -> int:
        """Run one more process in the container; returns its pid.

        Raises: CommandNotFound, CommandNotExecutable, UserNotFound, StartFailed.
        """
        self._running.add(session)
        try:
            answer = await self._ask("exec", **EXEC_ORDER.to_json(request.to_order(session)))
        except Refused as refused:
            self._running.discard(session)
            raise to_model_error(refused) from refused
        except ChannelLost as lost:
            self._running.discard(session)
            raise StartFailed("the container's shim died") from lost
        pid: int = answer.results["pid"]
        return pid

    async def end(self, session: str) -> None:
        """Kill an exec session that `can_be_ended`, with all that it has started.

        Raises: StepFailed.
        """
        await self._do("end", session=session)

    async def wait(self, session: str = INIT) -> ExitRecord:
        """How a process ended, when it has. Any number may wait; each may be cancelled.

        An exec session that nobody knows counts as killed.
        """
        if session not in self._exits and session != INIT and session not in self._running:
            return ExitRecord(
                exit_code=128 + signal.SIGKILL, exited_at_ns=0, error="no such exec session"
            )
        return await asyncio.shield(self._exit_of(session))

    def on_oom(self, callback: Callable[[], None]) -> None:
        """Be told each time the container runs into its memory limit."""
        self._oom_callbacks.append(callback)

    async def delete(self) -> None:
        """The end is known and kept: let the shim go. Does nothing when it has gone."""
        with suppress(Refused, ChannelLost):
            await self._ask("delete")
        self._close()

    def let_go(self) -> None:
        """Leave the container to its shim: the daemon ends, the container does not."""
        self._close()

    # -- the shim's side ---------------------------------------------------------------------

    async def _do(self, verb: str, **operands: object) -> None:
        try:
            await self._ask(verb, **operands)
        except Refused as refused:
            if refused.kind != "gone":
                raise StepFailed(verb, refused.message) from refused
        except ChannelLost:
            return

    async def _ask(self, verb: str, *descriptors: int, **operands: object) -> Answer:
        if self._channel is None:
            raise ChannelLost
        return await self._channel.ask(verb, *descriptors, **operands)

    def _on_notice(self, message: Message) -> None:
        if message["notice"] == EXIT_NOTICE:
            session = message["session"]
            self._set_exit(session, to_exit_record(ENDING.from_json(message["ending"], "ending")))
            if session != INIT and self._channel is not None and self._channel.is_open:
                try:
                    self._channel.tell("collect", session=session)
                except ChannelLost:
                    return
        elif message["notice"] == OOM_NOTICE:
            for callback in self._oom_callbacks:
                callback()

    def _on_lost(self) -> None:
        exit_of_init = self._exits.get(INIT)
        if not self._is_armed:
            return
        if exit_of_init is None or not exit_of_init.done():
            self._clearing = asyncio.ensure_future(self._clear_up())

    async def _clear_up(self) -> None:
        record = await self._on_shim_lost(self)
        for session in (*self._running, INIT):
            self._set_exit(session, record)

    def _exit_of(self, session: str) -> "asyncio.Future[ExitRecord]":
        future = self._exits.get(session)
        if future is None:
            future = self._exits[session] = asyncio.get_running_loop().create_future()
        return future

    def _set_exit(self, session: str, record: ExitRecord) -> None:
        self._running.discard(session)
        future = self._exit_of(session)
        if future.done():
            return
        future.set_result(record)
        if session != INIT:
            self._kept.append(session)
            if len(self._kept) > _KEPT_ENDINGS:
                self._exits.pop(self._kept.pop(0), None)

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
