"""Hooks of every kind, agents that answer system calls, and what a process is scheduled as."""

import array
import json
import os
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.containers import Box
from support.daemon import Engine
from wherry.linux import apparmor
from wherry.oci.runtime_spec import (
    Hook,
    Hooks,
    IoPriority,
    Personality,
    Scheduler,
    Seccomp,
    SeccompRule,
)
from wherry.operations.plan import Hands
from wherry.operations.processes.hooks import RunHook
from wherry.runtime.attending import run_hooks

pytestmark = pytest.mark.kernel


def _hook(note: Path, *, moment: str) -> Hook:
    """A hook that writes down its moment, its namespace, and the state that it is told."""
    script = f'echo {moment} $(readlink /proc/self/ns/mnt) "$(cat)" >> {note}'
    return Hook(path="/bin/sh", args=("sh", "-c", script), env=("PATH=/bin:/usr/bin",))


def test_each_kind_has_its_moment(box: Box, tmp_path: Path) -> None:
    """In order, in the right namespaces, with the state on standard input."""
    note = tmp_path / "note"
    inside = Hook(
        path="/bin/sh", args=("sh", "-c", "cat > /inside"), env=("PATH=/bin",), timeout_s=10
    )
    box.spec = replace(
        box.spec,
        hooks=Hooks(
            prestart=(_hook(note, moment="prestart"),),
            create_runtime=(_hook(note, moment="createRuntime"),),
            create_container=(_hook(note, moment="createContainer"),),
            start_container=(inside,),
        ),
        annotations={"a": "b"},
    )
    outcome = box.runs("sh", "-c", "cat /inside; echo; ls /proc | grep -c '^[0-9]'")
    assert outcome.failure is None
    lines = [line.split(" ", 2) for line in note.read_text().splitlines()]
    assert [line[0] for line in lines] == ["prestart", "createRuntime", "createContainer"]
    own = os.readlink("/proc/self/ns/mnt")
    assert [line[1] == own for line in lines] == [True, True, False]
    states = [json.loads(line[2]) for line in lines]
    told = json.loads(outcome.output.splitlines()[0])
    assert [each["status"] for each in (*states, told)] == ["creating"] * 3 + ["created"]
    assert len({each["pid"] for each in (*states, told)}) == 1
    assert told["pid"] > 1
    assert (told["id"], told["annotations"]) == (box.name, {"a": "b"})


@pytest.mark.parametrize("moment", ["prestart", "create_runtime", "create_container"])
def test_a_hook_that_fails_stops_the_start(box: Box, moment: str) -> None:
    """The error names the hook and has its words; nothing is left."""
    failing = Hook(path="/bin/sh", args=("sh", "-c", "echo why >&2; exit 5"))
    box.spec = replace(box.spec, hooks=Hooks(**{moment: (failing,)}))
    outcome = box.runs("true")
    assert outcome.failure is not None
    assert "hook /bin/sh: error running hook: exit status 5" in outcome.failure[1]
    assert "stderr: why" in outcome.failure[1]
    assert outcome.left == []


def test_a_hook_in_the_container_that_fails(box: Box) -> None:
    """The program does not run, and `start` says why."""
    box.spec = replace(box.spec, hooks=Hooks(start_container=(Hook(path="/bin/false"),)))
    outcome = box.runs("true")
    assert outcome.failure is not None
    assert "startContainer hook /bin/false" in outcome.failure[1]


def test_a_hook_that_never_ends(box: Box) -> None:
    """It is killed after its timeout."""
    slow = Hook(path="/bin/sleep", args=("sleep", "1000"), timeout_s=1)
    box.spec = replace(box.spec, hooks=Hooks(create_runtime=(slow,)))
    outcome = box.runs("true")
    assert outcome.failure is not None
    assert "no end after 1 s" in outcome.failure[1]


def test_a_timeout_longer_than_poll_takes() -> None:
    """A hook that may take thirty thousand years is waited for like another."""
    hook = RunHook(
        moment="prestart", path="/bin/true", args=(), env=(), timeout_s=1 << 40, state="{",
        why="hooks.prestart",
    )  # fmt: skip
    assert hook.do(Hands()) == {}


def test_late_hooks_only_complain() -> None:
    """After the start there is nothing left to stop: all run, and the failures are told."""
    missing, fine = Hook(path="/no/such/hook"), Hook(path="/bin/true")
    (problem,) = run_hooks("poststart", (missing, fine), '{"id":"x"', 1)
    assert "no such file or directory" in problem


def test_an_agent_answers_system_calls(box: Box, tmp_path: Path) -> None:
    """A filter's listener comes to the agent's socket, with the container's state."""
    path = str(tmp_path / "agent.sock")
    told: dict[str, Any] = {}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(1)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                packet, ancillary, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(4))
            told.update(json.loads(packet))
            (notifications,) = array.array("i", ancillary[0][2])
            told["is_listener"] = os.readlink(f"/proc/self/fd/{notifications}")
            # Closed without an answer, the kernel says ENOSYS to all that ask.
            os.close(notifications)

        agent = threading.Thread(target=answer)
        agent.start()
        wanted = Seccomp(
            default_action="SCMP_ACT_ALLOW",
            listener_path=path,
            listener_metadata="mine",
            syscalls=(SeccompRule(names=("mkdir", "mkdirat"), action="SCMP_ACT_NOTIFY"),),
        )
        outcome = box.runs("mkdir", "/tmp/x", linux={"seccomp": wanted})
        agent.join(30)
    assert outcome.failure is None
    assert "Function not implemented" in outcome.output
    assert told["is_listener"] == "anon_inode:seccomp notify"
    assert (told["metadata"], told["fds"]) == ("mine", ["seccompFd"])
    assert told["state"]["status"] == "creating"
    assert told["state"]["pid"] == told["pid"]


@pytest.mark.parametrize(
    ("seccomp", "sentence"),
    [
        (Seccomp(default_action="SCMP_ACT_NOTIFY"), "cannot be used as default action"),
        (
            Seccomp(
                default_action="SCMP_ACT_ALLOW",
                syscalls=(SeccompRule(names=("mkdir",), action="SCMP_ACT_NOTIFY"),),
            ),
            "needs a listenerPath",
        ),
        (
            Seccomp(
                default_action="SCMP_ACT_ALLOW",
                listener_path="/nowhere",
                syscalls=(SeccompRule(names=("mkdir",), action="SCMP_ACT_NOTIFY"),),
            ),
            "seccomp listener: no such file or directory",
        ),
        (
            Seccomp(
                default_action="SCMP_ACT_ALLOW",
                listener_path="/x",
                syscalls=(SeccompRule(names=("sendmsg",), action="SCMP_ACT_NOTIFY"),),
            ),
            "cannot be used for the sendmsg syscall",
        ),
    ],
)
def test_agents_that_can_not_be(box: Box, seccomp: Seccomp, sentence: str) -> None:
    """Refused or failed with one sentence, and nothing is left."""
    outcome = box.runs("true", linux={"seccomp": seccomp})
    assert outcome.failure is not None
    assert sentence in outcome.failure[1]
    assert outcome.left == []


def test_scheduling_and_personality(box: Box) -> None:
    """Policy, nice value, priority at disks and execution domain are the program's own."""
    outcome = box.runs(
        "sh", "-c", "cat /proc/self/stat; cat /proc/self/personality",
        process={
            "scheduler": Scheduler(policy="SCHED_BATCH", nice=7),
            "io_priority": IoPriority(class_="IOPRIO_CLASS_IDLE", priority=0),
        },
        linux={"personality": Personality(domain="LINUX32")},
    )  # fmt: skip
    assert outcome.failure is None
    stat, personality = outcome.output.splitlines()
    fields = stat.rpartition(")")[2].split()
    assert fields[16] == "7"  # nice (proc(5), field 19)
    assert fields[38] == "3"  # SCHED_BATCH (field 41)
    assert int(personality, 16) & 0xFF == 8


@pytest.mark.skipif(not apparmor.is_enabled(), reason="this kernel has no AppArmor")
@pytest.mark.parametrize("moment", ["create_container", "start_container"])
def test_hooks_are_not_confined(box: Box, engine: Engine, tmp_path: Path, moment: str) -> None:
    """A hook in the container runs without the profile, which the program gets after it."""
    engine.docker_ok("run", "--rm", "busybox", "true")  # the engine has loaded the profile
    note = "/seen" if moment == "start_container" else str(tmp_path / "seen")
    script = f"cat /proc/self/attr/current > {note}"
    hook = Hook(path="/bin/sh", args=("sh", "-c", script), env=("PATH=/bin:/usr/bin",))
    process = replace(box.spec.process, apparmor_profile="wherry-default")
    box.spec = replace(box.spec, process=process, hooks=Hooks(**{moment: (hook,)}))
    outcome = box.runs("sh", "-c", "cat /proc/self/attr/current; cat /seen 2> /dev/null; :")
    assert outcome.failure is None
    lines = outcome.output.split()
    seen = lines[2] if moment == "start_container" else Path(note).read_text().strip()
    assert (lines[0], seen) == ("wherry-default", "unconfined")
