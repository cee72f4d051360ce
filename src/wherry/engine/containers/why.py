"""`why`: what ended a container, and how we know.

The exit code alone says little: 137 is what the kernel's OOM killer leaves, `docker kill`, a
`stop` that ran out of patience, an operator with `kill -9`, and a shell whose child was killed.
What tells them apart is kept elsewhere: the kernel's count of OOM kills in the record, and the
journal of events, which says who asked for which signal.
"""

import signal as signals
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from wherry.engine.containers.log_feeding import delivery_of
from wherry.engine.containers.log_reading import ContainerLogs
from wherry.engine.event_journal import EventJournal
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.kit.byte_sizes import binary_size
from wherry.kit.timestamps import NANOSECONDS
from wherry.model.callers import Caller
from wherry.model.containers import Container
from wherry.model.errors.containers import LogsNotReadable
from wherry.model.events import Event
from wherry.model.lifecycle import ContainerState
from wherry.model.queries import LogDelivery, LogQuery
from wherry.model.reasons import Cause, Certainty, Reason

KEPT_LINES = 20
_AFTER_THE_END_NS = 5 * NANOSECONDS
"""An event is written a moment after what it tells."""
_SIGNALLED = 128
_CANNOT_EXECUTE, _NOT_FOUND, _NOT_EXECUTED = 126, 127, 255

_CRASHES: dict[int, str] = {
    signals.SIGILL: "an instruction that this processor does not have",
    signals.SIGTRAP: "a trap instruction",
    signals.SIGABRT: "its own call of abort(3), as failed assertions do",
    signals.SIGBUS: "an access to memory that is not there, as behind the end of a mapped file",
    signals.SIGFPE: "an impossible calculation, as a division by zero",
    signals.SIGSEGV: "an access to memory that it does not have",
    signals.SIGSYS: "a system call that its seccomp profile forbids",
}
"""The signals by which the kernel ends a program for what it did itself (signal(7))."""

Request = tuple[Event, Caller | None]


class Reasons:
    """Answers `why`."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        journal: EventJournal,
        logs: ContainerLogs,
        paths: ContainerPaths,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._journal = journal
        self._logs = logs
        self._paths = paths
        self._offload = offload

    async def __call__(self, reference: str) -> Reason:
        """The reason for a container's state. Raises: ContainerNotFound."""
        container = self._records.find(reference)
        kills = await self._offload(self._kills_of, container)
        lines = await self._last_lines(container)
        delivery = await self._offload(delivery_of, container, self._paths)
        return reason_of(container, kills, lines, delivery)

    def _kills_of(self, container: Container) -> list[Request]:
        """The signals that somebody asked for during the last run, oldest first."""
        since_ns = container.status.started_at_ns
        if since_ns is None:
            return []
        until_ns = container.status.finished_at_ns
        until_ns = until_ns + _AFTER_THE_END_NS if until_ns and until_ns > since_ns else None
        return [
            (event, caller)
            for event, caller in self._journal.entries(since_ns, until_ns)
            if event.kind == "container"
            and event.action == "kill"
            and event.actor_id == container.id
        ]

    async def _last_lines(self, container: Container) -> tuple[str, ...]:
        query = LogQuery(wants_stdout=True, wants_stderr=True, tail=KEPT_LINES)
        try:
            batches = await self._logs(container.id, query)
            found = [line async for batch in batches for line in batch]
        except LogsNotReadable:
            return ()
        return tuple(line.content.decode(errors="replace").rstrip("\r\n") for line in found)


def reason_of(
    container: Container,
    kills: Sequence[Request],
    lines: tuple[str, ...],
    delivery: LogDelivery | None = None,
) -> Reason:
    """The reason, from the record, the signals that were asked for, and the last output.

    Who finds output missing at the receiver of a log asks here, too.
    """
    cause, certainty, sentence, evidence, hints = _judge(container, kills, lines)
    status = container.status
    if status.restart_count:
        evidence = (*evidence, f"its restart policy has started it again {status.restart_count}"
                    f" time{'s' if status.restart_count > 1 else ''}")  # fmt: skip
    if status.health is not None and status.health.log:
        last = status.health.log[-1]
        evidence = (*evidence, f"its last health check ended with code {last.exit_code}")
    if status.lost_output_bytes and not container.is_alive:
        evidence = (*evidence, f"{status.lost_output_bytes} bytes of its log could not be written"
                    " on this host, as on a full disk")  # fmt: skip
    if delivery is not None and delivery.dropped:
        evidence = (*evidence, _undelivered(delivery, container.spec.log.driver))
    return Reason(
        container_id=container.id,
        name=container.name,
        state=status.state.value,
        exit_code=status.exit_code,
        cause=cause,
        certainty=certainty,
        sentence=sentence,
        evidence=evidence,
        hints=hints,
        last_lines=lines,
    )


Verdict = tuple[Cause, Certainty, str, tuple[str, ...], tuple[str, ...]]


def _judge(container: Container, kills: Sequence[Request], lines: Sequence[str]) -> Verdict:
    status = container.status
    if container.is_alive:
        return _running(container)
    if status.started_at_ns is None and not status.error:
        sentence = "It was created and never started."
        return Cause.NEVER_STARTED, Certainty.FACT, sentence, (), ()
    if status.state is ContainerState.CREATED or (status.error and not _has_run(container)):
        return _start_failed(container)
    if status.was_oom_killed:
        return _out_of_memory(container)
    if status.error:
        return (Cause.SUPERVISOR_LOST, Certainty.UNKNOWN,
                "How it ended is not known: the process that watched it was killed.",
                (status.error,), ())  # fmt: skip
    number = status.exit_code - _SIGNALLED
    if 0 < number < signals.NSIG and _signal_name(number):
        return _signalled(container, number, kills)
    if status.exit_code == _NOT_EXECUTED and lines and lines[-1].startswith("exec "):
        return _not_executed(lines[-1])
    return _exited(container, kills)


def _has_run(container: Container) -> bool:
    status = container.status
    return (
        status.started_at_ns is not None
        and status.finished_at_ns is not None
        and status.finished_at_ns >= status.started_at_ns
    )


def _running(container: Container) -> Verdict:
    since = _moment(container.status.started_at_ns)
    sentence = f"It is {container.status.state.value}, since {since}."
    return Cause.RUNNING, Certainty.FACT, sentence, (f"pid {container.status.pid}",), ()


def _start_failed(container: Container) -> Verdict:
    error = container.status.error
    sentence = f"Its last start failed, with exit code {container.status.exit_code}."
    return Cause.START_FAILED, Certainty.FACT, sentence, (error,), _advice(error)


def _not_executed(line: str) -> Verdict:
    sentence = "It started, and then the kernel did not execute its program."
    return Cause.START_FAILED, Certainty.LIKELY, sentence, (line,), _advice(line)


def _advice(error: str) -> tuple[str, ...]:
    """What to look for when a program could not be run."""
    if "exec format error" in error:
        return (
            "The program is for another processor, or is a script without a #! line: compare"
            " `inspect --format '{{.Architecture}}'` of the image with this machine's;"
            " `wherry platform enable` lets this one run it.",
        )
    if "no such file or directory" in error:
        return (
            "The program itself may be there: the same error comes from an interpreter or a"
            " dynamic loader (libc) that is not in the image.",
        )
    if "permission denied" in error:
        return ("The file is there and may not be executed: chmod +x, or a noexec mount.",)
    if "executable file not found" in error:
        return ("No directory of PATH in the image holds the program: look at its name.",)
    return ()


def _out_of_memory(container: Container) -> Verdict:
    limit = container.spec.limits.memory_bytes
    bound = f"its limit of {binary_size(limit)}" if limit else "the limit of a cgroup above it"
    sentence = f"The kernel killed a process of it for want of memory: it ran into {bound}."
    evidence = (
        "the kernel counted an OOM kill in its cgroup (memory.oom_control or memory.events)",
        f"exit code {container.status.exit_code}",
    )
    hints = ("Raise `--memory`, or find what grows: `stats` shows it while it runs.",)
    return Cause.OUT_OF_MEMORY, Certainty.FACT, sentence, evidence, hints


def _signalled(container: Container, number: int, kills: Sequence[Request]) -> Verdict:
    name, code = _signal_name(number), container.status.exit_code
    arithmetic = f"exit code {code} is 128 + {number}: {name}"
    asked = [(event, by) for event, by in kills if event.attributes.get("signal") == str(number)]
    if asked:
        evidence = (arithmetic, *(_asked(event, by) for event, by in kills))
        hints = _stop_hints(number, kills)
        sentence = f"It was ended with {name}, as {_who(asked[-1][1])} had asked the engine to."
        return Cause.STOPPED, Certainty.FACT, sentence, evidence, hints
    if number in _CRASHES:
        sentence = f"It crashed: {name} is what the kernel sends for {_CRASHES[number]}."
        hint = "If its process 1 is a shell or an init, one of its children may have crashed."
        return Cause.CRASHED, Certainty.LIKELY, sentence, (arithmetic,), (hint,)
    nobody = "nobody asked the engine for a signal while it ran (the journal of events)"
    if number == signals.SIGKILL:
        sentence = (
            "It was killed with SIGKILL, but not by way of the engine, and not for its own memory"
            " limit."
        )
        hints = (
            "Its process 1 can't be killed from inside (pid_namespaces(7)): either somebody on"
            " the host did, or process 1 is a shell that passes on the code of a killed child.",
            "The host may have run out of memory as a whole: look for `Out of memory` in dmesg.",
        )
        return Cause.SIGNALLED, Certainty.UNKNOWN, sentence, (arithmetic, nobody), hints
    sentence = f"It ended with {name}, which did not come by way of the engine."
    hints = (f"Programs also exit with {code} by themselves to say that they got {name}.",)
    return Cause.SIGNALLED, Certainty.LIKELY, sentence, (arithmetic, nobody), hints


def _stop_hints(number: int, kills: Sequence[Request]) -> tuple[str, ...]:
    """What a SIGKILL after another signal says about process 1."""
    earlier = [event.attributes.get("signal", "") for event, _ in kills]
    if number != signals.SIGKILL or len(earlier) < 2:
        return ()
    name = _signal_name(int(earlier[0])) if earlier[0].isdigit() else earlier[0]
    return (
        f"It did not end by {name} before: the kernel gives process 1 no default action for"
        " signals, so it must have a handler. `--init`, or `exec` at the end of a shell script,"
        " puts a process there that has one.",
    )


def _exited(container: Container, kills: Sequence[Request]) -> Verdict:
    code = container.status.exit_code
    evidence = (f"exit code {code}", *(_asked(event, by) for event, by in kills))
    if code == 0:
        sentence = "Its program finished without an error."
        if kills:
            sentence = f"Its program ended in order after {_who(kills[-1][1])} had it signalled."
            return Cause.STOPPED, Certainty.FACT, sentence, evidence, ()
        return Cause.FINISHED, Certainty.FACT, sentence, evidence, ()
    if code in (_CANNOT_EXECUTE, _NOT_FOUND):
        what = "found, but could not run," if code == _CANNOT_EXECUTE else "did not find"
        sentence = f"A shell in it {what} a command, and ended with its code {code}."
        hints = ("Its last lines name the command.",)
        return Cause.COMMAND_FAILED, Certainty.LIKELY, sentence, evidence, hints
    sentence = f"Its program ended by itself with code {code}; only its own words say why."
    return Cause.PROGRAM_FAILED, Certainty.FACT, sentence, evidence, ()


# -- words -----------------------------------------------------------------------------------


def _asked(event: Event, by: Caller | None) -> str:
    number = event.attributes.get("signal", "")
    name = _signal_name(int(number)) if number.isdigit() else number
    return f"{_moment(event.at_ns)}: {_who(by)} asked for {name}"


def _undelivered(delivery: LogDelivery, driver: str) -> str:
    now = f", which takes nothing now: {delivery.problem}" if delivery.problem else ""
    return f"lines of its log that were not delivered to {driver}: {delivery.dropped}{now}"


def _who(caller: Caller | None) -> str:
    """The other end of the connection, as far as the kernel knows it."""
    if caller is None:
        return "the engine itself"
    if caller.address:
        return f"a client at {caller.address}"
    known: Iterable[str] = (
        caller.program,
        f"pid {caller.pid}" if caller.pid else "",
        f"uid {caller.uid}" if caller.uid is not None else "",
    )
    return ", ".join(each for each in known if each) or "a client"


def _signal_name(number: int) -> str:
    if signals.SIGRTMIN <= number <= signals.SIGRTMAX:
        return f"SIGRTMIN+{number - signals.SIGRTMIN}"
    try:
        return signals.Signals(number).name
    except ValueError:
        return ""


def _moment(at_ns: int | None) -> str:
    moment = datetime.fromtimestamp((at_ns or 0) / NANOSECONDS, tz=timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
