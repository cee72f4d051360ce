"""A real wherryd in a private machine, and the clients that tests drive it with."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support import http_over_unix
from support.census import Census, difference, settled_difference, take
from support.http_over_unix import Answer
from support.machine import PrivateMachine
from support.waiting import PATIENCE, wait_until

_PREFIX = "wh-"
BUSYBOX = "busybox:latest"
Ran = subprocess.CompletedProcess[str]
OWN_CLI = (sys.executable, "-P", "-m", "wherry.programs.wherry", "--no-autostart")
"""Wherry's own client; it may not start another engine."""


class Engine:
    """One engine: its machine, its roots, its daemon, which may be dead and alive in turn."""

    program: Sequence[str] = (sys.executable, "-P", "-m", "wherry.programs.wherryd")
    api_prefix = "/v1.51"
    cli: Sequence[str] = OWN_CLI if os.environ.get("WHERRY_TEST_CLI") == "wherry" else ("docker",)
    """The client that tests type with: the stock one, or ours in its place."""

    def __init__(self, *flags: str, machine: PrivateMachine | None = None) -> None:
        self.machine = machine or PrivateMachine()
        # Short, because a Unix socket's path has 107 bytes and container ids are long.
        _remove_stale_roots()
        self.root = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self.root.chmod(0o711)
        self.socket = str(self.root / "w.sock")
        self.data_root = self.root / "data"
        self.exec_root = self.root / "exec"
        self.pid_file = self.root / "pid"
        self.log_file = self.root / "log"
        self._flags = flags
        self._entering: subprocess.Popen[bytes] | None = None
        (self.root / "docker-config").mkdir()
        live_engines.append(self)

    # -- the daemon ----------------------------------------------------------------------

    def start(
        self, *flags: str, prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        """Start wherryd and wait for its first answer.

        `prefix` is a command line to run it under, such as a tracer's.
        """
        command = self.machine.command(
            *prefix,
            *self.program,
            *("-H", f"unix://{self.socket}"),
            *("--data-root", str(self.data_root)),
            *("--exec-root", str(self.exec_root)),
            *("--pidfile", str(self.pid_file)),
            *self._flags,
            *flags,
        )
        with self.log_file.open("ab") as log:
            self._entering = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(environment or {})},
            )
        try:
            wait_until("wherryd answers /_ping", self._answers, within_s=20)
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{self.log_tail()}") from None

    def _answers(self) -> bool:
        if self._entering is None or self._entering.poll() is not None:
            raise AssertionError(f"wherryd ended at once\n{self.log_tail()}")
        try:
            return http_over_unix.request(self.socket, "GET", "/_ping", timeout_s=5).status == 200
        except OSError:
            return False

    @property
    def pid(self) -> int:
        """The daemon's pid as seen from outside its machine."""
        return self.machine.outside_pid(int(self.pid_file.read_text()))

    @property
    def is_running(self) -> bool:
        """Whether the daemon was started and has not ended."""
        return self._entering is not None and self._entering.poll() is None

    def kill9(self) -> None:
        """End the daemon as a power-hungry kernel would: with no time for a last word."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the daemon in order; containers stay."""
        self._end(signal.SIGTERM)

    def wait_for_end(self) -> None:
        """Somebody else ends the daemon."""
        assert self._entering is not None
        self._entering.wait(timeout=30)
        self._entering = None

    def _end(self, how: signal.Signals) -> None:
        assert self._entering is not None
        if self._entering.poll() is None:
            os.kill(self.pid, how)
        self._entering.wait(timeout=30)
        self._entering = None

    def restart(self) -> None:
        """Stop the daemon in order and start it again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End the daemon and everything else in its machine; leave no file."""
        self.leave_machine()
        self.machine.close()

    def leave_machine(self) -> None:
        """End the daemon and leave no file; its machine is another engine's too."""
        live_engines.remove(self)
        if self.is_running:
            self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def log_tail(self, lines: int = 60, *, since_byte: int = 0) -> str:
        """The end of the daemon's log."""
        if not self.log_file.exists():
            return ""
        text = self.log_file.read_bytes()[since_byte:].decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    # -- clients -------------------------------------------------------------------------

    @property
    def client_socket(self) -> str:
        """Where clients are told that the engine is (see support.course_mutants)."""
        return self.socket

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which the clients find this engine."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "WHERRY_"))}
        return {
            **kept,
            "DOCKER_HOST": f"unix://{self.client_socket}",
            "DOCKER_CONFIG": str(self.root / "docker-config"),
        }

    def docker(self, *arguments: str, stdin: str | None = None, timeout_s: float = 60) -> Ran:
        """Run the stock docker CLI against this engine, or ours in its place."""
        return self._client([*self.cli, *arguments], stdin, timeout_s)

    def wherry(self, *arguments: str, stdin: str | None = None, timeout_s: float = 60) -> Ran:
        """Run Wherry's own CLI against this engine."""
        return self._client([*OWN_CLI, *arguments], stdin, timeout_s)

    def _client(self, command: list[str], stdin: str | None, timeout_s: float) -> Ran:
        return subprocess.run(
            command,
            env=self.environment,
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s * PATIENCE,
            check=False,
        )

    def docker_ok(self, *arguments: str, stdin: str | None = None, timeout_s: float = 60) -> str:
        """What docker prints, without the last newline; an exit code other than 0 is a failure."""
        ran = self.docker(*arguments, stdin=stdin, timeout_s=timeout_s)
        assert ran.returncode == 0, f"docker {' '.join(arguments)}: {ran.returncode} {ran.stderr}"
        return ran.stdout.removesuffix("\n")

    def api(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30,
    ) -> Answer:
        """One request; a path that does not name a version is asked of the newest."""
        is_whole = path.startswith(("/v", "/_ping", "/wherry"))
        versioned = path if is_whole else self.api_prefix + path
        return http_over_unix.request(
            self.socket, method, versioned, body, headers=headers, timeout_s=timeout_s * PATIENCE
        )

    def inspect(self, container: str) -> Any:
        """The inspect document of a container."""
        answer = self.api("GET", f"/containers/{quote(container)}/json")
        assert answer.status == 200, answer.body
        return answer.json

    def create(self, *command: str, **config: object) -> str:
        """Create a busybox container by the API and return its id."""
        name = config.pop("name", None)
        target = "/containers/create" + (f"?name={name}" if name else "")
        answer = self.api("POST", target, {"Image": BUSYBOX, "Cmd": list(command), **config})
        assert answer.status == 201, answer.body
        return str(answer.json["Id"])

    def bootstrap(self, reference: str = "busybox") -> None:
        """Make a base image out of this machine's own packages."""
        target = f"/wherry/images/bootstrap?reference={quote(reference)}"
        answer = self.api("POST", target, timeout_s=600)
        is_made = answer.status == 200 and not any("error" in line for line in answer.lines)
        assert is_made, (answer.status, answer.body, self.log_tail())

    def remove_all_containers(self) -> None:
        """Remove what tests made, running or not."""
        for each in self.api("GET", "/containers/json?all=1").json:
            answer = self.api("DELETE", f"/containers/{each['Id']}?force=1&v=1")
            assert answer.status in (204, 404), (each["Names"], answer, self.log_tail())

    # -- the census ----------------------------------------------------------------------

    def census(self) -> Census:
        """What there is in the machine and in the engine's roots."""
        return take(
            self.machine,
            daemon_pid=self.pid if self.is_running else None,
            directories=(self.data_root, self.exec_root),
        )

    def settled_census(self) -> Census:
        """The census once two in a row agree: a baseline with nobody's work under way."""
        earlier = self.census()
        while True:
            time.sleep(0.1)
            later = self.census()
            if not difference(earlier, later):
                return later
            earlier = later

    def leaks_since(self, before: Census, *, within_s: float = 5, besides: str = "") -> list[str]:
        """What has come or gone since, once things have settled."""
        return settled_difference(before, self.census, within_s=within_s, besides=besides)

    # -- looking inside ------------------------------------------------------------------

    def container_pid(self, container: str) -> int:
        """A running container's first process, as seen from outside the machine."""
        return self.machine.outside_pid(int(self.inspect(container)["State"]["Pid"]))

    def process_named(self, word: str) -> int:
        """The one process of this machine with a word in its name or command line."""
        found = []
        for pid in self.machine.processes():
            with contextlib.suppress(OSError):
                name = Path(f"/proc/{pid}/comm").read_text()
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
                if word in name or word in command.replace("\0", " "):
                    found.append(pid)
        assert len(found) == 1, f"{len(found)} processes are called {word}"
        return found[0]

    def spawners(self) -> list[int]:
        """The spawner, and after it the pair of processes that waits for its next request."""
        parents = {}
        for pid in self.machine.processes():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"wherry-spawner\0"):
                    status = Path(f"/proc/{pid}/stat").read_text()
                    parents[pid] = int(status.rsplit(")", 1)[1].split()[1])
        assert parents, "there is no spawner"
        return sorted(parents, key=lambda pid: (parents[pid] in parents, pid))

    def events_since(self, since: float, **filters: list[str]) -> list[Any]:
        """Events from a time until now."""
        chosen = quote(json.dumps(filters))
        target = f"/events?since={since:.9f}&until={time.time():.9f}&filters={chosen}"
        return self.api("GET", target).lines


def _remove_stale_roots() -> None:
    """Remove what test runs left that were killed; the name says whose it was."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = path.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            shutil.rmtree(path, ignore_errors=True)


live_engines: list[Engine] = []
"""Engines whose logs are worth showing when a test fails."""
