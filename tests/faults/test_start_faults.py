"""A start that fails at any step leaves nothing, and can be tried again.

The tracer denies the N-th call of a name to the spawner and all that it forks; that is every
step of the container's own set-up, without a line of test code in the engine.
"""

import os
import threading
from collections import Counter

import pytest

from support.census import Census
from support.daemon import Engine
from support.tracing import traced
from support.waiting import wait_until
from wherry.runtime.child import EXIT_NOT_EXECUTED

pytestmark = pytest.mark.timeout(60)

DENIED = (
    "clone3", "clone", "unshare", "setns", "fsopen", "fsconfig", "fsmount", "open_tree",
    "move_mount", "mount_setattr", "mount", "umount2", "pivot_root", "mkdir", "mkdirat",
    "mknodat", "symlinkat", "sethostname", "capset", "setresuid", "setresgid", "setgroups",
    "prlimit64", "seccomp", "chdir", "fchdir", "openat2", "bind", "execve",
)  # fmt: skip
FLAGS = ("--name", "tried", "-p", "8080:80", "-m", "64m", "-u", "1000:1000", "-h", "boxy")


@pytest.fixture
def nothing(engine: Engine) -> Census:
    """What there is when there is no container."""
    engine.remove_all_containers()
    revive_spawner(engine)
    return engine.settled_census()


def revive_spawner(engine: Engine) -> None:
    """A spawner that was killed comes back with the next start.

    The client of `run --rm` is told of the exit, not of the removal that follows it.
    """
    revived = engine.docker_ok("run", "-d", "--rm", "busybox", "true")
    target = f"/containers/{revived}/json"
    wait_until("it is removed", lambda: engine.api("GET", target).status == 404)


@pytest.mark.parametrize("call", DENIED)
def test_denied_calls_of_the_spawner(engine: Engine, nothing: Census, call: str) -> None:
    """Each call of a start is denied in turn: first, middle, last."""
    count = calls_in_a_start(engine, call)
    for number in sorted({1, (count + 1) // 2, count} - {0}):
        start_with_denial(engine, nothing, engine.spawners(), call, number)


@pytest.mark.parametrize("call", ["mkdir", "rename", "fdatasync", "fsync", "unlink"])
def test_denied_calls_of_the_daemon(engine: Engine, nothing: Census, call: str) -> None:
    """The daemon's own files and database fail: the start fails, and later works."""
    for number in (1, 2, 3):
        start_with_denial(engine, nothing, [engine.pid], call, number)


def start_with_denial(
    engine: Engine, nothing: Census, pids: list[int], call: str, number: int
) -> None:
    """Start with one denied call; then what is left, another start, and removal."""
    case = f"{call} number {number} of {pids} was denied"
    engine.docker_ok("create", *FLAGS, "busybox", "sleep", "1000")
    with traced(pids, (call,), "-e", f"inject={call}:error=EIO:when={number}"):
        answer = engine.api("POST", "/containers/tried/start", timeout_s=30)
    if answer.status == 204:  # a step that may fail, or was not reached: it runs without it
        state = engine.inspect("tried")["State"]
        is_unexecuted = call == "execve" and state["ExitCode"] == EXIT_NOT_EXECUTED
        assert state["Running"] or is_unexecuted, case
        engine.api("POST", "/containers/tried/kill")
        engine.api("POST", "/containers/tried/wait")
    else:
        assert answer.message, case
        state = engine.inspect("tried")["State"]
        assert (state["Running"], state["Pid"]) == (False, 0), case
    revive_spawner(engine)
    # The container is still there, and so are its files; of the kernel it has nothing.
    leaks = engine.leaks_since(nothing, besides="file")
    assert not leaks, f"{case}:\n" + "\n".join(leaks)
    again = engine.api("POST", "/containers/tried/start")
    assert again.status == 204, f"{case}: {again}"
    engine.remove_all_containers()
    leaks = engine.leaks_since(nothing)
    assert not leaks, f"{case}, after removal:\n" + "\n".join(leaks)


def calls_in_a_start(engine: Engine, call: str) -> int:
    """How often the busiest process of a start makes a call: the tracer counts per process."""
    engine.docker_ok("create", *FLAGS, "busybox", "sleep", "1000")
    with traced(engine.spawners(), (call,)) as trace:
        assert engine.api("POST", "/containers/tried/start").status == 204
        counts = Counter(each.pid for each in trace.calls())
    engine.remove_all_containers()
    return max(counts.values(), default=0)


def test_a_dead_spawner_is_replaced(engine: Engine) -> None:
    """When the spawner is killed, running containers stay and new ones start."""
    container = engine.docker_ok("run", "-d", *FLAGS, "busybox", "sleep", "1000")
    pid = engine.inspect(container)["State"]["Pid"]
    os.kill(engine.spawners()[0], 9)
    assert engine.docker_ok("run", "--rm", "busybox", "echo", "new") == "new"
    assert engine.inspect(container)["State"]["Pid"] == pid


@pytest.mark.parametrize("verb", ["start", "stop", "rm", "create", "exec"])
def test_the_daemon_dies_amid_a_verb(engine: Engine, nothing: Census, verb: str) -> None:
    """kill -9 while a verb is under way: afterwards the verb works and nothing is left over."""
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
        leaks = engine.leaks_since(nothing)
        assert not leaks, f"killed {delay_ms} ms into {verb}:\n" + "\n".join(leaks)
