"""F01: the daemon is killed at every step of every verb, and nobody has to clean up after it.

A verb's steps are the system calls by which the daemon changes anything: names, what is durable,
what it asks of the kernel and of its shims. The tracer kills the daemon as it makes the N-th of a
kind. Then the daemon is started again: containers that ran run, the verb can be done, and when
what was made is removed nothing is left of it.

`make faults` tries every step of every verb; `make test` one each of a few.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from parity.test_managed_plugins import context as plugin_context
from support.census import Census
from support.crash_points import chosen
from support.daemon import Engine
from support.debian_registry import debian_registry
from support.image_archives import docker_archive
from support.mutants import Mutant, mutated_engine
from support.tar_archives import archive, member
from support.tracing import traced
from support.waiting import wait_until

pytestmark = [pytest.mark.stock_differs, pytest.mark.timeout(3600)]

CALLS = (
    "rename", "renameat2", "link", "linkat", "symlink", "unlink", "unlinkat", "mkdir", "mkdirat",
    "rmdir", "fsync", "fdatasync", "syncfs", "ftruncate", "pwrite64", "sendmsg", "sendto", "mount",
    "umount2", "connect", "pidfd_send_signal", "openat2", "ioctl",
)  # fmt: skip
WANTED = os.environ.get("WHERRY_FAULTS", "")
"""How many steps of each verb are tried, evenly: a number, or `whole`."""
POINTS = 1_000_000 if WANTED == "whole" else int(WANTED or 1)

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verb:
    """How to get there, what to do, how to see that it is done, and how to undo it all."""

    do: Words
    seen: Words
    shows: str
    """What `seen` then says; with a `!` in front: no more."""
    before: tuple[Words, ...] = ()
    after: tuple[Words, ...] = ()


RUN = ("run", "-d", "--name", "new", "-v", "new:/v", "-p", "8090:80", "--network", "web",
       "busybox", "sleep", "100000")  # fmt: skip
CREATE = ("create", *RUN[2:])
GONE: tuple[Words, ...] = (("rm", "-f", "new"), ("rm", "-f", "other"), ("volume", "rm", "new"))
PS: Words = ("ps", "-a", "--format", "{{.Names}} {{.Status}}.")
LS: Words = ("network", "ls", "--format", "{{.Name}}.")
VOLUMES: Words = ("volume", "ls", "--format", "{{.Name}}.")
IMAGES: Words = ("images", "--format", "{{.Repository}}.")
ENDPOINTS: Words = ("inspect", "-f", "{{range $k, $v := .NetworkSettings.Networks}}{{$k}}.{{end}}")


def verbs(place: Path) -> dict[str, Verb]:
    """Every verb that changes something; `place` has the files that they take."""
    unsaid = (("volume", "rm", "new"),)
    image = (("rm", "-f", "new"), ("rmi", "-f", "made:1"), ("image", "prune", "-f"),
             ("builder", "prune", "-af"))  # fmt: skip
    return {
        "create": Verb(CREATE, PS, "new Created", after=GONE),
        "start": Verb(("start", "new"), PS, "new Up", (CREATE,), GONE),
        "stop": Verb(("stop", "-t", "0", "new"), PS, "new Exited", (RUN,), GONE),
        "kill": Verb(("kill", "new"), PS, "new Exited", (RUN,), GONE),
        "restart": Verb(("restart", "-t", "0", "new"), PS, "new Up", (RUN,), GONE),
        "rm": Verb(("rm", "-f", "new"), PS, "!new", (RUN,), GONE),
        "rename": Verb(("rename", "new", "other"), PS, "other ", (CREATE,), GONE),
        "update": Verb(("update", "-m", "64m", "--memory-swap", "64m", "new"),
                       ("inspect", "-f", "{{.HostConfig.Memory}}", "new"), "67108864",
                       (RUN,), GONE),
        "pause": Verb(("pause", "new"), PS, "(Paused)", (RUN,), GONE),
        "exec": Verb(("exec", "new", "touch", "/done"), ("diff", "new"), "A /done", (RUN,), GONE),
        "cp": Verb(("cp", str(place / "file"), "new:/done"), ("diff", "new"), "A /done",
                   (RUN,), GONE),
        "commit": Verb(("commit", "new", "made:1"), IMAGES, "made.", (CREATE,), (*image, *GONE)),
        "tag": Verb(("tag", "busybox", "made:1"), IMAGES, "made.", after=image),
        "rmi": Verb(("rmi", "made:1"), IMAGES, "!made.", (("load", "-i", str(place / "tar")),),
                    image),
        "load": Verb(("load", "-i", str(place / "tar")), IMAGES, "made.", after=image),
        "import": Verb(("import", str(place / "tree"), "made:1"), IMAGES, "made.", after=image),
        "build": Verb(("build", "-q", "-t", "made:1", str(place / "context")), IMAGES, "made.",
                      after=image),
        "push": Verb(("push", "-q", "127.0.0.1:5040/base:1"),
                     ("pull", "-q", "127.0.0.1:5040/base:1"), "base:1"),
        "pull": Verb(("pull", "-q", "127.0.0.1:5040/pulled:1"), IMAGES, "pulled.",
                     after=(("rmi", "-f", "127.0.0.1:5040/pulled:1"),)),
        "volume create": Verb(("volume", "create", "new"), VOLUMES, "new.", after=unsaid),
        "volume rm": Verb(("volume", "rm", "new"), VOLUMES, "!new.",
                          (("volume", "create", "new"),), unsaid),
        "volume snapshot": Verb(
            ("volume", "snapshot", "--name", "one", "new"), ("volume", "snapshots", "new"), "one",
            (("volume", "create", "new"),), unsaid),
        "volume rollback": Verb(
            ("volume", "rollback", "new", "one"), ("volume", "snapshots", "new"), "one",
            (("volume", "create", "new"), ("volume", "snapshot", "--name", "one", "new")), unsaid),
        "network create": Verb(("network", "create", "new"), LS, "new.",
                               after=(("network", "rm", "new"),)),
        "network rm": Verb(("network", "rm", "new"), LS, "!new.", (("network", "create", "new"),),
                           (("network", "rm", "new"),)),
        "network connect": Verb(
            ("network", "connect", "more", "new"), (*ENDPOINTS, "new"), "more.",
            (("network", "create", "more"), RUN), (*GONE, ("network", "rm", "more"))),
        "way out": Verb(
            ("network", "connect", "--gw-priority", "9", "more", "new"), (*ENDPOINTS, "new"),
            "more.", (("network", "create", "more"), RUN), (*GONE, ("network", "rm", "more"))),
        "network disconnect": Verb(
            ("network", "disconnect", "web", "new"), (*ENDPOINTS, "new"), "!web.", (RUN,), GONE),
        "publish": Verb(("update", "--publish-add", "8091:81", "new"), ("port", "new"), "8091",
                        (RUN,), GONE),
        "unpublish": Verb(("update", "--publish-rm", "8090:80", "new"), ("port", "new"), "!8090",
                          (RUN,), GONE),
        "plugin enable": Verb(
            ("plugin", "enable", "keeper"), ("plugin", "ls", "--format", "{{.Enabled}}"), "true",
            (("plugin", "create", "keeper", str(place / "plugin")),),
            (("plugin", "rm", "-f", "keeper"),)),
        "prune": Verb(("system", "prune", "-f", "--volumes"), PS, "!new",
                      (CREATE, ("network", "create", "new")), (*GONE, ("network", "rm", "new"))),
    }  # fmt: skip


NAMES = tuple(verbs(Path("/"))) if WANTED else ("network connect",)
OWN = ("snapshot", "rollback", "snapshots", "--publish-add", "--publish-rm")
"""What only our client can say."""


class Bench:
    """An engine, what is always there, and how it looks when nothing else is."""

    def __init__(self, engine: Engine, place: Path) -> None:
        self.engine, self.verbs = engine, verbs(place)
        _write_files(place)
        self.say(("network", "create", "--subnet", "10.90.0.0/24", "web"))
        self.say(
            ("run", "-d", "--name", "witness", "--network", "web", "busybox", "sleep", "99999")
        )
        self.witness = self.engine.inspect("witness")["State"]["Pid"]
        for name in ("base", "pulled"):
            self.say(("tag", "busybox", f"127.0.0.1:5040/{name}:1"))
            self.say(("push", "-q", f"127.0.0.1:5040/{name}:1"))
        self.say(("rmi", "127.0.0.1:5040/pulled:1"))
        # What an engine makes once and keeps.
        for name in ("publish", "volume rollback", "plugin enable", "build"):
            self.get_there(self.verbs[name])
            self.say(self.verbs[name].do)
            self.undo(self.verbs[name])
        self.nothing: Census = engine.settled_census()

    def say(self, words: Words) -> str:
        """Type a command, however it ends; what is said."""
        run = self.engine.wherry if set(OWN) & set(words) else self.engine.docker
        ran = run(*words, timeout_s=120)
        return ran.stdout + ran.stderr

    def get_there(self, verb: Verb) -> None:
        """What the verb needs."""
        for words in verb.before:
            self.say(words)

    def undo(self, verb: Verb) -> None:
        """What was made goes."""
        for words in verb.after:
            self.say(words)

    def tidy(self) -> None:
        """An engine that runs, and has nothing of another verb that failed."""
        if not self.engine.is_running:
            self.engine.start()
        for verb in self.verbs.values():
            if self.engine.leaks_since(self.nothing, within_s=1):
                self.undo(verb)

    def is_done(self, verb: Verb) -> bool:
        """Whether the engine shows that it is."""
        said = self.say(verb.seen)
        if verb.shows.startswith("!"):
            return verb.shows[1:] not in said
        return verb.shows in said

    def steps(self, verb: Verb) -> dict[str, int]:
        """How often the busiest thread of the daemon makes each call: tracers count by thread."""
        self.get_there(verb)
        counts: Counter[tuple[str, int]] = Counter()
        with traced([self.engine.pid], [f"?{each}" for each in CALLS]) as trace:
            self.say(verb.do)
            counts.update((each.name, each.pid) for each in trace.calls())
        assert self.is_done(verb), verb.do
        self.undo(verb)
        found: dict[str, int] = {}
        for (name, _thread), count in counts.items():
            found[name] = max(found.get(name, 0), count)
        return found

    def killed_at(self, verb: Verb, call: str, number: int) -> bool:
        """Do it, and kill the daemon at one step; False when that step did not come."""
        self.get_there(verb)
        inject = f"inject={call}:signal=KILL:when={number}"
        client = threading.Thread(target=self.say, args=(verb.do,))
        with traced([self.engine.pid], (call,), "-e", inject):
            client.start()
            client.join()
            # What a client is told is not always the last step.
            time.sleep(0.05)
        return not self.engine.is_running

    def recover(self, verb: Verb, case: str) -> float:
        """Start it again, and look at everything; how long it took to answer."""
        began = time.monotonic()
        if not self.engine.is_running:
            self.engine.kill9()
            self.engine.start()
        ready_s = time.monotonic() - began
        witness = self.engine.inspect("witness")["State"]
        assert (witness["Running"], witness["Pid"]) == (True, self.witness), case
        said = self.say(verb.do)
        wait_until(f"{case}: done when repeated: {said}", lambda: self.is_done(verb))
        self.undo(verb)
        leaks = self.engine.leaks_since(self.nothing)
        assert not leaks, f"{case}:\n" + "\n".join(leaks)
        return ready_s


def _write_files(place: Path) -> None:
    (place / "file").write_text("content")
    layer = archive(member("made", b"content"))
    (place / "tar").write_bytes(docker_archive(layer, tags=("made:1",)))
    (place / "tree").write_bytes(layer)
    (place / "context").mkdir()
    (place / "context" / "Dockerfile").write_text("FROM busybox\nCOPY f /\nRUN echo 1 > /one\n")
    (place / "context" / "f").write_text("content")
    (place / "plugin").mkdir()
    plugin_context(place / "plugin")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One engine for all verbs, with a registry beside it."""
    made = Engine()
    try:
        made.start()
        made.bootstrap()
        with debian_registry(made, port=5040):
            yield Bench(made, tmp_path_factory.mktemp("crashes"))
    finally:
        made.close()


def points(steps: dict[str, int], most: int) -> list[tuple[str, int]]:
    """Call and number, of every step or of so many of them."""
    every = [(call, number) for call in sorted(steps) for number in range(1, steps[call] + 1)]
    return (
        [every[index - 1] for index in chosen(len(every), most)]
        if most > 1
        else every[len(every) // 2 : len(every) // 2 + 1]
    )


def kill_everywhere(bench: Bench, name: str, most: int) -> str:
    """Kill the daemon at so many steps of a verb; what came of it."""
    verb, killed, slowest_s = bench.verbs[name], 0, 0.0
    bench.tidy()
    steps = bench.steps(verb)
    tried = points(steps, most)
    for call, number in tried:
        killed += bench.killed_at(verb, call, number)
        slowest_s = max(slowest_s, bench.recover(verb, f"{name} killed at {call} {number}"))
    return (
        f"{name}: {killed} kills at {len(tried)} of {sum(steps.values())} steps, all recovered, "
        f"ready after {slowest_s:.1f} s at most"
    )


@pytest.mark.parametrize("name", NAMES)
def test_killed_at_every_step(bench: Bench, name: str) -> None:
    """After a kill at any step the witness lives, the verb can be done, and nothing is left."""
    print(kill_everywhere(bench, name, POINTS))


MUTANTS = (
    Mutant("a boot sweeps no snapshots", "engine/stock_taking.py",
           "        self._snapshots.sweep(living)\n", ""),
    Mutant("a boot sweeps no directories of containers", "engine/stock_taking.py",
           "remove_directory(self._paths.record_directory(stranger))", "pass"),
)  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: each.name)
def test_a_boot_that_leaves_something(mutant: Mutant, tmp_path: Path) -> None:
    """What a kill in the middle of `create` leaves is found when nobody sweeps it."""
    if not WANTED:
        return  # left to `make faults`
    with mutated_engine(mutant) as engine, debian_registry(engine, port=5040):
        bench = Bench(engine, tmp_path)
        with pytest.raises(AssertionError, match="left behind"):
            kill_everywhere(bench, "create", 40)
