"""One more process in a container that runs, and signals to all that are in it."""

import json
import os
import select
import signal
from typing import Any

import pytest

from support.containers import CAPABILITIES, Box
from support.waiting import wait_until
from wherry.linux import cgroups
from wherry.linux.seccomp_compiler import compile_filter
from wherry.oci.runtime_spec import Capabilities, ConsoleSize, Process, Seccomp, SeccompRule
from wherry.operations.journal import from_json, to_json
from wherry.runtime import signals
from wherry.runtime.container import CreateFailed, InitProcess, cgroup_directories, destroy
from wherry.runtime.joining import JoinRequest, join

pytestmark = pytest.mark.kernel

SETS = Capabilities(bounding=CAPABILITIES, effective=CAPABILITIES, permitted=CAPABILITIES)


def joined(init: InitProcess, *args: str, **request: Any) -> tuple[int, str]:
    """Status and output of one more process."""
    process = Process(
        args=args,
        env=("PATH=/bin",),
        capabilities=request.pop("capabilities", SETS),
        cwd=request.pop("cwd", "/"),
        no_new_privileges=request.pop("no_new_privileges", False),
    )
    read, write = os.pipe()
    request.setdefault("user", "")
    try:
        made = join(
            init.pid,
            init.pidfd,
            cgroup_directories(init.journal),
            JoinRequest(process=process, stdio=(write, write, write), **request),
        )
    finally:
        os.close(write)
    with open(read, encoding="utf-8", errors="replace") as file:
        output = file.read()
    _, status = os.waitpid(made.pid, 0)
    os.close(made.pidfd)
    return os.waitstatus_to_exitcode(status), output


def test_it_is_in_the_same_namespaces_and_cgroups(box: Box) -> None:
    """Every namespace and cgroup of process 1, a pid of the container's, and its status."""

    def compared(init: InitProcess) -> Any:
        status, output = joined(
            init,
            "sh",
            "-c",
            "for i in mnt net uts ipc pid time cgroup; do readlink /proc/self/ns/$i; done; exit 7",
        )
        kinds = ("mnt", "net", "uts", "ipc", "pid", "time", "cgroup")
        own = [os.readlink(f"/proc/{init.pid}/ns/{kind}") for kind in kinds]
        _, in_cgroups = joined(init, "cat", "/proc/self/cgroup")
        with open(f"/proc/{init.pid}/cgroup") as file:
            of_init = file.read()
        return status, output.split() == own, in_cgroups.split(), of_init.count(box.name)

    status, same, in_cgroups, of_init = box.runs("sleep", "100", meanwhile=compared).notes
    assert (status, same) == (7, True)
    # Seen through the container's cgroup namespace its own directory is the root.
    assert all(line.endswith(":/") for line in in_cgroups)
    assert len(in_cgroups) == of_init


def test_privileges_are_given_up(box: Box) -> None:
    """As in `run`: bounding set, no inheritable ones, the user's groups, no descriptor (R10)."""

    def looked(init: InitProcess) -> Any:
        _, status = joined(init, "cat", "/proc/self/status", user="bob")
        _, descriptors = joined(init, "ls", "/proc/self/fd")
        _, groups = joined(init, "id", "-G", user="bob", group_add=("77",))
        return status, descriptors.split(), groups.split()

    status, descriptors, groups = box.runs("sleep", "100", meanwhile=looked).notes
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert [lines[f"Cap{each}"] for each in ("Inh", "Prm", "Eff", "Amb")] == ["0" * 16] * 4
    assert lines["CapBnd"] == "00000000a80425fb"
    assert lines["Uid"].split() == ["1000"] * 4
    assert descriptors == ["0", "1", "2", "3"]
    assert groups == ["1000", "10", "77"]


def test_filter_and_no_new_privileges(box: Box) -> None:
    """The filter that the engine hands over holds for the joined process."""
    program = compile_filter(
        Seccomp(
            default_action="SCMP_ACT_ALLOW",
            syscalls=(
                SeccompRule(names=("mkdir", "mkdirat"), action="SCMP_ACT_ERRNO", errno_ret=38),
            ),
        )
    )

    def tried(init: InitProcess) -> Any:
        return [
            joined(init, "mkdir", f"/tmp/{flag}", seccomp_program=program, no_new_privileges=flag)
            for flag in (False, True)
        ]

    for status, output in box.runs("sleep", "100", meanwhile=tried).notes:
        assert status == 1
        assert "Function not implemented" in output


@pytest.mark.parametrize(
    ("args", "request_", "kind", "part"),
    [
        (("nothing",), {}, "command_not_found_in_path", "executable file not found in $PATH"),
        (("/nothing",), {}, "command_not_found", "no such file or directory"),
        (("/etc",), {}, "not_executable", "is a directory"),
        (("true",), {"user": "nobody-here"}, "user_not_found", "unable to find user"),
        (("true",), {"user": "00"}, "user_not_found", "must be in range"),
        (("true",), {"cwd": "/missing"}, "step", "no such file or directory"),
        (("true",), {"cwd": "/proc/self/fd/5"}, "step", "/proc/self/fd/5"),
        (("true",), {"cwd": "/proc/1/root/.."}, "step", "too many levels of symbolic links"),
    ],
)
def test_what_fails_is_told(
    box: Box, args: tuple[str, ...], request_: dict[str, Any], kind: str, part: str
) -> None:
    """The same kinds as of a start; the container goes on."""

    def tried(init: InitProcess) -> Any:
        try:
            joined(init, *args, **request_)
        except CreateFailed as error:
            return error.kind, error.message, joined(init, "true")[0]
        return None

    told_kind, message, afterwards = box.runs("sleep", "100", meanwhile=tried).notes
    assert (told_kind, afterwards) == (kind, 0)
    assert part in message


def test_a_terminal_of_the_containers(box: Box) -> None:
    """An exec with a terminal gets one of the container's devpts."""

    def shown(init: InitProcess) -> str:
        made = join(
            init.pid,
            init.pidfd,
            cgroup_directories(init.journal),
            JoinRequest(
                process=Process(
                    args=("sh", "-c", "tty; stty size"),
                    env=("PATH=/bin",),
                    capabilities=SETS,
                    terminal=True,
                    console_size=ConsoleSize(height=11, width=12),
                )
            ),
        )
        assert made.console is not None
        text = b""
        while b"11 12" not in text:
            text += os.read(made.console, 4096)
        os.waitpid(made.pid, 0)
        return text.decode()

    assert box.runs("sleep", "100", meanwhile=shown).notes.split() == ["/dev/pts/0", "11", "12"]


def test_freeze_and_thaw(box: Box) -> None:
    """A frozen container makes no progress and goes on afterwards."""

    def frozen(init: InitProcess) -> Any:
        paths = cgroup_directories(init.journal)
        wait_until("the trap is set", lambda: _catches(init.pid, signal.SIGUSR1))
        signals.freeze(paths)
        os.kill(init.pid, signal.SIGUSR1)
        ended_while_frozen = signals.has_ended(init.pidfd, timeout_s=0.1)
        signals.thaw(paths)
        return ended_while_frozen, signals.has_ended(init.pidfd, timeout_s=5)

    outcome = box.runs(
        "sh", "-c", "trap 'exit 3' USR1; while :; do sleep 0.01; done", meanwhile=frozen
    )
    assert outcome.notes == [False, True]
    assert outcome.status == 3


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal: process 1 gets no other ones."""
    with open(f"/proc/{pid}/status") as file:
        caught = next(line.split()[1] for line in file if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("is_frozen", [False, True])
def test_kill_all_takes_what_was_joined_too(box: Box, is_frozen: bool) -> None:
    """Everything in the cgroups dies at once, also when it is frozen."""

    def killed(init: InitProcess) -> Any:
        paths = cgroup_directories(init.journal)
        made = join(
            init.pid,
            init.pidfd,
            paths,
            JoinRequest(
                process=Process(args=("sleep", "100"), env=("PATH=/bin",), capabilities=SETS),
                user="",
                stdio=(0, 1, 2),
            ),
        )
        if is_frozen:
            signals.freeze(paths)
        signals.kill_all(paths)
        poller = select.poll()
        poller.register(made.pidfd, select.POLLIN)
        ended = bool(poller.poll(5000))
        os.waitpid(made.pid, 0)
        return ended, signals.has_ended(init.pidfd, timeout_s=5)

    assert box.runs("sleep", "100", meanwhile=killed).notes == [True, True]


def test_signals_to_what_has_gone(box: Box) -> None:
    """A pidfd knows its process: a signal after its end goes nowhere."""

    def signalled(init: InitProcess) -> Any:
        before = signals.kill(init.pidfd, signal.SIGKILL)
        signals.has_ended(init.pidfd, timeout_s=5)
        os.waitid(os.P_PIDFD, init.pidfd, os.WEXITED | os.WNOWAIT)
        return before

    assert box.runs("sleep", "100", meanwhile=signalled).notes is True


def test_a_journal_read_back_can_destroy(box: Box) -> None:
    """What was written as JSON clears the container away, and doing so twice is no error."""

    def destroyed(init: InitProcess) -> Any:
        journal = from_json(json.loads(json.dumps(to_json(init.journal))))
        paths = cgroup_directories(journal)
        problems = destroy(journal)
        return problems, [path for path in paths if os.path.exists(path)], len(paths)

    problems, left, count = box.runs("sleep", "100", meanwhile=destroyed).notes
    assert (problems, left) == ([], [])
    assert count >= 1


def test_cgroups_that_the_container_made_are_removed(box: Box) -> None:
    """A directory below the container's own does not keep it from being removed."""

    def nested(init: InitProcess) -> Any:
        for path in cgroup_directories(init.journal):
            os.makedirs(f"{path}/inner/most")
        return next(cgroups.children(path) for path in cgroup_directories(init.journal))

    outcome = box.runs("sleep", "100", meanwhile=nested)
    assert outcome.notes[0].endswith("/inner")
    assert (outcome.problems, outcome.left) == ([], [])
