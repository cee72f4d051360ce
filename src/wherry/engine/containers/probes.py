"""One probe of a health check: a command that joins the container, and what its end says.

It has a cgroup of its own: when its time is over, everything in there is killed.
"""

import asyncio
import logging
from collections.abc import Callable

from wherry.engine.events import EventLog
from wherry.kit.clock import Clock
from wherry.kit.durations import duration_text
from wherry.kit.random_ids import new_id
from wherry.kit.streams import Unframer
from wherry.kit.timestamps import NANOSECONDS
from wherry.model.containers import Container
from wherry.model.errors import WherryError
from wherry.model.health import KEPT_OUTPUT_BYTES, NOT_RUN, ProbeResult
from wherry.model.tasks import ExitRecord
from wherry.tasks import ExecRequest, Task, TaskStream

_KILLED_WITHIN_S = 1.0

_log = logging.getLogger(__name__)


class Probe:
    """Runs the command of a health check in its container."""

    def __init__(
        self,
        *,
        container: Container,
        task: Task,
        command: str,
        request: ExecRequest,
        timeout_ns: int,
        told_as: Callable[[WherryError], str],
        clock: Clock,
        events: EventLog,
    ) -> None:
        """`command` is how events tell it, `told_as` how a user is told that it could not run."""
        self._container = container
        self._told_as = told_as
        self._task = task
        self._timeout_ns = timeout_ns
        self._command = command
        self._request = request
        self._clock = clock
        self._events = events

    async def run(self) -> ProbeResult:
        """Run it once, and kill it with all that it has started when its time is over."""
        started_at_ns = self._clock.now_ns()
        session = new_id()
        output = _Output()
        try:
            stream = await self._task.attach(
                session=session, stdin=False, stdout=True, stderr=True
            )
        except WherryError as error:
            return self._failed(started_at_ns, error)
        reading = asyncio.ensure_future(output.read_from(stream))
        try:
            self._tell("exec_create", session)
            await self._task.exec(session, self._request)
            self._tell("exec_start", session)
            return await self._result(session, started_at_ns, output, reading)
        except WherryError as error:
            return self._failed(started_at_ns, error)
        except asyncio.CancelledError:
            await self._task.end(session)
            raise
        finally:
            reading.cancel()
            await stream.close()

    async def _result(
        self, session: str, started_at_ns: int, output: "_Output", reading: "asyncio.Task[None]"
    ) -> ProbeResult:
        ended = asyncio.ensure_future(self._task.wait(session))
        if not await ends_within(ended, self._timeout_ns / NANOSECONDS):
            await self._task.end(session)
            if not await ends_within(ended, _KILLED_WITHIN_S):
                _log.warning("health.probe_lives_on container=%s", self._container.id)
                ended.cancel()
            said = f": {output.text}" if output.text else ""
            text = f"Health check exceeded timeout ({duration_text(self._timeout_ns)}){said}"
            return ProbeResult(
                started_at_ns=started_at_ns,
                ended_at_ns=self._clock.now_ns(),
                exit_code=NOT_RUN,
                output=text,
            )
        record = await ended
        # Its output ends with it; a child that it left behind may hold it open, though.
        await asyncio.wait((reading,), timeout=_KILLED_WITHIN_S)
        exit_code = str(record.exit_code)
        self._events.probe("exec_die", self._container, session, exitCode=exit_code)
        return ProbeResult(
            started_at_ns=started_at_ns,
            ended_at_ns=max(record.exited_at_ns, started_at_ns),
            exit_code=record.exit_code,
            output=output.text,
        )

    def _failed(self, started_at_ns: int, error: WherryError) -> ProbeResult:
        return ProbeResult(
            started_at_ns=started_at_ns,
            ended_at_ns=self._clock.now_ns(),
            exit_code=NOT_RUN,
            output=self._told_as(error),
        )

    def _tell(self, action: str, session: str) -> None:
        self._events.probe(f"{action}: {self._command}", self._container, session)


class _Output:
    """The beginning of what a probe said; the rest is read and dropped."""

    def __init__(self) -> None:
        self._kept = b""
        self._is_cut = False

    @property
    def text(self) -> str:
        """What was kept, with dots where there was more."""
        return self._kept.decode("utf-8", "replace") + ("..." if self._is_cut else "")

    async def read_from(self, stream: TaskStream) -> None:
        """Until its end."""
        unframer = Unframer()
        while data := await stream.read():
            for _number, payload in unframer.feed(data):
                room = KEPT_OUTPUT_BYTES - len(self._kept)
                self._kept += payload[:room]
                self._is_cut = self._is_cut or len(payload) > room


async def ends_within(ended: "asyncio.Future[ExitRecord]", seconds: float) -> bool:
    """Whether an end comes in that time."""
    done, _pending = await asyncio.wait((ended,), timeout=seconds)
    return bool(done)
