"""Fork a process, have it carry out its work up to the execve, and keep it parked there."""

import os
import signal
import socket
import time
from typing import TypeVar

from wherry.kit import messages
from wherry.operations.plan import (
    Entry,
    Hands,
    Journal,
    Operation,
    OperationFailed,
    Outcome,
    Plan,
    execute,
    explain_error,
    undo,
)
from wherry.operations.process import STDIO
from wherry.runtime import handshake, signals
from wherry.runtime.child import ChildWork, become
from wherry.runtime.handshake import Failure

_PIDFD = "pidfd"


class CreateFailed(Exception):
    """No process was made, and nothing remains of the attempt.

    `kind` is one of command_not_found (a path that is not there), command_not_found_in_path,
    not_executable, user_not_found, group_not_found, step. `program` is the program, or the
    user or group, that was looked for.
    """

    def __init__(self, kind: str, message: str, program: str, journal: Journal) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.program = program
        self.journal = journal


class ParkedProcess:
    """A child of the caller that has done all but its execve.

    `pid` is the host's, `pidfd` and `console` (a terminal's master, or None) are the caller's
    to close.
    """

    def __init__(
        self,
        *,
        pid: int,
        pidfd: int,
        console: int | None,
        journal: Journal,
        channel: socket.socket,
        execve: Operation,
    ) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console = console
        self.journal = journal
        self._channel = channel
        self._execve = execve

    def start(self) -> None:
        """Let it execve; returns once that has happened.

        Raises: CreateFailed; then nothing remains of the process.
        """
        at_ns, begun = time.time_ns(), time.monotonic_ns()
        failure: Failure | None
        try:
            failure = handshake.release(self._channel)
        except OSError as error:
            failure = Failure(kind="step", message=f"the parked process: {explain_error(error)}")
        entry = Entry(
            operation=self._execve,
            at_ns=at_ns,
            duration_ns=time.monotonic_ns() - begun,
            outcome=Outcome.FAILED if failure else Outcome.DONE,
            evidence={"pid": self.pid},
            error=failure.message if failure else "",
        )
        if failure is not None:
            self.discard()
            self.journal.append(entry)
            raise CreateFailed(failure.kind, failure.message, failure.program, self.journal)
        self.journal.append(entry)
        self._channel.close()

    def discard(self) -> None:
        """Kill and reap it before `start`, and undo what was done for it."""
        self.end()
        undo(self.journal, Hands())

    def end(self) -> None:
        """Kill and reap it, and close what is held for it."""
        self._channel.close()
        signals.kill(self.pidfd, signal.SIGKILL)
        _reap(self.pid)
        os.close(self.pidfd)
        if self.console is not None:
            os.close(self.console)
            self.console = None


_Parked = TypeVar("_Parked", bound=ParkedProcess)


def park(
    kind: type[_Parked],
    plan: Plan,
    work: ChildWork,
    stdio: tuple[int, int, int] | None,
    held: dict[str, int] | None = None,
) -> _Parked:
    """Do the parent's plan, which ends in a fork, and wait until the child has parked.

    `held` are more descriptors that the child's operations want by name.

    Raises: CreateFailed; what was done has been undone.
    """
    channel, childs_end = messages.channel_pair()
    hands, journal = Hands(), Journal()
    try:
        execute(plan, hands, journal)
    except OperationFailed as error:
        channel.close()
        childs_end.close()
        raise CreateFailed("step", str(error), "", journal) from error
    pid = int(str(journal[-1].evidence["pid"]))
    if pid == 0:
        channel.close()
        become(work, childs_end, {**(held or {}), **dict(zip(STDIO, stdio or (), strict=False))})
    childs_end.close()
    pidfd = hands.give(_PIDFD)
    try:
        report = handshake.receive_report(channel)
    except (OSError, ValueError) as error:
        report = handshake.unreadable_report(explain_error(error))
    identity, operations = report.identity, work.plan
    if identity is not None:
        operations += work.last_plan(identity)
    journal += handshake.entries(operations, report, pid)
    failure = report.failure
    if failure is None and identity is not None:
        return kind(
            pid=pid,
            pidfd=pidfd,
            console=report.console,
            journal=journal,
            channel=channel,
            execve=work.execve(identity, report.program),
        )
    channel.close()
    signals.kill(pidfd, signal.SIGKILL)
    _reap(pid)
    os.close(pidfd)
    undo(journal, hands)
    failure = failure or Failure(kind="step", message="the new process said nothing")
    raise CreateFailed(failure.kind, failure.message, failure.program, journal)


def _reap(pid: int) -> None:
    """Wait for a child that has been killed; somebody else may have done so."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return
