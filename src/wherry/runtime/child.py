"""What a forked process does on its way to the container's program.

Preconditions: one thread; every module that is used here is imported already, and the codecs
have been used (`preload`): once the root has changed, an import would read the image's files.
"""

import gc
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import NoReturn

from wherry.kit.values import dataclass
from wherry.oci.runtime_spec import Hook, Personality, Process
from wherry.operations.files.mounts import ROOT
from wherry.operations.plan import Hands, Journal, Operation, OperationFailed, Plan, execute
from wherry.operations.processes.process import CHANNEL, GATE, reset_signals
from wherry.operations.processes.terminals import CONSOLE
from wherry.runtime import accounts, handshake
from wherry.runtime.accounts import Identity
from wherry.runtime.attending import hook_operations
from wherry.runtime.machine import Machine
from wherry.runtime.mount_plan import INIT_IN_CONTAINER
from wherry.runtime.privilege_plan import execve_operation, last_plan, late_confinement
from wherry.runtime.programs import find_program

EXIT_NOT_EXECUTED = 255
"""Of a program that is there and can't be executed, as runc has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildWork:
    """All that a child needs, made before the fork."""

    plan: Plan
    process: Process
    user: str | None
    group_add: tuple[str, ...]
    seccomp_program: bytes
    has_init: bool
    machine: Machine
    personality: Personality | None = None
    preserved: int = 0
    """How many descriptors after 2 the program gets."""
    start_hooks: tuple[Hook, ...] = ()
    """Run in the container, when it is started."""
    state: str = ""
    """For them: as `state_json` makes it."""

    def last_plan(self, identity: Identity) -> Plan:
        """What is done once it is known who the program runs as; the same in both processes."""
        return last_plan(
            self.process,
            identity,
            self.seccomp_program,
            self.machine,
            terminal=self.process.terminal,
            personality=self.personality,
            preserved=self.preserved,
        )

    def operations(self, identity: Identity | None) -> Plan:
        """All that a child does before it parks, as far as it can be known."""
        return self.plan if identity is None else self.plan + self.last_plan(identity)

    def execve(self, identity: Identity, program: str) -> Operation:
        """The last step; the same in both processes."""
        args = self.process.args
        if self.has_init:
            args = (INIT_IN_CONTAINER, "--", *args)
        return execve_operation(program, args, self.process.env, identity.home)


def become(work: ChildWork, channel: socket.socket, descriptors: Mapping[str, int]) -> NoReturn:
    """Carry out a child's work, park, and execve; what fails is told to the parent.

    Nothing of the parent's may run here: no handler, no clean-up, no flush of its buffers.
    """
    try:
        _carry_out(work, channel, descriptors)
    finally:
        os._exit(1)


def _carry_out(work: ChildWork, channel: socket.socket, descriptors: Mapping[str, int]) -> None:
    gc.disable()
    reset_signals()
    hands = Hands({**descriptors, CHANNEL: channel.fileno()})
    journal: Journal = []
    identity: Identity | None = None
    # While /proc is still the host's: the pid that others know.
    pid = int(os.readlink("/proc/self")) if work.start_hooks else 0
    try:
        execute(work.plan, hands, journal)
        identity = _identity(work, hands.get(ROOT))
        execute(work.last_plan(identity), hands, journal)
        first = INIT_IN_CONTAINER if work.has_init else work.process.args[0]
        program = find_program(first, work.process.env)
    except Exception as error:
        failure = handshake.failure_of(error)
        handshake.send_report(
            channel, journal, identity=identity, program="", failure=failure, console=None
        )
        return
    console = hands.get(CONSOLE) if hands.holds(CONSOLE) else None
    handshake.send_report(
        channel, journal, identity=identity, program=program, failure=None, console=console
    )
    hands.release(CONSOLE)
    if hands.holds(GATE):
        channel = handshake.wait_at_gate(hands.give(GATE))
    if handshake.wait_for_release(channel):
        try:
            if work.start_hooks:
                hooks = hook_operations("startContainer", work.start_hooks, work.state, pid)
                execute((*hooks, *late_confinement(work.process)), hands, [])
            work.execve(identity, program).do(hands)
        except OperationFailed as error:
            handshake.send_failure(channel, handshake.failure_of(error))
        except OSError as error:
            failure = handshake.execve_failure(program, error)
            handshake.send_failure(channel, failure)
            _end_with(failure.message)


def _end_with(sentence: str) -> NoReturn:
    """End as a program does that says why on its standard error."""
    with suppress(OSError):
        os.write(2, f"{sentence}\n".encode(errors="surrogateescape"))
    os._exit(EXIT_NOT_EXECUTED)


def _identity(work: ChildWork, root: int) -> Identity:
    """Who the program runs as. Raises: AccountNotFound."""
    if work.user is not None:
        return accounts.resolve(root, work.user, work.group_add)
    user = work.process.user
    return Identity(
        uid=user.uid,
        gid=user.gid,
        groups=user.additional_gids,
        home=accounts.home_of(root, user.uid),
    )
