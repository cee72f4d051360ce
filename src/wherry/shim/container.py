"""One container under supervision: made, started, joined, and its end written down.

The end, in this order, because each step makes the next one true:

    reap init             the exit code, and the wall time of it
    drain its output      to the end of the pipes, or as far as what outlived init has written
    read the journal      in a directory that whoever hears of the end may remove
    read oom_kill         while the memory cgroup is still there
    write exit.json       durable: from here on the end is a fact, whoever dies next
    tell the daemons      who may wait for nothing else
    destroy               the cgroups, with what is left in them
"""

import os
import time
from collections.abc import Callable

from wherry.kit.event_loop import EventLoop
from wherry.kit.messages import Message
from wherry.kit.values import dataclass
from wherry.logs.sinks import LogSink, open_sink
from wherry.oci import runtime_json
from wherry.oci.runtime_spec import RuntimeSpec
from wherry.operations.plan import explain_error
from wherry.runtime.container import CreateFailed, CreateRequest
from wherry.runtime.signals import kill
from wherry.shim import protocol, records
from wherry.shim.commands import Commands
from wherry.shim.faces import Living, Parked, Runtime
from wherry.shim.filters import read_filter
from wherry.shim.kept_journal import KeptJournal
from wherry.shim.oom import MemoryLimit, memory_directory
from wherry.shim.protocol import INIT, Ending, ExecOrder, Refused, SpawnOrder
from wherry.shim.session import Session
from wherry.shim.sessions import Sessions

_RETRY_RECORD_S = 1.0


class Container:
    """A container from its parked init to its durable end."""

    def __init__(
        self,
        loop: EventLoop,
        runtime: Runtime,
        order: SpawnOrder,
        *,
        notify: Callable[[Message], None],
        on_change: Callable[[], None],
    ) -> None:
        """`on_change` is called when the shim may have become unnecessary."""
        self._loop = loop
        self._runtime = runtime
        self._order = order
        self._notify = notify
        self._on_change = on_change
        self._sink: LogSink | None = None
        self._init: Living | None = None
        self._parked: Parked | None = None
        """Init again, until it was started."""
        self._journal = KeptJournal(order.record_directory)
        self._cgroups: tuple[str, ...] = ()
        self.sessions = Sessions(
            loop, closes_stdin_after_first=order.closes_stdin_after_first, on_idle=on_change
        )
        """Init's and those of the commands that joined it."""
        self._commands = Commands(runtime, self.sessions, are_born_inside=True)
        self._memory = MemoryLimit(loop, "", None, self._on_oom)
        self._limit_bytes: int | None = None
        self._has_pid_namespace = False
        self.has_started = False
        self.is_durable = False
        """The end is on disk."""
        self.is_collected = False
        """A daemon has taken note of the end, or the container never started."""

    # -- from nothing to parked --------------------------------------------------------------

    def create(self) -> int:
        """Make the container, parked before its program; returns init's pid. Raises: Refused."""
        order = self._order
        try:
            spec = self._read_spec()
            program = read_filter(order.seccomp_program)
            self._sink = open_sink(
                order.log.driver, order.log.path, order.log.options, order.log.attributes
            )
            session = self.sessions.open_init(self._sink)
            init = self._made(session, spec, program)
        except CreateFailed as error:
            self._journal.keep(error.journal)
            raise Refused(error.kind, error.message, error.program) from error
        except (OSError, ValueError) as error:
            raise Refused("step", explain_error(error)) from error
        self._init = self._parked = init
        if init.console is not None:
            session.take_console(init.console, opens_stdin=order.opens_stdin)
        self.sessions.adopt(session, init.pid, init.pidfd)
        limits = spec.linux.resources.memory
        self._limit_bytes = None if limits is None else limits.limit
        self._has_pid_namespace = any(each.type == "pid" for each in spec.linux.namespaces)
        return init.pid

    def _made(self, session: Session, spec: RuntimeSpec, program: bytes) -> Parked:
        """Raises: CreateFailed; OSError."""
        order = self._order
        with session.given(
            terminal=spec.process.terminal,
            opens_stdin=order.opens_stdin,
            outputs=frozenset({1, 2}),
        ) as stdio:
            return self._runtime.create(
                CreateRequest(
                    container_id=order.container_id,
                    bundle=order.bundle,
                    spec=spec,
                    rootfs=order.rootfs,
                    user=order.user,
                    group_add=order.group_add,
                    seccomp_program=program,
                    init_binary=order.init_binary,
                    stdio=stdio,
                )
            )

    def start(self) -> None:
        """Let init run its program. Raises: Refused."""
        parked = self._waiting_init()
        try:
            parked.start()
        except CreateFailed as error:
            self._journal.keep(error.journal)
            self._abandon()
            self._be_forgotten()
            raise Refused(error.kind, error.message, error.program) from error
        self.has_started = True

    def settle(self) -> None:
        """What a start needs that nobody waits for."""
        parked, self._parked = self._parked, None
        if parked is None or not self.has_started:
            return
        self._journal.keep(parked.journal)
        self._cgroups = self._runtime.cgroup_directories(parked.journal)
        self._memory = MemoryLimit(
            self._loop, memory_directory(self._cgroups), self._limit_bytes, self._on_oom
        )

    def discard(self) -> None:
        """Undo `create`. Raises: Refused when the container has started."""
        self._waiting_init().discard()
        self._abandon()
        self._be_forgotten()

    # -- from one process to another ---------------------------------------------------------

    @property
    def can_be_handed_over(self) -> bool:
        """Whether init runs and nothing is under way that is not in the kernel's hands."""
        return self.sessions.is_init_alone and self.has_started and self._journal.is_kept

    def hand_over(self, descriptors: list[int]) -> Message:
        """What another process needs to supervise it; adds the descriptors that go with it."""
        session = self.sessions.init
        assert self._init is not None
        assert self._sink is not None
        assert session is not None
        descriptors.append(self._init.pidfd)
        # The open log, too: its disk may take no other way to it by the time that it is needed.
        log = self._sink.file()
        descriptors += [] if log is None else [log]
        return {
            "pid": self._init.pid,
            "session": session.hand_over(descriptors),
            "has_log": log is not None,
            "unfinished": {
                str(stream): text.decode("latin-1")
                for stream, text in self._sink.unfinished().items()
            },
            "cgroups": list(self._cgroups),
            "memory_directory": self._memory.directory,
            "memory_limit": self._memory.limit,
            # Whether the descriptors alone tell when there is something to do: orphans that
            # become ours and notices of the memory cgroup come by other ways.
            "may_sleep": self._has_pid_namespace and not self._memory.is_watched,
        }

    def take_over(self, state: Message, descriptors: list[int]) -> None:
        """Go on where `hand_over` was called; takes its descriptors."""
        log, pidfd = self._order.log, descriptors.pop(0)
        file = descriptors.pop(0) if state["has_log"] else None
        self._sink = open_sink(log.driver, log.path, log.options, log.attributes, file)
        self._sink.resume(
            {int(stream): text.encode("latin-1") for stream, text in state["unfinished"].items()}
        )
        self._init = AdoptedInit(state["pid"], pidfd)
        self.has_started = True
        self._journal = KeptJournal(self._order.record_directory, is_kept=True)
        self._commands = Commands(self._runtime, self.sessions, are_born_inside=False)
        self._cgroups = tuple(state["cgroups"])
        self._memory = MemoryLimit(
            self._loop, state["memory_directory"], state["memory_limit"], self._on_oom
        )
        session = self.sessions.open_init(self._sink)
        session.take_over(state["session"], descriptors)
        self.sessions.adopt(session, self._init.pid, self._init.pidfd)

    # -- while it runs -----------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Init's pid; 0 when there is none."""
        return 0 if self._init is None else self._init.pid

    @property
    def ending(self) -> Ending | None:
        """How init ended."""
        init = self.sessions.init
        return None if init is None else init.ending

    def signal(self, number: int) -> None:
        """Send init a signal. Raises: Refused; OSError."""
        if not kill(self._running_init().pidfd, number):
            raise Refused("gone", "the process has ended")

    def pause(self) -> None:
        """Freeze every process. Raises: Refused; OSError."""
        self._running_init()
        self._runtime.freeze(self._cgroups)

    def resume(self) -> None:
        """Let them go on. Raises: Refused; OSError."""
        self._running_init()
        self._runtime.thaw(self._cgroups)

    def attach(self, name: str, stream: int, *, stdin: bool, stdout: bool, stderr: bool) -> None:
        """Add a client; an exec session that is not there yet is prepared for it.

        Takes the descriptor. Raises: Refused.
        """
        try:
            session = self.sessions.open(name)
        except Refused:
            os.close(stream)
            raise
        session.attach(stream, stdin=stdin, stdout=stdout, stderr=stderr)

    def resize(self, name: str, rows: int, columns: int) -> None:
        """Set a terminal's size. Raises: Refused; OSError."""
        session = self.sessions.find(name)
        if session is None or session.ending is not None:
            raise Refused("gone", "no such session")
        session.resize(rows, columns)

    def exec(self, order: ExecOrder) -> int:
        """Run one more process; its pid. Raises: Refused."""
        return self._commands.run(order, self._running_init(), self._cgroups)

    def end(self, name: str) -> None:
        """Kill an exec session with all that it has started. Raises: Refused; OSError."""
        self._commands.end(name)

    def collect(self, name: str) -> None:
        """Forget how an exec session ended."""
        session = self.sessions.find(name)
        if session is not None and session.ending is not None and name != INIT:
            self.sessions.forget(session)

    def delete(self) -> None:
        """The end has been taken note of. Raises: Refused while it runs."""
        if self.ending is None:
            raise Refused("refused", "the container has not ended")
        self.is_collected = True

    # -- endings -----------------------------------------------------------------------------

    def reap(self) -> None:
        """Take every child that has ended: ours, and orphans of the container's."""
        for session, exit_code in self.sessions.reaped():
            self._on_end(session, exit_code, time.time_ns())

    def _on_end(self, session: Session, exit_code: int, at_ns: int) -> None:
        is_drained = session.drain()
        self.sessions.close_process(session)
        if session.name != INIT:
            ending = Ending(exit_code=exit_code, exited_at_ns=at_ns)
            session.finish(ending)
            self._notify(protocol.exit_notice(session.name, ending))
        elif self.has_started:
            self._on_init_end(session, exit_code, at_ns, is_drained=is_drained)
        else:
            self._on_parked_end()

    def _on_parked_end(self) -> None:
        """Somebody killed init before its start, which the daemon hears when it asks for that."""
        assert self._parked is not None
        self._runtime.destroy(self._parked.journal)
        self._abandon()
        self._on_change()

    def _on_init_end(
        self, session: Session, exit_code: int, at_ns: int, *, is_drained: bool
    ) -> None:
        assert self._sink is not None
        journal = self._journal.recalled(self._cgroups)
        was_oom_killed = self._memory.end()
        if not is_drained:
            # Somebody outlived init and holds its output: without a pid namespace of its own a
            # container ends with its init all the same.
            self._runtime.destroy(journal)
            session.drain()
        self._sink.finish(at_ns)
        self._sink.close()
        ending = Ending(
            exit_code=exit_code,
            exited_at_ns=at_ns,
            was_oom_killed=was_oom_killed,
            lost_output_bytes=self._sink.lost_bytes,
        )
        session.finish(ending)
        self._write_end(ending)
        self._notify(protocol.exit_notice(INIT, ending))
        self._runtime.destroy(journal)
        self._on_change()

    def _write_end(self, ending: Ending) -> None:
        """Make the end durable; on a full disk try again until there is room."""
        record = records.EndRecord(
            container_id=self._order.container_id,
            pid=self.pid,
            ending=ending,
            sessions=self.sessions.endings(),
        )
        try:
            records.write_end(self._order.record_directory, record)
        except FileNotFoundError:
            # Its directory was removed: nobody will ever ask.
            self.is_durable = True
        except OSError:
            self._loop.call_later(_RETRY_RECORD_S, lambda: self._write_end(ending))
        else:
            self.is_durable = True
        if self.is_durable:
            self._on_change()

    def _on_oom(self) -> None:
        self._notify(protocol.oom_notice())

    # -- small steps -------------------------------------------------------------------------

    def _read_spec(self) -> RuntimeSpec:
        with open(f"{self._order.bundle}/{protocol.CONFIG_NAME}", "rb") as file:
            return runtime_json.decode_without_filter(file.read())

    def _waiting_init(self) -> Parked:
        if self._init is None and not self.is_collected:
            self._be_forgotten()
            raise Refused("step", "the container's first process was killed before its start")
        if self._parked is None or self.has_started:
            raise Refused("refused", "the container is not waiting for its start")
        return self._parked

    def _running_init(self) -> Living:
        if self._init is None or not self.has_started:
            raise Refused("refused", "the container has not started")
        if self.ending is not None:
            raise Refused("gone", "the container has ended")
        return self._init

    def _abandon(self) -> None:
        """There is no container any more, and no end to write down."""
        self.sessions.abandon()
        if self._sink is not None:
            self._sink.close()
        self._init = self._parked = None

    def _be_forgotten(self) -> None:
        """The daemon knows that there is no container any more."""
        self.is_durable = self.is_collected = True


@dataclass(frozen=True, slots=True)
class AdoptedInit:
    """A container's first process, made by another process of this shim."""

    pid: int
    pidfd: int
