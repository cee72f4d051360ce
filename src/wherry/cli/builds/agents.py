"""SSH agents for RUN: one that listens already, or one of our own for keys that are files.

A step's connections are joined to the agent's socket. A key stays where it is: OpenSSH's own
agent has it in memory, for as long as the build runs.
"""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from wherry.cli.failures import CommandFailed

_PATIENCE_S = 10.0


class Agents:
    """The agents of one build, by their ids, while the block runs."""

    def __init__(self, given: Sequence[str]) -> None:
        """`given`: `default`, `ID`, `ID=SOCKET` or `ID=KEY[,KEY...]`."""
        self._given = given
        self._ending = ExitStack()
        self.sockets: dict[str, str] = {}

    def __enter__(self) -> "Agents":
        """Raises: CommandFailed."""
        with ExitStack() as undo:
            self._ending = undo
            for each in self._given:
                name, _equals, places = each.partition("=")
                self.sockets[name] = self._socket(each, places)
            self._ending = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.close()

    def _socket(self, given: str, places: str) -> str:
        paths = places.split(",") if places else [os.environ.get("SSH_AUTH_SOCK", "")]
        if not all(paths):
            raise CommandFailed(
                f"invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set ({given})"
            )
        kinds = [_is_socket(path) for path in paths]
        if kinds == [True]:
            return os.path.abspath(paths[0])
        if any(kinds):
            raise CommandFailed(f"only single socket allowed: {given}")
        return self._own_agent(paths)

    def _own_agent(self, keys: Sequence[str]) -> str:
        """The socket of an agent with some keys, which ends with the block."""
        place = tempfile.mkdtemp(prefix="wherry-agent-")
        self._ending.callback(shutil.rmtree, place, ignore_errors=True)
        socket = f"{place}/agent"
        agent = _started(["ssh-agent", "-D", "-a", socket])
        self._ending.callback(agent.wait)
        self._ending.callback(agent.terminate)
        _wait_for(socket, agent)
        added = subprocess.run(
            ["ssh-add", "-q", *keys],
            env={**os.environ, "SSH_AUTH_SOCK": socket},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if added.returncode:
            raise CommandFailed(f"failed to parse {','.join(keys)}: {added.stderr.strip()}")
        return socket


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError as problem:
        raise CommandFailed(f"could not open {path}: {problem.strerror}") from None


def _started(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        raise CommandFailed(f"--ssh with keys needs {command[0]} (openssh-client)") from None


def _wait_for(socket: str, agent: "subprocess.Popen[bytes]") -> None:
    import time

    deadline = time.monotonic() + _PATIENCE_S
    while not Path(socket).exists():
        if agent.poll() is not None or time.monotonic() > deadline:
            raise CommandFailed("ssh-agent did not start")
        time.sleep(0.01)
