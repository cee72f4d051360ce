"""Where a container's cgroups are, as the kernel tells of its first process."""

import os

from wherry.engine.containers.cgroups import _down_to, cgroup_directories
from wherry.linux.cgroups import discover
from wherry.model.containers import Container, ContainerSpec, ContainerStatus
from wherry.model.ids import ContainerId, ImageId
from wherry.model.lifecycle import ContainerState

ID = ContainerId("ab" * 32)


def _container(pid: int) -> Container:
    return Container(
        id=ID,
        name="one",
        created_at_ns=0,
        image_id=ImageId("sha256:0"),
        spec=ContainerSpec(image="busybox"),
        status=ContainerStatus(state=ContainerState.RUNNING, pid=pid),
    )


def test_of_a_process_elsewhere() -> None:
    """A process that is in no cgroup of the container's name has none that is the engine's."""
    assert cgroup_directories(_container(os.getpid()), discover()) == {}


def test_of_nobody() -> None:
    """A process that has ended is nowhere."""
    assert cgroup_directories(_container(1 << 30), discover()) == {}


def test_processes_that_moved_further_down() -> None:
    """What the container made below its own is not the engine's."""
    assert _down_to(f"/docker/{ID}/init.scope", ID) == f"/docker/{ID}"
    assert _down_to(f"/docker/{ID}", ID) == f"/docker/{ID}"
    assert _down_to("/elsewhere", ID) == ""
    assert _down_to(f"/docker/{ID}0", ID) == ""
