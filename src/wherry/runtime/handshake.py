"""Parent and child of a fork: how the child tells what it did, and waits to be released.

        parent                                child
        ------                                -----
        fork ------------------------------>  carries out the child plan
                                              looks up user and program in the image
                                              carries out the last plan
        reads the report  <-----------------  report: times, evidence, identity, program,
                                              the console's master (SCM_RIGHTS)
        (parked until start)                  waits on the channel
        release ---------------------------->  execve
        reads the end of the channel  <-----  (closed by execve: it worked)
          or a failure        <-------------  failure: errno of execve

The channel is a SOCK_SEQPACKET pair that closes on execve. A parent that dies closes its end,
and a parked child ends then.
"""

import socket
from dataclasses import dataclass
from typing import Any

from wherry.kit import messages
from wherry.operations.plan import (
    Entry,
    Hands,
    Journal,
    Operation,
    OperationFailed,
    Outcome,
    explain_error,
)
from wherry.runtime.accounts import AccountNotFound, Identity
from wherry.runtime.programs import ProgramNotFound

RELEASE = b"\1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a child did not come to its execve."""

    kind: str
    message: str
    program: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a child did until it parked, or until it failed."""

    done: tuple[tuple[int, int, str, dict[str, Any], str], ...]
    """Time, duration, outcome, evidence and error of each operation, in order."""
    identity: Identity | None
    program: str
    failure: Failure | None
    console: int | None


def send_report(
    channel: socket.socket, journal: Journal, identity: Identity | None, program: str, hands: Hands
) -> None:
    """Tell the parent that all is done; the console's master goes along. Raises: OSError."""
    message = _message(journal, identity, program)
    descriptors = (hands.get("console"),) if hands.holds("console") else ()
    messages.send(channel, message, descriptors)


def send_failure(
    channel: socket.socket, journal: Journal, identity: Identity | None, error: BaseException
) -> None:
    """Tell the parent why it can't go on. Raises: OSError."""
    failure = failure_of(error)
    message = _message(journal, identity, failure.program)
    message["failure"] = {
        "kind": failure.kind, "message": failure.message, "program": failure.program,
    }  # fmt: skip
    messages.send(channel, message)


def failure_of(error: BaseException) -> Failure:
    """An exception of a child in the words of `CreateFailed`."""
    match error:
        case OperationFailed():
            return Failure(kind="step", message=str(error))
        case AccountNotFound():
            kind = "group_not_found" if error.is_group else "user_not_found"
            return Failure(kind=kind, message=str(error), program=error.reference)
        case ProgramNotFound():
            return Failure(kind=error.kind, message=str(error), program=error.program)
        case _:
            return Failure(kind="step", message=f"the new process: {explain_error(error)}")


def receive_report(channel: socket.socket) -> Report:
    """Wait for the child's report. Raises: OSError; ValueError."""
    received = messages.receive(channel)
    if received is None:
        return unreadable_report("it ended without a word")
    message, descriptors = received
    identity, failure = message["identity"], message.get("failure")
    return Report(
        done=tuple(tuple(each) for each in message["done"]),
        identity=None
        if identity is None
        else Identity(
            uid=identity[0], gid=identity[1], groups=tuple(identity[2]), home=identity[3]
        ),
        program=message["program"],
        failure=None if failure is None else Failure(**failure),
        console=descriptors[0] if descriptors else None,
    )


def unreadable_report(problem: str) -> Report:
    """What stands for the report of a child that gave none."""
    failure = Failure(kind="step", message=f"the new process: {problem}")
    return Report(done=(), identity=None, program="", failure=failure, console=None)


def entries(operations: tuple[Operation, ...], report: Report, pid: int) -> Journal:
    """The child's part of the journal: the operations that it knew, with what it told.

    The child sees itself as process 1; evidence gets the pid that the host knows.
    """
    return [
        Entry(
            operation=operation,
            at_ns=at_ns,
            duration_ns=duration_ns,
            outcome=Outcome(outcome),
            evidence={**evidence, "pid": pid},
            error=error,
        )
        for operation, (at_ns, duration_ns, outcome, evidence, error) in zip(
            operations, report.done, strict=False
        )
    ]


def wait_for_release(channel: socket.socket) -> bool:
    """Park until the parent says go; False when it has gone away."""
    return channel.recv(1) == RELEASE


def release(channel: socket.socket) -> Failure | None:
    """Let the child execve; None once it has. Raises: OSError when it is not there any more."""
    channel.send(RELEASE)
    received = messages.receive(channel)
    return None if received is None else Failure(**received[0]["failure"])


def execve_failure(program: str, error: OSError) -> Failure:
    """What the kernel says of a program that it will not execute."""
    words = explain_error(error)
    match error.errno:
        case 2 | 20 | 40:  # ENOENT (also of a script's interpreter), ENOTDIR, ELOOP
            kind = "command_not_found"
        case 1 | 8 | 13 | 21:  # EPERM, ENOEXEC, EACCES, EISDIR
            kind = "not_executable"
        case _:
            kind = "step"
    return Failure(kind=kind, message=f"exec {program}: {words}", program=program)


def send_execve_failure(channel: socket.socket, program: str, error: OSError) -> None:
    """Tell the parent that execve failed. Raises: OSError."""
    failure = execve_failure(program, error)
    message = _message([], None, program)
    message["failure"] = {
        "kind": failure.kind, "message": failure.message, "program": failure.program,
    }  # fmt: skip
    messages.send(channel, message)


def _message(journal: Journal, identity: Identity | None, program: str) -> messages.Message:
    return {
        "done": [
            (each.at_ns, each.duration_ns, each.outcome.value, each.evidence, each.error)
            for each in journal
        ],
        "identity": None
        if identity is None
        else (identity.uid, identity.gid, identity.groups, identity.home),
        "program": program,
    }
