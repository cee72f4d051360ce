"""Parent and child of a fork: how the child tells what it did, and waits to be released.

        parent                                child
        ------                                -----
        fork ------------------------------>  carries out the child plan
                      <-----------------  (with hooks: "at" the point where they are due)
    runs the hooks    ----------------->  goes on, or gives up
                                              looks up user and program in the image
                                              carries out the last plan
        reads the report  <-----------------  report: identity, program, and the console's
                                              master (SCM_RIGHTS)
        (parked until start)  <-------------  account: times and evidence of each operation
                                              waits on the channel
        release ---------------------------->  execve
        reads the end of the channel  <-----  (closed by execve: it worked)
          or a failure        <-------------  failure: errno of execve

The channel is a SOCK_SEQPACKET pair that closes on execve. A parent that dies closes its end,
and a parked child ends then. A child that is to outlive its parent waits at a gate instead: a
listening socket of the same kind, whose first client is from then on the other end.
"""

import socket
from collections.abc import Callable

from wherry.kit import messages
from wherry.kit.values import dataclass
from wherry.linux.sockets import adopted
from wherry.operations.plan import (
    Entry,
    Journal,
    Operation,
    OperationFailed,
    Outcome,
    explain_error,
)
from wherry.runtime.accounts import AccountNotFound, Identity
from wherry.runtime.programs import ProgramNotFound

RELEASE = b"\1"
NOT_EXECUTED = "not_executed"
"""The kind of failure that ends a container which has started: see `execve_failure`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a child did not come to its execve."""

    kind: str
    message: str
    program: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How far a child came: to where it is parked, or to a failure."""

    identity: Identity | None
    """None when it did not come so far as to look it up."""
    program: str
    failure: Failure | None
    console: int | None


def send_report(
    channel: socket.socket,
    journal: Journal,
    *,
    identity: Identity | None,
    program: str,
    failure: Failure | None,
    console: int | None,
) -> None:
    """Tell the parent where it stands, then what it did.

    Two messages: the first is all that a parent needs to go on. Raises: OSError.
    """
    message: messages.Message = {
        "identity": None
        if identity is None
        else (identity.uid, identity.gid, identity.groups, identity.home),
        "program": program,
        "failure": None if failure is None else (failure.kind, failure.message, failure.program),
    }
    messages.send(channel, message, () if console is None else (console,))
    done = [
        (each.at_ns, each.duration_ns, each.outcome.value, each.evidence, each.error)
        for each in journal
    ]
    messages.send(channel, {"done": done})


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


Attend = Callable[[socket.socket, str, list[int]], None]
"""Answers what a child says on its way: the channel, what it is about, descriptors."""


def receive_report(channel: socket.socket, attend: Attend) -> Report:
    """Wait for the child's report, and do what it asks for on its way.

    Raises: OSError; ValueError.
    """
    while True:
        received = messages.receive(channel)
        if received is None:
            return broken_report("it ended without a word")
        message, descriptors = received
        if "at" not in message:
            break
        attend(channel, message["at"], descriptors)
    identity, failure = message["identity"], message["failure"]
    return Report(
        identity=None
        if identity is None
        else Identity(
            uid=identity[0], gid=identity[1], groups=tuple(identity[2]), home=identity[3]
        ),
        program=message["program"],
        failure=None
        if failure is None
        else Failure(kind=failure[0], message=failure[1], program=failure[2]),
        console=descriptors[0] if descriptors else None,
    )


def broken_report(problem: str) -> Report:
    """What stands for the report of a child that gave none."""
    failure = Failure(kind="step", message=f"the new process: {problem}")
    return Report(identity=None, program="", failure=failure, console=None)


def read_account(account: bytes, operations: tuple[Operation, ...], pid: int) -> Journal:
    """The child's part of the journal: the operations that it had, with what it tells of them.

    The child sees itself as process 1; evidence gets the pid that the host knows.

    An empty account is that of a child which ended early. Raises: ValueError.
    """
    done = messages.decode(account)["done"] if account else []
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
            operations, done, strict=False
        )
    ]


def wait_for_release(channel: socket.socket) -> bool:
    """Park until the parent says go; False when it has gone away."""
    return channel.recv(1) == RELEASE


def wait_at_gate(gate: int) -> socket.socket:
    """Park until somebody connects: the connection is the channel then. Raises: OSError."""
    with adopted(gate) as listener:
        return listener.accept()[0]


def release(channel: socket.socket) -> Failure | None:
    """Let the child execve; None once it has. Raises: OSError when it is not there any more."""
    channel.send(RELEASE)
    received = messages.receive(channel)
    if received is None:
        return None
    kind, message, program = received[0]["failure"]
    return Failure(kind=kind, message=message, program=program)


def execve_failure(program: str, error: OSError) -> Failure:
    """What the kernel says of a program that it will not execute, although it is there.

    It is for another processor, or its interpreter is missing. As with runc the container has
    started by then: the sentence is its output, and 255 its exit code.
    """
    message = f"exec {program}: {explain_error(error)}"
    return Failure(kind=NOT_EXECUTED, message=message, program=program)


def send_failure(channel: socket.socket, failure: Failure) -> None:
    """Tell who released it that the program does not run. Raises: OSError."""
    message = {"failure": (failure.kind, failure.message, failure.program)}
    messages.send(channel, message)
