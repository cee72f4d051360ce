"""A directory of another mount namespace, cloned into one's own."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.linux import mounts as kernel
from wherry.linux.mounts import closing
from wherry.linux.process import CLONE_NEWNS, unshare
from wherry.operations.files.foreign_trees import CloneForeignTree
from wherry.operations.files.mounts import held_tree
from wherry.operations.plan import Hands

pytestmark = pytest.mark.kernel


@pytest.fixture
def donor(tmp_path: Path) -> Iterator[int]:
    """The pid of a process that alone sees a tmpfs with one file in it."""
    (tmp_path / "shm").mkdir()
    script = f"mount -t tmpfs shm {tmp_path}/shm && echo hello >{tmp_path}/shm/x && echo && cat"
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process.pid
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_the_tree_is_the_others_and_the_process_is_back(donor: int, tmp_path: Path) -> None:
    """The clone shows the other's file and can be attached here; root and names are our own."""
    (tmp_path / "here").mkdir()
    child = os.fork()
    if child == 0:
        os._exit(_attach(donor, tmp_path))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list((tmp_path / "here").iterdir()) == []


def _attach(donor: int, directory: Path) -> int:
    """In a namespace of its own: clone, attach, look; 0 when all was as it should be."""
    unshare(CLONE_NEWNS)
    kernel.mount("", "/", "", kernel.MS_PRIVATE | kernel.MS_REC)
    own = os.readlink("/proc/self/ns/mnt")
    hands = Hands()
    operation = CloneForeignTree(
        pid=donor, path=f"{directory}/shm", destination="/shm", why="test"
    )
    operation.do(hands)
    if os.readlink("/proc/self/ns/mnt") != own or (directory / "shm" / "x").exists():
        return 1
    with closing(os.open(directory / "here", os.O_PATH | os.O_CLOEXEC)) as target:
        kernel.move_mount(hands.get(held_tree("/shm")), target)
    hands.close()
    return 0 if (directory / "here" / "x").read_text() == "hello\n" else 2
