"""Tasks without processes: what engine tests use instead of the real ones.

Programs are coroutines under the command line that names them; the contract suite in
tests/contract/tasks runs against this and against real processes.
"""

import asyncio
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from wherry.kit.clock import Clock, SystemClock
from wherry.kit.streams import frame
from wherry.model.errors.containers import CommandNotFound, StartFailed
from wherry.model.ids import ContainerId
from wherry.model.tasks import ExitRecord
from wherry.tasks import ExecRequest, SpawnRequest


class FakeStream:
    """An attached stream made of two queues."""

    def __init__(self, program: "FakeProgram", *, stdin: bool, outputs: frozenset[int]) -> None:
        self._program = program
        self._has_stdin = stdin
        self.outputs = outputs
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._has_ended = False

    async def read(self) -> bytes:
        if self._has_ended:
            return b""
        data = await self.queue.get()
        self._has_ended = not data
        return data

    async def write(self, data: bytes) -> None:
        if self._has_stdin:
            self._program.stdin.put_nowait(data)

    async def close_stdin(self) -> None:
        if self._has_stdin:
            self._program.stdin.put_nowait(b"")

    async def close(self) -> None:
        self.queue.put_nowait(b"")


@dataclass
class FakeProgram:
    """One process: what it reads, who hears it, how it ends."""

    has_terminal: bool = False
    stdin: "asyncio.Queue[bytes]" = field(default_factory=asyncio.Queue)
    streams: list[FakeStream] = field(default_factory=list)
    signals: list[int] = field(default_factory=list)
    size: tuple[int, int] | None = None
    running: "asyncio.Task[None] | None" = None
    exit: "asyncio.Future[ExitRecord]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def say(self, data: bytes, stream: int = 1) -> None:
        """Write output."""
        for each in self.streams:
            if stream in each.outputs:
                each.queue.put_nowait(data if self.has_terminal else frame(stream, data))

    def end(self, code: int, at_ns: int, *, error: str = "") -> None:
        """Be over."""
        if not self.exit.done():
            self.exit.set_result(ExitRecord(exit_code=code, exited_at_ns=at_ns, error=error))
        if self.running is not None:
            self.running.cancel()
        for each in self.streams:
            each.queue.put_nowait(b"")


Behaviour = Callable[[FakeProgram], Awaitable[int]]


async def _true(_program: FakeProgram) -> int:
    return 0


async def _exit_three(_program: FakeProgram) -> int:
    return 3


async def _cat(program: FakeProgram) -> int:
    while data := await program.stdin.get():
        program.say(data)
    return 0


async def _sleep(_program: FakeProgram) -> int:
    await asyncio.Event().wait()
    return 0


async def _two_streams(program: FakeProgram) -> int:
    program.say(b"out\n")
    program.say(b"err\n", 2)
    return 0


BEHAVIOURS: Mapping[tuple[str, ...], Behaviour] = {
    ("true",): _true,
    ("sh", "-c", "exit 3"): _exit_three,
    ("cat",): _cat,
    ("sleep", "1000"): _sleep,
    ("sh", "-c", "echo out; echo err >&2"): _two_streams,
}


class FakeTask:
    """A task whose processes are coroutines."""

    def __init__(
        self, owner: "FakeTasks", request: SpawnRequest, behaviour: Behaviour, pid: int
    ) -> None:
        self.container_id = request.container_id
        self.pid = pid
        self.is_paused = False
        self.has_started = False
        self.was_deleted = False
        self._owner = owner
        self._behaviour = behaviour
        self._oom_callbacks: list[Callable[[], None]] = []
        self.programs = {"": FakeProgram(has_terminal=request.spec.process.terminal)}

    async def start(self) -> None:
        self.has_started = True
        self._run(self.programs[""], self._behaviour)

    async def discard(self) -> None:
        self._owner.living.pop(self.container_id, None)

    async def signal(self, number: int) -> None:
        program = self.programs[""]
        program.signals.append(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            program.end(128 + number, self._owner.clock.now_ns())

    async def pause(self) -> None:
        self.is_paused = True

    async def resume(self) -> None:
        self.is_paused = False

    async def resize(self, rows: int, columns: int, session: str = "") -> None:
        self.programs[session].size = (rows, columns)

    async def attach(
        self, *, session: str = "", stdin: bool, stdout: bool, stderr: bool
    ) -> FakeStream:
        program = self.programs.setdefault(session, FakeProgram())
        wanted = ((1, stdout), (2, stderr))
        stream = FakeStream(
            program, stdin=stdin, outputs=frozenset(number for number, is_it in wanted if is_it)
        )
        program.streams.append(stream)
        if program.exit.done():
            stream.queue.put_nowait(b"")
        return stream

    async def exec(self, session: str, request: ExecRequest) -> int:
        if not self.has_started or self.programs[""].exit.done():
            raise StartFailed("the container is not running")
        behaviour = self._owner.behaviour(request.process.args)
        program = self.programs.setdefault(session, FakeProgram())
        program.has_terminal = request.process.terminal
        self._run(program, behaviour)
        return self._owner.new_pid()

    async def wait(self, session: str = "") -> ExitRecord:
        program = self.programs.get(session)
        if program is None:
            return ExitRecord(exit_code=137, exited_at_ns=0, error="no such exec session")
        return await asyncio.shield(program.exit)

    def on_oom(self, callback: Callable[[], None]) -> None:
        self._oom_callbacks.append(callback)

    async def delete(self) -> None:
        self.was_deleted = True
        self._owner.living.pop(self.container_id, None)

    def let_go(self) -> None:
        return

    # -- what a test does to it --------------------------------------------------------------

    def exit(self, code: int) -> None:
        """End the container from outside."""
        self.programs[""].end(code, self._owner.clock.now_ns())

    def run_out_of_memory(self) -> None:
        """Have the kernel notice that the limit was reached."""
        for callback in self._oom_callbacks:
            callback()

    def _run(self, program: FakeProgram, behaviour: Behaviour) -> None:
        async def until_end() -> None:
            code = await behaviour(program)
            program.running = None
            program.end(code, self._owner.clock.now_ns())

        program.running = asyncio.ensure_future(until_end())


class FakeTasks:
    """Every task that was spawned, by container."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.living: dict[ContainerId, FakeTask] = {}
        self.requests: list[SpawnRequest] = []
        self._last_pid = 1000

    async def open(self) -> None:
        return

    async def close(self) -> None:
        return

    async def spawn(self, request: SpawnRequest) -> FakeTask:
        self.requests.append(request)
        behaviour = self.behaviour(request.spec.process.args)
        task = FakeTask(self, request, behaviour, self.new_pid())
        self.living[request.container_id] = task
        return task

    async def reattach(
        self, container_id: ContainerId, bundle: str, record_directory: str
    ) -> FakeTask | ExitRecord | None:
        return self.living.get(container_id)

    async def open_view(
        self, root: object, mounts: Sequence[object] = (), *, writes: bool = False
    ) -> int:
        """A container's files: there are none."""
        with tempfile.TemporaryDirectory() as empty:
            return os.open(empty, os.O_RDONLY | os.O_DIRECTORY)

    def behaviour(self, args: tuple[str, ...]) -> Behaviour:
        """What a command line does. Raises: CommandNotFound."""
        if args not in BEHAVIOURS:
            raise CommandNotFound(args[0], in_search_path="/" not in args[0])
        return BEHAVIOURS[args]

    def new_pid(self) -> int:
        self._last_pid += 1
        return self._last_pid
