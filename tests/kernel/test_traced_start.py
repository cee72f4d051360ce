"""The engine can say what it did to the kernel: a tracer must have nothing to add.

One start is traced. Every call by which the spawner, the shim and the container's init change
the state of the kernel has to be one that an entry of the journal owns up to; what is not
about the container (our own sockets and records) is listed here with its reason.
"""

import json
import re
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.tracing import TracedCall, traced
from wherry.operations.journal import from_json
from wherry.operations.plan import Call, Journal

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(90)]

ALWAYS_CHANGING = (
    "mount", "umount2", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount",
    "mount_setattr", "pivot_root", "chroot", "unshare", "setns", "mkdir", "mkdirat", "rmdir",
    "mknod", "mknodat", "symlink", "symlinkat", "link", "linkat", "rename", "renameat",
    "renameat2", "unlink", "unlinkat", "chmod", "fchmod", "fchmodat", "chown", "lchown", "fchown",
    "fchownat", "truncate", "ftruncate", "fsync", "fdatasync", "sethostname", "setdomainname",
    "capset", "setresuid", "setresgid", "setuid", "setgid", "setgroups", "setrlimit", "seccomp",
    "bpf", "umask", "execve", "execveat", "setxattr", "keyctl", "personality", "chdir", "fchdir",
    "swapon",
)  # fmt: skip
SOMETIMES_CHANGING = ("openat", "open", "openat2", "prctl", "prlimit64", "bind", "ioctl")

CHANGING_PRCTLS = re.compile(r"^PR_SET_(?!NAME|VMA|DUMPABLE|PDEATHSIG|MM)|^PR_CAP")
CHANGING_IOCTLS = re.compile(r"TIOCSCTTY|TIOCSWINSZ|SIOCS")

OUR_OWN = {
    # what the line has in it: why it is about the supervisor and not about the container
    r"PR_SET_CHILD_SUBREAPER": "the shim adopts orphans of its container",
    r"shim\.sock": "the shim's own control socket",
    r"umask\(0177\)|= 0177$": "while that socket is made, only root may have it",
    r"/proc/self/(comm|mem)\"": "the shim's name and title, for ps",
    r"-json\.log": "the container's log, written by the shim",
    r"exit\.json": "the durable record of the exit",
    r"journal\.json": "this very journal",
    r"oom_score_adj": "the shim's own score",
    r"\"/dev/null\"": "a descriptor, no change",
    r"memory\.oom_control|cgroup\.event_control": "the shim listens for kills by the OOM killer",
    r"chdir\(\"/\"\)": "the shim holds no directory busy",
}


def test_every_change_is_in_the_journal(engine: Engine) -> None:
    """Each state-changing call of one start is owned by one entry of the journal."""
    flags = (
        "--name",
        "traced",
        "-m",
        "64m",
        "--cpus",
        "0.5",
        "-p",
        "8080:80",
        "-u",
        "1000:1000",
        "--tmpfs",
        "/t",
        "-v",
        "/tmp:/host:ro",
        "--ulimit",
        "nofile=100",
        "-w",
        "/made/here",
    )
    engine.docker_ok("create", *flags, "busybox", "sleep", "1000")
    with traced(engine.spawners(), (*ALWAYS_CHANGING, *SOMETIMES_CHANGING)) as trace:
        assert engine.api("POST", "/containers/traced/start").status == 204
        seen = trace.calls()
    answer = engine.api("GET", "/wherry/containers/traced/explain?format=json")
    unclaimed = claims_of(_journal(answer.json))
    strangers = []
    for call in before_the_program(seen):
        if call.has_failed or not changes_state(call) or is_our_own(call):
            continue
        owner = next((claim for claim in unclaimed if owns(claim, call)), None)
        if owner is None:
            strangers.append(call.line[:300])
        else:
            unclaimed.remove(owner)
    assert not strangers, "changes that the journal does not tell:\n" + "\n".join(strangers)


def _journal(document: object) -> Journal:
    """The entries of an explanation, wherever the document keeps them."""
    lines: list[dict[str, object]] = []

    def collect(part: object) -> None:
        if isinstance(part, dict):
            if "kind" in part and "why" in part:
                lines.append(part)
            else:
                for each in part.values():
                    collect(each)
        elif isinstance(part, list):
            for each in part:
                collect(each)

    collect(document)
    assert lines, json.dumps(document)[:500]
    return from_json(lines)


def claims_of(journal: Journal) -> list[Call]:
    """All calls that the entries own up to."""
    return [call for entry in journal for call in entry.operation.calls(entry.evidence)]


def before_the_program(calls: list[TracedCall]) -> Iterator[TracedCall]:
    """The calls that are ours: what a process does after its execve is the container's."""
    strange = set()
    for call in calls:
        if call.pid not in strange:
            yield call
        if call.name == "execve" and not call.has_failed:
            strange.add(call.pid)


def changes_state(call: TracedCall) -> bool:
    """Whether a call changes anything outside its own process's memory."""
    match call.name:
        case "openat" | "open" | "openat2":
            if re.search(r"O_CREAT|O_TRUNC", call.arguments):
                return True
            is_kernel_file = re.search(r'"/(proc|sys)/|</(proc|sys/fs/cgroup)', call.arguments)
            return bool(is_kernel_file and re.search(r"O_WRONLY|O_RDWR", call.arguments))
        case "prctl":
            return bool(CHANGING_PRCTLS.match(call.arguments))
        case "prlimit64":
            return not re.search(r"^\d+, \w+, NULL", call.arguments)
        case "ioctl":
            return bool(CHANGING_IOCTLS.search(call.arguments))
        case _:
            return True


def is_our_own(call: TracedCall) -> bool:
    """Whether a call is about the supervisor itself."""
    return any(re.search(pattern, call.line) for pattern in OUR_OWN)


def owns(claim: Call, call: TracedCall) -> bool:
    """Whether a claim is about this call: its name, and every operand in the traced line."""
    return claim.name == call.name and all(each in call.line for each in claim.operands)
