"""Commands that join a container that runs (exec).

One that can be ended has a cgroup of its own below the container's, by which all that it has
started is found.
"""

import os

from wherry.operations.plan import explain_error
from wherry.runtime.container import CreateFailed
from wherry.runtime.joining import JoinRequest
from wherry.shim.faces import Joined, Living, Runtime
from wherry.shim.filters import read_filter
from wherry.shim.protocol import ExecOrder, Refused
from wherry.shim.session import Session
from wherry.shim.sessions import Sessions

_GROUP_NAME_LENGTH = 16


class Commands:
    """Makes the processes of sessions that are not init's."""

    def __init__(self, runtime: Runtime, sessions: Sessions, *, are_born_inside: bool) -> None:
        """`are_born_inside`: this process has made the container, so that its later children are
        born in the container's pid namespace."""
        self._runtime = runtime
        self._sessions = sessions
        self._are_born_inside = are_born_inside

    def run(self, order: ExecOrder, init: Living, cgroups: tuple[str, ...]) -> int:
        """Run one more process beside init; its pid. Raises: Refused."""
        session = self._sessions.open(order.session)
        if session.pid:
            raise Refused("refused", "the session has been started")
        try:
            joined = self._joined(session, order, init, cgroups)
        except CreateFailed as error:
            self._sessions.forget(session)
            raise Refused(error.kind, error.message, error.program) from error
        except OSError as error:
            self._sessions.forget(session)
            raise Refused("step", explain_error(error)) from error
        if joined.console is not None:
            session.take_console(joined.console, opens_stdin=order.opens_stdin)
        self._sessions.adopt(session, joined.pid, joined.pidfd)
        return joined.pid

    def end(self, name: str) -> None:
        """Kill a command with all that it has started. Raises: Refused; OSError."""
        group = self._sessions.group_of(name)
        if group is None:
            raise Refused("gone", "no such session, or none that can be ended")
        self._runtime.kill_group(group)

    def _joined(
        self, session: Session, order: ExecOrder, init: Living, cgroups: tuple[str, ...]
    ) -> Joined:
        """Raises: CreateFailed; OSError."""
        if not self._are_born_inside:
            self._runtime.enter_pid_namespace(init)
            self._are_born_inside = True
        with session.given(
            terminal=order.process.terminal,
            opens_stdin=order.opens_stdin,
            outputs=session.attached_outputs(),
        ) as stdio:
            request = JoinRequest(
                process=order.process,
                user=order.user,
                group_add=order.group_add,
                seccomp_program=read_filter(order.seccomp_program),
                stdio=stdio,
            )
            return self._runtime.join(init, self._cgroups(order, cgroups), request)

    def _cgroups(self, order: ExecOrder, cgroups: tuple[str, ...]) -> tuple[str, ...]:
        """Where the process goes. Raises: OSError."""
        if not order.can_be_ended:
            return cgroups
        parent = self._runtime.group_parent(cgroups)
        group = f"{parent}/{order.session[:_GROUP_NAME_LENGTH]}"
        os.mkdir(group, 0o755)
        self._sessions.keep_group(order.session, group)
        return tuple(group if each == parent else each for each in cgroups)
