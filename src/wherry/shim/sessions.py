"""The sessions of one container: its init and the commands that joined it.

A session is known by its name from the first client on, by its pid while its process lives, and
by its name again from the process's end until a daemon has taken note of it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from wherry.kit.event_loop import EventLoop
from wherry.logs.sinks import LogSink
from wherry.shim.protocol import INIT, Ending, Refused
from wherry.shim.session import Session


class Sessions:
    """Sessions by their names and by the pids of their processes, whose pidfds are theirs."""

    def __init__(
        self,
        loop: EventLoop,
        *,
        closes_stdin_after_first: bool,
        on_idle: Callable[[], None],
    ) -> None:
        """`closes_stdin_after_first` is init's; `on_idle` is called when a client has gone."""
        self._loop = loop
        self._closes_stdin_after_first = closes_stdin_after_first
        self._on_idle = on_idle
        self._by_name: dict[str, Session] = {}
        self._by_pid: dict[int, Session] = {}
        self._pidfds: dict[str, int] = {}
        self._groups: dict[str, str] = {}

    # -- their lives -------------------------------------------------------------------------

    def open_init(self, sink: LogSink) -> Session:
        """Init's, which is found under its name once its process was adopted."""
        return self._made(INIT, sink)

    def open(self, name: str) -> Session:
        """A command's, made at first use. Raises: Refused, for an init that is not there."""
        session = self._by_name.get(name)
        if session is None:
            if name == INIT:
                raise Refused("gone", "the container has no process")
            session = self._by_name[name] = self._made(name, None)
        return session

    def adopt(self, session: Session, pid: int, pidfd: int) -> None:
        """A session has got its process; the descriptor is ours now."""
        session.pid = pid
        self._by_name[session.name] = session
        self._by_pid[pid] = session
        self._pidfds[session.name] = pidfd
        session.begin()

    def keep_group(self, name: str, directory: str) -> None:
        """A session has a cgroup of its own."""
        self._groups[name] = directory

    def reaped(self) -> Iterator[tuple[Session, int]]:
        """Take every child that has ended, also orphans: the sessions of ours, with exit codes."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            session = self._by_pid.pop(pid, None)
            if session is not None:
                yield session, _exit_code(status)

    def close_process(self, session: Session) -> None:
        """Its process is gone: its pidfd too, and its cgroup unless something there goes on."""
        os.close(self._pidfds.pop(session.name))
        self._leave_group(session.name)

    def forget(self, session: Session) -> None:
        """As if it had never been asked for."""
        session.abandon()
        self._leave_group(session.name)
        self._by_name.pop(session.name, None)

    def abandon(self) -> None:
        """Forget all: there is no container any more."""
        for session in tuple(self._by_name.values()):
            self._by_pid.pop(session.pid, None)
            session.is_alive = False
            session.abandon()
        self._by_name.clear()

    # -- asking ------------------------------------------------------------------------------

    @property
    def init(self) -> Session | None:
        """Init's, from its making on."""
        return self._by_name.get(INIT)

    def find(self, name: str) -> Session | None:
        """The one of a name."""
        return self._by_name.get(name)

    def group_of(self, name: str) -> str | None:
        """The cgroup that a session has for itself."""
        return self._groups.get(name)

    @property
    def is_init_alone(self) -> bool:
        """Whether nothing but init is spoken with, and nothing with it."""
        init = self.init
        return len(self._by_name) == 1 and init is not None and init.is_alive and init.is_quiet

    @property
    def have_clients(self) -> bool:
        """Whether somebody still has output to be sent."""
        return any(session.clients for session in self._by_name.values())

    def endings(self) -> dict[str, Ending]:
        """Of the commands that ended and were not collected."""
        return {
            name: session.ending
            for name, session in self._by_name.items()
            if name != INIT and session.ending is not None
        }

    def running(self) -> dict[str, int]:
        """The commands that run, with their pids."""
        return {
            name: session.pid
            for name, session in self._by_name.items()
            if name != INIT and session.is_alive
        }

    # -- small steps -------------------------------------------------------------------------

    def _made(self, name: str, sink: LogSink | None) -> Session:
        return Session(
            self._loop,
            name=name,
            sink=sink,
            closes_stdin_after_first=name != INIT or self._closes_stdin_after_first,
            on_idle=self._on_idle,
        )

    def _leave_group(self, name: str) -> None:
        group = self._groups.pop(name, None)
        if group is not None:
            with suppress(OSError):
                os.rmdir(group)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
