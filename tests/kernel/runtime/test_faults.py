"""A start that fails at any step leaves nothing, and says which step it was."""

import errno
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from support.containers import Box, run_in_fork
from wherry.operations.plan import Evidence, Hands, Operation
from wherry.operations.processes.cgroups import MakeCgroup
from wherry.runtime import container
from wherry.runtime.container import CreateFailed, CreateRequest, create
from wherry.runtime.machine import this_machine
from wherry.runtime.plan import child_plan, parent_plan
from wherry.runtime.signals import has_ended

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(60)]


class _Broken(Operation):
    """An operation in the place of another one, which the kernel has no space for."""

    kind = "broken"

    def do(self, hands: Hands) -> Evidence:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_failure_at_any_step_leaves_nothing(box: Box) -> None:
    """Each operation of both plans in turn is replaced by one that fails."""
    subject = container.subject_of(_request(box))
    parents = len(parent_plan(subject, this_machine()))
    childs = len(child_plan(subject, this_machine()))
    assert parents > 5
    assert childs > 40
    places = [(number, -1) for number in range(parents)]
    places += [(-1, number) for number in range(childs)]
    for place in places:
        told = run_in_fork(lambda place=place: _failing(box, *place))
        assert told["kind"] == "step", (place, told)
        assert "no space left on device" in told["message"], (place, told)
        assert told["last"] == ["broken", "failed"], (place, told)
        assert told["same"], (place, told)


def _failing(box: Box, in_parent: int, in_child: int) -> dict[str, Any]:
    """A create of which one operation fails; `same` says whether the machine is as before."""
    container.parent_plan = _with_broken(parent_plan, in_parent)
    container.child_plan = _with_broken(child_plan, in_child)
    before = _facts()
    try:
        create(_request(box))
    except CreateFailed as error:
        last = error.journal[-1]
        return {
            "kind": error.kind,
            "message": error.message,
            "last": [last.operation.kind, last.outcome.value],
            "same": before == _facts(),
        }
    return {"kind": "it was made"}


def _with_broken(plan: Any, at: int) -> Any:
    def planned(*arguments: Any) -> tuple[Operation, ...]:
        made = list(plan(*arguments))
        if at >= 0:
            made[at] = _Broken(why="the test breaks it")
        return tuple(made)

    return planned


def test_a_child_that_is_killed_while_parked(box: Box) -> None:
    """The end of a parked process is an error of start, and is cleared away."""

    def killed() -> dict[str, Any]:
        before = _facts()
        init = create(_request(box))
        os.kill(init.pid, signal.SIGKILL)
        has_ended(init.pidfd, timeout_s=5)
        try:
            init.start()
        except CreateFailed as error:
            return {"kind": error.kind, "same": before == _facts()}
        return {}

    assert run_in_fork(killed) == {"kind": "step", "same": True}


def test_discard_before_start(box: Box) -> None:
    """A parked process can be given up: nothing ran, nothing is left."""

    def discarded() -> dict[str, Any]:
        before = _facts()
        init = create(_request(box))
        is_parked = not has_ended(init.pidfd, timeout_s=0)
        init.discard()
        return {"same": before == _facts(), "was_parked": is_parked}

    assert run_in_fork(discarded) == {"same": True, "was_parked": True}


def test_a_parked_child_ends_with_its_parent(box: Box) -> None:
    """A parent that dies closes its end of the channel, and the child goes too."""
    read, write = os.pipe()

    def orphaned() -> dict[str, Any]:
        init = create(_request(box, stdio=(write, write, write)))
        return {"cgroups": container.cgroup_directories(init.journal)}

    made = run_in_fork(orphaned)
    os.close(write)
    with open(read, "rb") as file:
        assert file.read() == b""  # the last holder of the other end has gone
    for path in made["cgroups"]:
        MakeCgroup(path=path, why="").undo(Hands(), {})
        assert not os.path.exists(path)


def _request(box: Box, **changes: Any) -> CreateRequest:
    request: dict[str, Any] = {
        "container_id": box.name,
        "bundle": str(box.directory / "bundle"),
        "spec": box.spec,
        "rootfs": box.rootfs(),
        "user": "",
        "stdio": (0, 1, 2),
    }
    return CreateRequest(**(request | changes))


def _facts() -> dict[str, Any]:
    """What a start could leave: mounts, children, cgroups, descriptors, namespaces."""
    cgroups = sorted(map(str, Path("/sys/fs/cgroup").glob("*/wherry-runtime-test/*/")))
    return {
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "children": Path(f"/proc/self/task/{os.getpid()}/children").read_text(),
        "cgroups": cgroups,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "namespaces": [
            os.readlink(f"/proc/self/ns/{each}") for each in sorted(os.listdir("/proc/self/ns"))
        ],
    }
