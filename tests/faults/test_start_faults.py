"""A start that fails at any step leaves nothing, and can be tried again.

The tracer denies the N-th call of a name to the spawner and all that it forks; that is every
step of the container's own set-up, without a line of test code in the engine.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.tracing import traced

pytestmark = pytest.mark.timeout(60)

DENIED = (
    "clone3", "clone", "unshare", "setns", "fsopen", "fsconfig", "fsmount", "open_tree",
    "move_mount", "mount_setattr", "mount", "umount2", "pivot_root", "mkdir", "mkdirat",
    "mknodat", "symlinkat", "sethostname", "capset", "setresuid", "setresgid", "setgroups",
    "prlimit64", "seccomp", "chdir", "fchdir", "openat2", "bind", "execve",
)  # fmt: skip
FLAGS = ("--name", "tried", "-p", "8080:80", "-m", "64m", "-u", "1000:1000", "-h", "boxy")


@pytest.fixture
def container(engine: Engine) -> Iterator[str]:
    """A created container with a port, a limit and a user."""
    yield engine.docker_ok("create", *FLAGS, "busybox", "sleep", "1000")
    engine.remove_all_containers()


@pytest.mark.parametrize("call", DENIED)
def test_denied_calls_of_the_spawner(engine: Engine, container: str, call: str) -> None:
    """Each call of a start is denied in turn: first, middle, last."""
    count = calls_in_a_start(engine, call)
    before = engine.census()
    for number in sorted({1, (count + 1) // 2, count} - {0}):
        injection = f"inject={call}:error=EIO:when={number}"
        with traced([engine.process_named("spawner")], (call,), "-e", injection):
            answer = engine.api("POST", f"/containers/{container}/start", timeout_s=30)
        if answer.status == 204:  # a step that may fail: the container runs without it
            engine.api("POST", f"/containers/{container}/kill")
            engine.api("POST", f"/containers/{container}/wait")
        else:
            assert answer.message, answer
            state = engine.inspect(container)["State"]
            assert (state["Running"], state["Pid"]) == (False, 0)
        leaks = engine.leaks_since(before)
        assert not leaks, f"after {call} number {number} was denied:\n" + "\n".join(leaks)
    again = engine.api("POST", f"/containers/{container}/start")
    assert again.status == 204, again


def calls_in_a_start(engine: Engine, call: str) -> int:
    """How often the busiest process of a start makes a call: the tracer counts per process."""
    with traced([engine.process_named("spawner")], (call,)) as trace:
        assert engine.api("POST", "/containers/tried/start").status == 204
        counts = Counter(each.pid for each in trace.calls())
    engine.api("POST", "/containers/tried/kill")
    engine.api("POST", "/containers/tried/wait")
    return max(counts.values(), default=0)


@pytest.mark.parametrize("call", ["mkdir", "rename", "fdatasync", "fsync", "unlink"])
def test_denied_calls_of_the_daemon(engine: Engine, container: str, call: str) -> None:
    """The daemon's own files and database fail: the start fails, and later works."""
    before = engine.census()
    for number in (1, 2, 3):
        injection = f"inject={call}:error=EIO:when={number}"
        with traced([engine.pid], (call,), "-e", injection):
            answer = engine.api("POST", f"/containers/{container}/start", timeout_s=30)
        if answer.status == 204:
            engine.api("POST", f"/containers/{container}/kill")
            engine.api("POST", f"/containers/{container}/wait")
        leaks = engine.leaks_since(before)
        assert not leaks, f"after {call} number {number} was denied:\n" + "\n".join(leaks)
    assert engine.api("POST", f"/containers/{container}/start").status == 204


def test_a_dead_spawner_is_replaced(engine: Engine, container: str) -> None:
    """When the spawner is killed, running containers stay and new ones start."""
    assert engine.api("POST", f"/containers/{container}/start").status == 204
    pid = engine.inspect(container)["State"]["Pid"]
    os.kill(engine.process_named("spawner"), 9)
    assert engine.docker_ok("run", "--rm", "busybox", "echo", "new") == "new"
    assert engine.inspect(container)["State"]["Pid"] == pid


@pytest.mark.parametrize("verb", ["start", "stop", "rm", "create", "exec"])
def test_the_daemon_dies_amid_a_verb(engine: Engine, verb: str) -> None:
    """kill -9 while a verb is under way: afterwards the verb works and nothing is left over."""
    engine.remove_all_containers()
    before = engine.census()
    for delay_ms in (1, 3, 6, 10, 15, 25):
        engine.docker_ok("create", *FLAGS, "busybox", "sleep", "1000")
        if verb in ("stop", "exec", "rm"):
            engine.docker_ok("start", "tried")
        words = {
            "start": ("start", "tried"),
            "stop": ("stop", "-t", "0", "tried"),
            "rm": ("rm", "-f", "tried"),
            "create": ("create", "--name", "other", "busybox", "true"),
            "exec": ("exec", "tried", "true"),
        }[verb]
        client = threading.Thread(target=engine.docker, args=words)
        client.start()
        threading.Event().wait(0.03 + delay_ms / 1000)  # the client itself takes some 30 ms
        engine.kill9()
        client.join()
        engine.start()
        engine.docker("start", "tried")
        engine.remove_all_containers()
        leaks = engine.leaks_since(before)
        assert not leaks, f"killed {delay_ms} ms into {verb}:\n" + "\n".join(leaks)
