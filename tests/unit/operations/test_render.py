"""The story that `explain` tells."""

from support.golden import GOLDEN_DIRECTORY, assert_golden
from wherry.operations.files.masks import MaskPath
from wherry.operations.files.roots import PivotRoot
from wherry.operations.plan import Entry, Finding, Journal, Outcome, Verdict
from wherry.operations.processes.cgroups import WriteCgroupFile
from wherry.operations.processes.process import Execve
from wherry.operations.render import render_json, render_text

BEGIN = 1_700_000_000_000_000_000


def _journal() -> Journal:
    path = "/sys/fs/cgroup/memory/docker/c1/memory.limit_in_bytes"
    return [
        Entry(
            operation=WriteCgroupFile(path=path, value="67108864", why="--memory 64m"),
            at_ns=BEGIN,
            duration_ns=31_000,
            outcome=Outcome.DONE,
            evidence={"path": path, "seen": "67108864"},
        ),
        Entry(
            operation=MaskPath(path="/proc/kcore", why="default: " + "a long reason " * 12),
            at_ns=BEGIN + 1_500_000,
            duration_ns=40_000,
            outcome=Outcome.UNDONE,
            evidence={"what": "file", "mount_point": "/proc/kcore", "pid": 7, "made": 0},
        ),
        Entry(
            operation=PivotRoot(why="the container must not see the host's files"),
            at_ns=BEGIN + 2_000_000,
            duration_ns=1_040_000,
            outcome=Outcome.FAILED,
            error="invalid argument",
        ),
        Entry(
            operation=Execve(
                program="/bin/sh",
                args=("sh", "-c", "echo it's"),
                environment=("TOKEN=1",),
                why="the container's command",
            ),
            at_ns=BEGIN + 4_000_000,
            duration_ns=0,
            outcome=Outcome.DONE,
            evidence={"pid": 7},
        ),
    ]


FINDINGS = [
    Finding(Verdict.CHANGED, "memory.limit_in_bytes = 1"),
    Finding(Verdict.GONE, "the process has ended"),
    Finding(Verdict.UNKNOWN),
    Finding(Verdict.STILL_TRUE, "process 7: sh"),
]


def test_story() -> None:
    """Numbers, times, reasons, evidence, command lines, and what still holds."""
    text = render_text(_journal(), findings=FINDINGS, title="container c1")
    assert_golden(GOLDEN_DIRECTORY / "operations/story.txt", text)


def test_story_without_what_was_undone() -> None:
    """Steps that were taken back can be left out; the others are numbered anew."""
    text = render_text(_journal(), undone=False)
    assert "/proc/kcore" not in text
    assert text.startswith("3 steps in")


def test_nothing() -> None:
    """An empty journal is a sentence too."""
    assert render_text([]) == "Nothing was done.\n"


def test_json() -> None:
    """The same for programs; secrets stay masked."""
    first, *_, last = render_json(_journal(), findings=FINDINGS)
    assert first["finding"] == {
        "verdict": "changed from outside",
        "seen": "memory.limit_in_bytes = 1",
    }
    assert first["describe"] == "set memory.limit_in_bytes to 67108864"
    assert last["arguments"]["environment"] == ("TOKEN=***",)
    assert last["shell"] == "exec /bin/sh -c 'echo it'\"'\"'s'"
