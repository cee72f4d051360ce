#!/usr/bin/env python3
"""Wherry beside Debian's dockerd: the same requests to both, in turn, in one run.

Each engine has a private machine (tests/support/machine.py): namespaces and cgroups of its own,
the same ones for both. Samples are taken in turn (one of each, then the next of each), so that
a slow minute of the host falls on both; the table gives medians and their ratio.
"""

import argparse
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

import compositions  # noqa: E402
import networks  # noqa: E402
from builds import Builds  # noqa: E402
from files import Files  # noqa: E402
from transfers import Transfers  # noqa: E402

from support import http_over_unix  # noqa: E402
from support.daemon import BUSYBOX, Engine  # noqa: E402
from support.stock_engine import StockEngine  # noqa: E402
from support.waiting import wait_until  # noqa: E402
from wherry.kit.streams import Unframer  # noqa: E402

Samples = list[float]
PORT = 18080


class Session:
    """A kept-alive connection to one engine, and what is measured over it."""

    def __init__(self, engine: Engine, netload: Path) -> None:
        self.engine = engine
        self.netload = netload
        self._connection = http.client.HTTPConnection("localhost")
        self._used_at = -1.0

    def _freshen(self) -> None:
        """While the other engine was measured this one may have closed an idle connection."""
        if time.perf_counter() - self._used_at > 2 or self._connection.sock is None:
            self._connection.sock = http_over_unix.connect(self.engine.socket, timeout_s=300)
        self._used_at = time.perf_counter()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """One request; fails loudly. Raises: RuntimeError."""
        octets = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if octets else {}
        self._freshen()
        self._connection.request(method, self.engine.api_prefix + path, octets, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:300]!r}")
        if response.will_close:
            self._connection.sock = None
        self._used_at = time.perf_counter()
        return response.status, content

    def created(self, *command: str, health: object = None, **host: object) -> str:
        """A new container's id."""
        document = {
            "Image": BUSYBOX,
            "Cmd": list(command),
            "ExposedPorts": {"7000/tcp": {}} if "PortBindings" in host else {},
            "HostConfig": host,
            "Healthcheck": health,
        }
        return str(json.loads(self.call("POST", "/containers/create", document)[1])["Id"])

    def removed(self, container: str) -> None:
        """Remove a container, whatever its state."""
        self.call("DELETE", f"/containers/{container}?force=1")

    @contextlib.contextmanager
    def running(self, *command: str, **host: object) -> Iterator[str]:
        """A running container for a while."""
        container = self.created(*command, **host)
        self.call("POST", f"/containers/{container}/start")
        try:
            yield container
        finally:
            self.removed(container)

    # -- the measurements: each returns one sample -------------------------------------------

    def lifecycle_ms(self, network: str) -> float:
        """Create, start, wait for the end and remove, of `true`."""
        begun = time.perf_counter()
        container = self.created("true", NetworkMode=network)
        self.call("POST", f"/containers/{container}/start")
        code = json.loads(self.call("POST", f"/containers/{container}/wait")[1])["StatusCode"]
        self.call("DELETE", f"/containers/{container}")
        took = time.perf_counter() - begun
        assert code == 0
        return took * 1000

    def docker_run_ms(self) -> float:
        """The stock command line from its start to its end."""
        begun = time.perf_counter()
        self.engine.docker_ok("run", "--rm", "busybox", "true")
        return (time.perf_counter() - begun) * 1000

    def docker_ps_ms(self, count: int) -> float:
        """Milliseconds of the stock client's `ps -a`."""
        begun = time.perf_counter()
        listed = self.engine.docker_ok("ps", "-a", "-q")
        took_ms = (time.perf_counter() - begun) * 1e3
        assert len(listed.split()) == count
        return took_ms

    def exec_ms(self, container: str) -> float:
        """Create, start (waiting for its output to end) and inspect of an exec session."""
        begun = time.perf_counter()
        wanted = {"Cmd": ["true"], "AttachStdout": True}
        made = json.loads(self.call("POST", f"/containers/{container}/exec", wanted)[1])["Id"]
        started = self.engine.api("POST", f"/exec/{made}/start", {"Detach": False})
        assert started.status == 200, started
        seen = json.loads(self.call("GET", f"/exec/{made}/json")[1])
        took = time.perf_counter() - begun
        assert seen["ExitCode"] == 0
        return took * 1000

    def start_ms(self) -> float:
        """The answer to a start alone, of a container that is there already."""
        container = self.created("sleep", "3600")
        begun = time.perf_counter()
        self.call("POST", f"/containers/{container}/start")
        took = time.perf_counter() - begun
        self.removed(container)
        return took * 1000

    def sequence_s(self, count: int) -> float:
        """Create and start of so many containers, one after the other."""
        made = []
        begun = time.perf_counter()
        try:
            for _ in range(count):
                made.append(self.created("sleep", "3600"))
                self.call("POST", f"/containers/{made[-1]}/start")
            return time.perf_counter() - begun
        finally:
            for each in made:
                self.removed(each)

    def written(self, payload: Path) -> tuple[str, float]:
        """A container that wrote a file to its log, and how fast: MB/s from start to end."""
        # dockerd 20.10 has no limit unless told so, and does not read its own "-1".
        limits = {} if isinstance(self.engine, StockEngine) else {"max-size": "-1"}
        unbounded = {"Type": "json-file", "Config": limits}
        container = self.created(
            "cat", "/payload", Binds=[f"{payload}:/payload:ro"], LogConfig=unbounded
        )
        begun = time.perf_counter()
        self.call("POST", f"/containers/{container}/start")
        self.call("POST", f"/containers/{container}/wait")
        took = time.perf_counter() - begun
        return container, payload.stat().st_size / took / 1e6

    def read_back(self, container: str, payload: Path) -> float:
        """How fast a log is read whole, MB/s; every byte of it must come."""
        target = f"{self.engine.api_prefix}/containers/{container}/logs?stdout=1&stderr=1"
        self._freshen()
        begun = time.perf_counter()
        self._connection.request("GET", target)
        response = self._connection.getresponse()
        content = response.read()
        took = time.perf_counter() - begun
        self._used_at = -1.0
        whole = b"".join(text for _stream, text in Unframer().feed(content))
        lost = payload.stat().st_size - len(whole)
        if lost or whole != payload.read_bytes():
            raise RuntimeError(f"{lost} bytes of the log are missing, or it is another text")
        return payload.stat().st_size / took / 1e6

    def streamed(self, payload: Path) -> float:
        """How fast the stock command line shows what a container writes, MB/s."""
        command = ["docker", "run", "--rm", "--log-driver", "none"]
        command += ["-v", f"{payload}:/payload:ro", "busybox", "cat", "/payload"]
        begun = time.perf_counter()
        with subprocess.Popen(
            command, env=self.engine.environment, stdout=subprocess.PIPE
        ) as running:
            assert running.stdout is not None
            seen = 0
            while chunk := running.stdout.read(1 << 20):
                seen += len(chunk)
        took = time.perf_counter() - begun
        if seen != payload.stat().st_size:
            raise RuntimeError(f"{payload.stat().st_size - seen} bytes did not come")
        return seen / took / 1e6

    def load(self, verb: str, amount: str) -> float:
        """What netload measures against the published port, from the engine's machine."""
        ran = self.engine.machine.run(
            str(self.netload), verb, "127.0.0.1", str(PORT), amount, timeout_s=120
        )
        if ran.returncode:
            raise RuntimeError(ran.stderr)
        return float(ran.stdout)

    def watching_percent(self, containers: Sequence[str], seconds: float) -> float:
        """What the daemon takes of one processor while all these stream their statistics."""
        with contextlib.ExitStack() as stack:
            for container in containers:
                client = stack.enter_context(
                    http_over_unix.connect(self.engine.socket, timeout_s=300)
                )
                target = f"{self.engine.api_prefix}/containers/{container}/stats"
                client.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
                threading.Thread(target=_drain, args=(client,), daemon=True).start()
            time.sleep(2)
            begun, before = time.perf_counter(), _processor_seconds(self.engine.pid)
            time.sleep(seconds)
            used = _processor_seconds(self.engine.pid) - before
            return 100 * used / (time.perf_counter() - begun)

    def probing_percent(self, seconds: float) -> float:
        """What all of the engine, and the probes that it starts, take of one processor."""
        begun, before = time.perf_counter(), self._seconds_of_all()
        time.sleep(seconds)
        used = self._seconds_of_all() - before
        return 100 * used / (time.perf_counter() - begun)

    def _seconds_of_all(self) -> float:
        """Of the engine's own processes, with what they have waited for."""
        total = 0.0
        for pid in self._own_processes():
            with contextlib.suppress(OSError):
                total += _processor_seconds(pid, with_children=True)
        return total

    def _own_processes(self) -> Iterator[int]:
        """Those of the engine, not of the containers."""
        for pid in self.engine.machine.processes():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                levels = next(x for x in status.splitlines() if x.startswith("NSpid:")).split()
                if len(levels) > 3:
                    continue  # in a container's pid namespace: payload
                if status.startswith("Name:\tnsenter\n"):
                    continue  # how we got the daemon into its machine
                yield pid

    def pss_mib(self) -> float:
        """Proportional memory of the engine's own processes, not of the containers'."""
        total = 0
        for pid in self._own_processes():
            with contextlib.suppress(OSError):
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += sum(int(x.split()[1]) for x in rollup.splitlines() if x[:4] == "Pss:")
        return total / 1024


class Row:
    """One line of the table."""

    def __init__(self, name: str, unit: str, goal: str) -> None:
        self.name, self.unit, self.goal = name, unit, goal
        self.ours: Samples = []
        self.theirs: Samples = []

    def text(self) -> str:
        """The line, or the part of it that could be measured."""
        if not self.ours:
            return f"{self.name:<44} failed"
        ours = statistics.median(self.ours)
        spread = f"{min(self.ours):.1f}..{max(self.ours):.1f}"
        if not self.theirs:
            return f"{self.name:<44} {'':>10} {ours:>10.1f} {'':>7}  {self.goal:<10} {spread}"
        theirs = statistics.median(self.theirs)
        ratio = ours / theirs if theirs else 0
        numbers = f"{theirs:>10.1f} {ours:>10.1f} {ratio:>7.2f}"
        return f"{self.name:<44} {numbers}  {self.goal:<10} {spread}"


class Bench:
    """The rows and the two engines."""

    def __init__(self, ours: Session, theirs: Session | None, *, quick: bool, scale: int) -> None:
        self.ours, self.theirs = ours, theirs
        self.quick, self.scale = quick, scale
        self.rows: list[Row] = []

    def sessions(self, row: Row) -> Iterator[tuple[Session, Samples]]:
        """Theirs and ours in turn, each with where its samples go."""
        if self.theirs is not None:
            yield self.theirs, row.theirs
        yield self.ours, row.ours

    def measure(
        self,
        name: str,
        unit: str,
        goal: str,
        times: int,
        sample: Callable[[Session], float],
    ) -> None:
        """Take samples in turn; one round first that does not count."""
        row = Row(f"{name} [{unit}]", unit, goal)
        self.rows.append(row)
        for number in range((max(3, times // 5) if self.quick else times) + 1):
            for session, samples in self.sessions(row):
                value = sample(session)
                if number:
                    samples.append(value)
        print(row.text(), flush=True)

    def run(self, only: Sequence[str]) -> None:
        """The groups of rows, or some; memory first, while the engines are fresh."""
        for name, group in self.groups().items():
            if not only or name in only:
                group()

    def groups(self) -> dict[str, Callable[[], None]]:
        """The groups by the names that `--only` takes."""
        return {
            "memory": self.memory,
            "lifecycles": self.lifecycles,
            "operations": self.operation_layer,
            "ports": self.published_port,
            "networks": self.networks,
            "sequence": self.sequence,
            "logs": self.logs,
            "latency": self.latency,
            "files": self.files,
            "registry": self.registry,
            "watching": self.watching,
            "health": self.health,
            "listing": self.listing,
            "runtimes": self.runtimes,
            "compose": self.compose,
            "builds": self.builds,
        }

    def compose(self) -> None:
        """Compose beside the original; the first column is Compose v2, not dockerd."""
        with tempfile.TemporaryDirectory(prefix="wherry-bench-compose-") as place:
            work = Path(place)
            compositions.write_files(work)
            ours, theirs = compositions.tools(work, self.ours.engine)
            ours.run_s("fifty.yaml", "up", "-d")
            for name, unit, goal, times, sample in compositions.ROWS:
                self._in_turn(
                    f"{name} [{unit}]",
                    unit,
                    goal,
                    times,
                    [
                        lambda of=sample: of(theirs),
                        lambda of=sample: of(ours),
                    ],
                )
            ours.run_s("fifty.yaml", "down", "-t", "0")
            if self.theirs is not None:
                _, peer = compositions.tools(work, self.theirs.engine)
                name = "up -d of 10, beside Compose v2 on dockerd [s]"
                self._in_turn(name, "s", "<= 0.4", 8, [peer.up_s, ours.up_s])

    def _in_turn(
        self, name: str, unit: str, goal: str, times: int, samples: Sequence[Callable[[], float]]
    ) -> None:
        """Two measurements in turn, theirs first; one round first that does not count."""
        row = Row(name, unit, goal)
        self.rows.append(row)
        for number in range((max(3, times // 5) if self.quick else times) + 1):
            for sample, values in zip(samples, (row.theirs, row.ours), strict=True):
                value = sample()
                if number:
                    values.append(value)
        print(row.text(), flush=True)

    def runtimes(self) -> None:
        """The runtime without an engine, beside others of its kind."""
        program = [sys.executable, str(Path(__file__).with_name("runtimes.py")), "--json"]
        program += ["--runs", "10" if self.quick else "40"]
        ran = subprocess.run(program, stdout=subprocess.PIPE, check=True)
        samples: dict[str, Samples] = json.loads(ran.stdout)
        for ours, goals in (("wherry-runtime", ("<= 3", "")), ("forked path", ("<= 0.6", ""))):
            for peer, goal in zip(("crun", "runc"), goals, strict=True):
                row = Row(f"a bundle run by {ours}, beside {peer} [ms]", "ms", goal)
                row.ours, row.theirs = samples[ours], samples.get(peer, [])
                self.rows.append(row)
                print(row.text(), flush=True)

    def files(self) -> None:
        """Copies into and out of a container, its changes, and an image of them."""
        with tempfile.TemporaryDirectory(prefix="wherry-bench-files-") as work:
            made = {
                session: Files(session, Path(work))
                for session in (self.theirs, self.ours)
                if session is not None
            }
            rows = (
                ("docker cp of 200 MB into a container", "s", "<= 1", 5, Files.copied_in_s),
                ("docker cp of 200 MB out of it", "s", "<= 1", 5, Files.copied_out_s),
                ("diff of 2,000 files", "ms", "<= 1", 20, Files.diff_ms),
                ("commit of 2,000 files + 50 MB", "s", "<= 0.7", 5, Files.commit_s),
            )
            for name, unit, goal, times, sample in rows:
                if sample is Files.diff_ms:
                    for files in made.values():
                        files.without_copy()
                self.measure(name, unit, goal, times, lambda session, of=sample: of(made[session]))
            for files in made.values():
                files.close()

    def builds(self) -> None:
        """Images from Dockerfiles, by the classic door."""
        made = {
            session: Builds(session) for session in (self.theirs, self.ours) if session is not None
        }
        rows = (
            ("build of 20 cached steps", "<= 1", 10, Builds.cached_s),
            ("build of 20 steps, 5 of them RUN", "<= 0.6", 5, Builds.mixed_s),
            ("build of 10 RUN", "<= 0.5", 5, Builds.ran_s),
            ("build that copies 5,000 files", "<= 0.3", 5, Builds.copied_s),
            ("build that has copied 5,000 files", "<= 0.4", 5, Builds.copied_cached_s),
        )
        for name, goal, times, sample in rows:
            self.measure(name, "s", goal, times, lambda session, of=sample: of(made[session]))
        for builds in made.values():
            builds.close()

    def registry(self) -> None:
        """Images to and from a registry and archives."""
        with contextlib.ExitStack() as stack:
            work = stack.enter_context(tempfile.TemporaryDirectory(prefix="wherry-bench-images-"))
            made = {
                session: stack.enter_context(Transfers.beside(session, Path(work)))
                for session in (self.theirs, self.ours)
                if session is not None
            }
            rows = (
                ("a pull's memory, above idle", "MiB", "<= 64 MiB", 3, Transfers.pull_mib),
                ("pull of a 120 MB image from loopback", "s", "<= 0.4", 5, Transfers.pull_s),
                ("push of a 120 MB image to loopback", "s", "<= 0.5", 5, Transfers.push_s),
                ("load with a new layer of 120 MB", "s", "<= 0.5", 5, Transfers.load_s),
                ("save of a 120 MB image", "s", "<= 1", 5, Transfers.save_s),
                ("first container from 20 fresh layers", "ms", "<= 1", 10, Transfers.first_ms),
            )
            for name, unit, goal, times, sample in rows:
                self.measure(name, unit, goal, times, lambda session, of=sample: of(made[session]))
            ours = made[self.ours]
            row = Row("extraction of 20,000 files, beside GNU tar [s]", "s", "<= 1.2")
            self.rows.append(row)
            for _ in range(5):
                row.theirs.append(ours.tar_s())
                row.ours.append(ours.extraction_s())
            print(row.text(), flush=True)

    def sequence(self) -> None:
        """Many containers, one after the other."""
        count = min(self.scale, 20) if self.quick else self.scale
        row = Row(f"{count} created and started in sequence [s]", "s", "<= 0.25")
        self.rows.append(row)
        for session, samples in self.sessions(row):
            samples.append(session.sequence_s(count))
        print(row.text(), flush=True)

    def listing(self) -> None:
        """`docker ps -a` beside many containers that don't run."""
        count = 50 if self.quick else 500
        row = Row(f"docker ps -a of {count} stopped containers [ms]", "ms", "<= 1")
        self.rows.append(row)
        for session, samples in self.sessions(row):
            made = [session.created("true") for _ in range(count)]
            samples += [session.docker_ps_ms(count) for _ in range(10)]
            for container in made:
                session.removed(container)
        print(row.text(), flush=True)

    def logs(self) -> None:
        """What a container writes: into its log, out of it, and through the command line."""
        with tempfile.NamedTemporaryFile(prefix="wherry-payload-") as file:
            payload = Path(file.name)
            payload.chmod(0o644)
            line = b"2026-01-01 GET /some/where?with=words 200 0.0013 the-quick-brown-fox/1.0\n"
            payload.write_bytes(line * ((16 if self.quick else 96) * 10**6 // len(line)))
            written = Row("stdout to json-file [MB/s]", "MB/s", ">= 2")
            back = Row("json-file read back, 0 bytes lost [MB/s]", "MB/s", ">= 3")
            self.rows += [written, back]
            for _ in range(3):
                for session, samples in self.sessions(written):
                    container, speed = session.written(payload)
                    samples.append(speed)
                    others = back.ours if samples is written.ours else back.theirs
                    others.append(session.read_back(container, payload))
                    session.removed(container)
            print(written.text(), back.text(), sep="\n", flush=True)
            self.measure("stdout to the command line", "MB/s", ">= 3", 3,
                         lambda session: session.streamed(payload))  # fmt: skip

    def latency(self) -> None:
        """How long a start takes beside containers that do nothing. Ours alone."""
        counts = (0, 20, 50) if self.quick else (0, 100, 500)
        with contextlib.ExitStack() as stack:
            running, first = 0, 0.0
            for count in counts:
                while running < count:
                    stack.enter_context(self.ours.running("sleep", "3600"))
                    running += 1
                goal = "" if not count else f"<= {first * 1.2:.1f}"
                row = Row(f"start beside {count} containers [ms]", "ms", goal)
                self.ours.start_ms()
                row.ours = [self.ours.start_ms() for _ in range(20)]
                first = first or statistics.median(row.ours)
                self.rows.append(row)
                print(row.text(), flush=True)

    def watching(self) -> None:
        """What it costs the engine that every container is watched."""
        count = min(self.scale, 20) if self.quick else self.scale
        row = Row(f"stats of {count} containers, streamed [% of a core]", "%", "<= 5 %")
        self.rows.append(row)
        for session, samples in self.sessions(row):
            with contextlib.ExitStack() as stack:
                made = [
                    stack.enter_context(session.running("sleep", "3600")) for _ in range(count)
                ]
                samples.append(session.watching_percent(made, seconds=5 if self.quick else 15))
        print(row.text(), flush=True)

    def health(self) -> None:
        """What it costs that every container is probed each five seconds."""
        count = min(self.scale, 20) if self.quick else self.scale
        row = Row(f"health checks of {count} containers, every 5 s [% of a core]", "%", "<= 20 %")
        self.rows.append(row)
        check = {"Test": ["CMD", "true"], "Interval": 5 * 10**9}
        for session, samples in self.sessions(row):
            made = [session.created("sleep", "3600", health=check) for _ in range(count)]
            for each in made:
                session.call("POST", f"/containers/{each}/start")
            time.sleep(6)
            samples.append(session.probing_percent(10 if self.quick else 30))
            for each in made:
                session.removed(each)
        print(row.text(), flush=True)

    def lifecycles(self) -> None:
        """Starts and execs."""
        for network in ("none", "bridge"):
            self.measure(
                f"create+start+wait+remove of true, {network}", "ms", "<= 0.25", 30,
                lambda session, network=network: session.lifecycle_ms(network),
            )  # fmt: skip
        self.measure("docker run --rm, end to end, bridge", "ms", "<= 0.4", 15,
                     lambda session: session.docker_run_ms())  # fmt: skip
        with contextlib.ExitStack() as stack:
            hosts = {
                session: stack.enter_context(session.running("sleep", "3600"))
                for session in (self.ours, self.theirs)
                if session is not None
            }
            self.measure("exec create+start+inspect", "ms", "<= 0.4", 30,
                         lambda session: session.exec_ms(hosts[session]))  # fmt: skip

    def published_port(self) -> None:
        """Bytes and connections from the host to 127.0.0.1:PORT."""
        bindings = {"7000/tcp": [{"HostPort": str(PORT)}]}
        with contextlib.ExitStack() as stack:
            for session in (self.ours, self.theirs):
                if session is not None:
                    bind = [f"{session.netload}:/netload:ro"]
                    command = ("/netload", "serve", "7000")
                    stack.enter_context(
                        session.running(*command, PortBindings=bindings, Binds=bind)
                    )
                    wait_until("the port answers", lambda session=session: _answers(session))
            self.measure("host to 127.0.0.1:PORT", "MB/s", ">= 1.5", 5,
                         lambda session: session.load("send", "1000"))  # fmt: skip
            self.measure("host to 127.0.0.1:PORT", "conn/s", ">= 2", 5,
                         lambda session: session.load("connect", "1"))  # fmt: skip

    def networks(self) -> None:
        """Networks made and started on, what is between their containers, and many of them."""
        self.measure("network create", "ms", "<= 0.3", 20, networks.create_ms)
        self.measure("network rm", "ms", "<= 0.1", 20, networks.remove_ms)
        with contextlib.ExitStack() as stack:
            pairs = {
                session: stack.enter_context(networks.pair(session))
                for session in (self.theirs, self.ours)
                if session is not None
            }
            for network in ("none", networks.NETWORK):
                name = f"start, network {network}"
                self.measure(
                    name,
                    "ms",
                    "<= 1.25 none",
                    20,
                    lambda session, on=network: networks.start_ms(session, on),
                )
            for unit, *load in (("MB/s", "send", "2000"), ("conn/s", "connect", "1")):
                self.measure(
                    "container to container",
                    unit,
                    ">= 1",
                    7,
                    lambda session, load=load: pairs[session].load(*load),
                )
            for unit, which, goal in (("1/s", 0, ">= 1"), ("p99 us", 1, "<= 1")):
                self.measure(
                    "look-ups of a name",
                    unit,
                    goal,
                    7,
                    lambda session, at=which: pairs[session].look_ups("1")[at],
                )
        few, many = (20, 100) if self.quick else (200, 1000)
        with networks.crowd(self.ours, networks=few, endpoints=many) as table:
            row = Row(f"rule update, {few} networks, {many} endpoints [us]", "us", "<= 10 ms")
            self.rows.append(row)
            row.ours += [networks.rule_update_us(self.ours, table) for _ in range(5)]
            print(row.text(), flush=True)

    def memory(self) -> None:
        """Memory of an engine that does nothing, and what each container adds."""
        count = min(self.scale, 20) if self.quick else self.scale
        idle = Row("engine PSS, idle [MiB]", "MiB", "<= 60 MiB")
        each = Row(f"engine PSS per container, at {count} [MiB]", "MiB", "<= 1.8 MiB")
        self.rows += [idle, each]
        for session, samples in self.sessions(idle):
            samples.append(session.pss_mib())
            with contextlib.ExitStack() as stack:
                for _ in range(count):
                    stack.enter_context(session.running("sleep", "3600"))
                grown = session.pss_mib() - samples[0]
            (each.ours if samples is idle.ours else each.theirs).append(grown / count)
        print(idle.text(), each.text(), sep="\n", flush=True)

    def operation_layer(self) -> None:
        """What naming, timing and keeping operations costs, as part of a start."""
        starts = next((row for row in self.rows if "remove of true, bridge" in row.name), None)
        if starts is None:
            self.lifecycles()
            starts = next(row for row in self.rows if "remove of true, bridge" in row.name)
        with self.ours.running("sleep", "3600") as container:
            target = f"/wherry/containers/{container}/explain?format=json"
            count = _count_operations(json.loads(self.ours.engine.api("GET", target).body))
        row = Row(f"operation layer, {count} operations [% of a start]", "%", "<= 5 %")
        start_ns = statistics.median(starts.ours) * 1e6
        row.ours = [100 * count * cost / start_ns for cost in _executor_costs_ns()]
        self.rows.append(row)
        print(row.text(), flush=True)


def _drain(client: socket.socket) -> None:
    """Read until there is no more."""
    with contextlib.suppress(OSError):
        while client.recv(1 << 16):
            pass


def _processor_seconds(pid: int, *, with_children: bool = False) -> float:
    """User and system time of a process so far, and of ended children (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(each) for each in fields[11 : 15 if with_children else 13])
    return ticks / os.sysconf("SC_CLK_TCK")


def _answers(session: Session) -> bool:
    with contextlib.suppress(RuntimeError):
        session.load("connect", "0.01")
        return True
    return False


def _count_operations(document: object) -> int:
    """How many journal entries a document holds, wherever it keeps them."""
    if isinstance(document, dict):
        return ("kind" in document and "why" in document) + sum(
            _count_operations(each) for each in document.values()
        )
    return sum(map(_count_operations, document)) if isinstance(document, list) else 0


def _executor_costs_ns() -> Samples:
    """What the executor and the journal add to one operation that itself does nothing."""
    from wherry.operations import plan
    from wherry.operations.journal import to_json

    class Nothing(plan.Operation):
        """Changes nothing at all."""

        kind = "nothing"

        def do(self, hands: plan.Hands) -> plan.Evidence:
            return {}

    costs = []
    for _ in range(20):
        begun = time.perf_counter_ns()
        journal: plan.Journal = []
        plan.execute((Nothing(why="to see what it costs"),) * 200, plan.Hands(), journal)
        json.dumps(to_json(journal))
        costs.append((time.perf_counter_ns() - begun) / 200)
    return costs


@contextlib.contextmanager
def _started(engine: Engine) -> Iterator[Engine]:
    try:
        engine.start()
        engine.bootstrap()
        yield engine
    finally:
        engine.close()


def _describe(engine: Engine) -> str:
    version = engine.api("GET", "/version").json
    return f"{version['Version']} (API {version['ApiVersion']})"


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer samples and containers")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument("--scale", type=int, default=100, help="containers for the memory rows")
    parser.add_argument(
        "--only", action="append", default=[], help="one group of rows; may be repeated"
    )
    parser.add_argument("--json", help="also write all samples to this file")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wherry-bench-")))
        work.chmod(0o755)
        netload = work / "netload"
        source = Path(__file__).with_name("netload.c")
        subprocess.run(["gcc", "-O2", "-static", "-o", netload, source], check=True)
        ours = stack.enter_context(_started(Engine()))
        theirs = None if options.alone else stack.enter_context(_started(StockEngine()))
        print(f"wherry {_describe(ours)}", end="")
        print(f" beside dockerd {_describe(theirs)}" if theirs else "", end="")
        load = os.getloadavg()[0]
        print(f"; {os.cpu_count()} processors, load {load:.2f}, kernel {os.uname().release}")
        print(f"{'':<44} {'dockerd':>10} {'wherry':>10} {'ratio':>7}  {'goal':<10} spread of ours")
        bench = Bench(
            Session(ours, netload),
            Session(theirs, netload) if theirs else None,
            quick=options.quick,
            scale=options.scale,
        )
        unknown = sorted(set(options.only) - bench.groups().keys())
        if unknown:
            parser.error(f"--only {unknown[0]}: choose from {', '.join(bench.groups())}")
        bench.run(options.only)
        print(f"load at the end {os.getloadavg()[0]:.2f}")
        if options.json:
            rows = [{"name": x.name, "ours": x.ours, "theirs": x.theirs} for x in bench.rows]
            Path(options.json).write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
