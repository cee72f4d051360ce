"""Fork a process, have it carry out its work up to the execve, and keep it parked there."""

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
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
from wherry.operations.processes.namespaces import JoinNamespace, UnshareForChildren
from wherry.operations.processes.terminals import STDIO
from wherry.runtime import handshake, signals
from wherry.runtime.attending import Attendant
from wherry.runtime.child import ChildWork, become
from wherry.runtime.handshake import NOT_EXECUTED, Failure

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

    `pid` is the host's; `pidfd` and `console` (a terminal's master, or None) are the caller's
    to close.
    """

    def __init__(
        self,
        *,
        pid: int,
        pidfd: int,
        console: int | None,
        parents: Journal,
        operations: Callable[[], tuple[Operation, ...]],
        channel: socket.socket,
        execve: Operation,
    ) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console = console
        self._journal = parents
        self._operations = operations
        self._channel = channel
        self._execve = execve
        self._account: bytes | None = None
        self._is_accounted = False
        self._childs_place = len(parents)

    @property
    def journal(self) -> Journal:
        """What was done, by the parent and then by the child.

        The child's account is read when it is first asked for: nobody waits for it to be
        decoded before the container runs.
        """
        if not self._is_accounted:
            self._is_accounted = True
            account = self._take_account()
            entries = handshake.read_account(account, self._operations(), self.pid)
            self._journal[self._childs_place : self._childs_place] = entries
        return self._journal

    def _take_account(self) -> bytes:
        """The child's account, as it came. Raises: OSError."""
        if self._account is None:
            self._account = self._channel.recv(messages.LARGEST_MESSAGE)
        return self._account

    def start(self) -> None:
        """Let it execve; returns once that has happened, or once it has ended because it can't.

        Raises: CreateFailed when it did not come so far; then nothing remains of the process.
        """
        at_ns, begun = time.time_ns(), time.monotonic_ns()
        failure: Failure | None
        try:
            self._take_account()
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
        if failure is not None and failure.kind != NOT_EXECUTED:
            self.discard()
            self._journal.append(entry)
            raise CreateFailed(failure.kind, failure.message, failure.program, self.journal)
        self._journal.append(entry)
        self._channel.close()

    def leave_at_gate(self) -> None:
        """Let go of it: it waits at its gate for somebody else's `start`. Raises: OSError."""
        self._take_account()
        self._channel.close()
        os.close(self.pidfd)

    @property
    def parents_journal(self) -> Journal:
        """What was done by the parent alone, before and after the child's own."""
        return self._journal

    def discard(self) -> None:
        """Kill and reap it before `start`, and undo what was done for it."""
        self.end()
        undo(self.journal, Hands())

    def end(self) -> None:
        """Kill and reap it, and close what is held for it."""
        signals.kill(self.pidfd, signal.SIGKILL)
        _reap(self.pid)
        os.close(self.pidfd)
        if self.console is not None:
            os.close(self.console)
            self.console = None
        self._take_account()
        self._channel.close()


_Parked = TypeVar("_Parked", bound=ParkedProcess)


def park(
    kind: type[_Parked],
    plan: Plan,
    work: ChildWork,
    stdio: tuple[int, int, int] | None,
    held: dict[str, int] | None = None,
    attendant: Attendant | None = None,
) -> _Parked:
    """Do the parent's plan, which ends in a fork, and wait until the child has parked.

    `held` are more descriptors that the child's operations want by name. The attendant answers
    what the child asks for on its way.

    Raises: CreateFailed; what was done has been undone.
    """
    channel, childs_end = messages.channel_pair()
    hands, journal = Hands(), Journal()
    try:
        execute(plan, hands, journal)
    except OperationFailed as error:
        channel.close()
        childs_end.close()
        hands.close()
        raise CreateFailed("step", str(error), "", journal) from error
    pid = int(str(journal[-1].evidence["pid"]))
    if pid == 0:
        channel.close()
        given = {**hands.everything(), **(held or {})}
        become(work, childs_end, {**given, **dict(zip(STDIO, stdio or (), strict=False))})
    childs_end.close()
    pidfd = hands.give(_PIDFD)
    hands.close()
    try:
        report = handshake.receive_report(channel, _attention(attendant, pid))
    except (OSError, ValueError) as error:
        report = handshake.broken_report(explain_error(error))
    _complete(journal, pid)
    failure = report.failure
    if attendant is not None:
        journal += attendant.journal
        if attendant.problem:
            failure = Failure(kind="step", message=attendant.problem)
    identity = report.identity
    if identity is not None and failure is None:
        return kind(
            pid=pid,
            pidfd=pidfd,
            console=report.console,
            parents=journal,
            operations=partial(work.operations, identity),
            channel=channel,
            execve=work.execve(identity, report.program),
        )
    operations = work.operations(identity)
    if report.console is not None:
        os.close(report.console)
    raise _cleared_away(pid, pidfd, channel, operations, journal, failure)


def _attention(attendant: Attendant | None, pid: int) -> handshake.Attend:
    def attend(channel: socket.socket, at: str, descriptors: list[int]) -> None:
        if attendant is None:
            raise ValueError(f"it asked for {at}")
        attendant.attend(channel, at, pid, descriptors)

    return attend


def _complete(journal: Journal, pid: int) -> None:
    """Add to the parent's journal what shows only in the child."""
    for entry in journal:
        if isinstance(entry.operation, UnshareForChildren):
            with suppress(OSError):  # The child may have ended.
                entry.evidence |= entry.operation.seen_in(pid)
        elif isinstance(entry.operation, JoinNamespace):
            entry.evidence["pid"] = pid


def _cleared_away(
    pid: int,
    pidfd: int,
    channel: socket.socket,
    operations: tuple[Operation, ...],
    journal: Journal,
    failure: Failure | None,
) -> CreateFailed:
    """End a child that failed, undo what its parent did, and make the error of it."""
    with channel:
        account = channel.recv(messages.LARGEST_MESSAGE)
    journal += handshake.read_account(account, operations, pid)
    signals.kill(pidfd, signal.SIGKILL)
    _reap(pid)
    os.close(pidfd)
    undo(journal, Hands())
    failure = failure or Failure(kind="step", message="the new process said nothing")
    return CreateFailed(failure.kind, failure.message, failure.program, journal)


def _reap(pid: int) -> None:
    """Wait for a child that has been killed; somebody else may have done so."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return
