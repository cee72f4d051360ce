"""The verbs of a container's life, on fake tasks and fake networks."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.engine_bench import EngineBench, engine_bench
from wherry.kit.streams import frame
from wherry.model.containers import ContainerSpec, ExecSpec, NetworkSpec, Terminal
from wherry.model.errors import InvalidValue, StepFailed
from wherry.model.errors.containers import (
    CommandNotFound,
    ContainerNameTaken,
    ContainerNotFound,
    ContainerNotPaused,
    ContainerNotRunning,
    ContainerPaused,
    ContainerRunning,
    ExecAlreadyStarted,
    InvalidContainerName,
    JoinedContainerNotRunning,
    NothingToKill,
    StartFailed,
)
from wherry.model.errors.images import ImageNotFound
from wherry.model.errors.networks import NetworkingFailed, PortInUse
from wherry.model.errors.volumes import VolumeInUse
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerState
from wherry.model.networks import NetworkMode, NetworkModeKind, Port, PortBinding
from wherry.model.outcomes import StartOutcome, StopOutcome, WaitCondition
from wherry.model.queries import AttachRequest
from wherry.snapshots import Snapshots


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[EngineBench]:
    """A fresh engine."""
    async with engine_bench(tmp_path) as ready:
        yield ready


async def created(bench: EngineBench, *command: str, name: str = "", **more: object) -> str:
    """The id of a new container."""
    spec = ContainerSpec(image="busybox", command=command or None, **more)  # type: ignore[arg-type]
    return (await bench.services.containers.create(spec, name=name)).container_id


async def running(bench: EngineBench, *command: str, **more: object) -> str:
    """The id of a container that was started."""
    container_id = await created(bench, *(command or ("sleep", "1000")), **more)
    await bench.services.containers.start(container_id)
    return container_id


async def actions(bench: EngineBench) -> list[str]:
    """Every container event so far."""
    stream = bench.services.events.subscribe(
        since_ns=0, until_ns=time.time_ns(), filters={"type": ("container",)}
    )
    return [event.action async for event in stream]


async def state_of(bench: EngineBench, reference: str) -> ContainerState:
    """Where a container is."""
    return (await bench.services.containers.get(reference)).status.state


async def test_create_start_exit_remove(bench: EngineBench) -> None:
    """A life from record to nothing, with the code of its end."""
    containers = bench.services.containers
    container_id = await created(bench, "sh", "-c", "exit 3", name="short")
    ended = await containers.wait("short", WaitCondition.NEXT_EXIT)
    assert await containers.start("short") is StartOutcome.STARTED
    assert (await ended).exit_code == 3
    container = await containers.get(container_id)
    assert container.status.state is ContainerState.EXITED
    assert container.status.exit_code == 3
    assert not bench.networks.attached
    await containers.remove("short")
    assert bench.left_behind() == []
    with pytest.raises(ContainerNotFound):
        await containers.get(container_id)


async def test_names(bench: EngineBench) -> None:
    """A taken name is refused with its holder, a missing one is made up, a bad one named."""
    holder = await created(bench, name="web")
    with pytest.raises(ContainerNameTaken) as caught:
        await created(bench, name="web")
    assert caught.value.holder == holder
    made_up = await bench.services.containers.get(await created(bench))
    assert "_" in made_up.name
    with pytest.raises(InvalidContainerName):
        await created(bench, name="a b")
    with pytest.raises(InvalidContainerName):
        await created(bench, name="web\n")


async def test_a_declared_volume_is_made(bench: EngineBench) -> None:
    """An image's VOLUME becomes an anonymous volume, which `rm -v` takes along."""
    spec = ContainerSpec(image="keeper", command=("sleep", "1000"))
    outcome = await bench.services.containers.create(spec, name="")
    container = await bench.services.containers.get(outcome.container_id)
    (mount,) = container.spec.mounts
    assert mount.target == "/var/lib/data"
    assert (await bench.services.volumes.get(mount.name)).is_anonymous
    with pytest.raises(VolumeInUse):
        await bench.services.volumes.remove(mount.name)
    await bench.services.containers.remove(container.id, removes_volumes=True)
    assert await bench.services.volumes.list({}) == []


async def test_a_refused_create_leaves_nothing(bench: EngineBench) -> None:
    """Neither a missing image nor a taken name leaves a directory or a snapshot."""
    await created(bench, name="web")
    before = bench.left_behind()
    with pytest.raises(ContainerNameTaken):
        await created(bench, name="web")
    with pytest.raises(ImageNotFound):
        await bench.services.containers.create(ContainerSpec(image="nope"), name="")
    assert bench.left_behind() == before


async def test_a_missing_command_is_remembered_and_undone(bench: EngineBench) -> None:
    """The start fails with its kind, the record says 127, and the network is given back."""
    container_id = await created(bench, "nope")
    with pytest.raises(CommandNotFound):
        await bench.services.containers.start(container_id)
    container = await bench.services.containers.get(container_id)
    assert container.status.state is ContainerState.CREATED
    assert container.status.exit_code == 127
    assert "executable file not found" in container.status.error
    assert not bench.networks.attached
    assert not (bench.root / "exec/containers" / container_id).exists()


async def test_a_failing_start_undoes_every_step(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step fails, what was made before it is gone, and the start can be repeated."""
    container_id = ContainerId(await created(bench, "sleep", "1000"))
    containers = bench.services.containers

    async def fails(*_arguments: object, **_more: object) -> None:
        raise StartFailed("no space left on device")

    for place, name in ((bench.networks, "attach"), (bench.tasks, "spawn")):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, fails)
            with pytest.raises((StartFailed, NetworkingFailed)):
                await containers.start(container_id)
        assert not bench.networks.attached
        assert not bench.tasks.living
    assert await containers.start(container_id) is StartOutcome.STARTED
    await containers.remove(container_id, is_forced=True)


async def test_an_end_is_told_whatever_can_not_be_given_back(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that won't let go holds up neither who waits nor the removal by `--rm`."""
    containers = bench.services.containers

    async def fails(_container_id: ContainerId) -> None:
        raise StepFailed("remove the link", "device busy")

    container_id = await created(bench, "sleep", "1000", removes_itself=True)
    await containers.start(container_id)
    ended = await containers.wait(container_id, WaitCondition.NEXT_EXIT)
    removed = await containers.wait(container_id, WaitCondition.REMOVED)
    with monkeypatch.context() as patched:
        patched.setattr(bench.networks, "detach", fails)
        await containers.kill(container_id)
        assert (await asyncio.wait_for(ended, 5)).exit_code == 137
        await asyncio.wait_for(removed, 5)
    with pytest.raises(ContainerNotFound):
        await containers.get(container_id)


async def test_a_removal_is_told_whatever_files_stay(
    bench: EngineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row has gone, so it is removed: who waits for that hears it; a boot sweeps the files."""
    containers = bench.services.containers

    def fails(*_arguments: object) -> None:
        raise StepFailed("remove the snapshot", "input/output error")

    container_id = await created(bench, "true", name="gone")
    removed = await containers.wait(container_id, WaitCondition.REMOVED)
    with monkeypatch.context() as patched:
        patched.setattr(Snapshots, "remove", fails)
        await containers.remove(container_id)
    await asyncio.wait_for(removed, 5)
    await containers.remove(await created(bench, "true", name="gone"))


async def test_a_port_in_use_is_no_end(bench: EngineBench) -> None:
    """The start fails and names the owner; with the port free it works."""
    binding = PortBinding(port=Port(80), host_port=8080)
    container_id = await created(bench, "sleep", "1000", network=NetworkSpec(bindings=(binding,)))
    bench.networks.ports[8080] = "nginx"
    with pytest.raises(NetworkingFailed) as caught:
        await bench.services.containers.start(container_id)
    assert isinstance(caught.value.cause, PortInUse)
    assert caught.value.cause.owner == "nginx"
    del bench.networks.ports[8080]
    assert await bench.services.containers.start(container_id) is StartOutcome.STARTED
    await bench.services.containers.remove(container_id, is_forced=True)


async def test_rm_removes_after_the_end_and_after_a_failed_start(bench: EngineBench) -> None:
    """`--rm` leaves nothing, however the container ended."""
    containers = bench.services.containers
    for command in (("true",), ("nope",)):
        container_id = await created(bench, *command, removes_itself=True)
        removed = await containers.wait(container_id, WaitCondition.REMOVED)
        if command == ("nope",):
            with pytest.raises(CommandNotFound):
                await containers.start(container_id)
        else:
            await containers.start(container_id)
        await asyncio.wait_for(removed, 5)
        assert bench.left_behind() == []


async def test_stop_is_patient_then_final(bench: EngineBench) -> None:
    """A container that ignores its signal is killed after the time-out."""
    container_id = await running(bench, stop_signal="SIGUSR1")
    outcome = await bench.services.containers.stop(container_id, timeout_s=0)
    assert outcome is StopOutcome.STOPPED
    container = await bench.services.containers.get(container_id)
    assert container.status.exit_code == 137
    assert await bench.services.containers.stop(container_id) is StopOutcome.ALREADY_STOPPED


async def test_signals(bench: EngineBench) -> None:
    """A signal reaches the task; one for nobody and one that isn't are refused."""
    container_id = await running(bench)
    await bench.services.containers.kill(container_id, signal="USR1")
    task = bench.tasks.living[ContainerId(container_id)]
    assert task.programs[""].signals == [10]
    with pytest.raises(InvalidValue):
        await bench.services.containers.kill(container_id, signal="NOPE")
    await bench.services.containers.kill(container_id)
    with pytest.raises(NothingToKill):
        await bench.services.containers.kill(container_id)


async def test_pause_and_unpause(bench: EngineBench) -> None:
    """A paused container refuses a second pause, exec and attach; unpaused it goes on."""
    containers = bench.services.containers
    container_id = await running(bench)
    await containers.pause(container_id)
    assert await state_of(bench, container_id) is ContainerState.PAUSED
    with pytest.raises(ContainerPaused):
        await containers.pause(container_id)
    with pytest.raises(ContainerPaused):
        await containers.attach(container_id, AttachRequest(wants_stdout=True))
    with pytest.raises(ContainerPaused):
        await bench.services.execs.create(
            container_id, ExecSpec(container_id=ContainerId(""), command=("true",))
        )
    await containers.unpause(container_id)
    with pytest.raises(ContainerNotPaused):
        await containers.unpause(container_id)
    await containers.remove(container_id, is_forced=True)


async def test_running_containers_are_not_removed(bench: EngineBench) -> None:
    """Without force a running container stays; with it, it is ended and removed."""
    container_id = await running(bench)
    with pytest.raises(ContainerRunning):
        await bench.services.containers.remove(container_id)
    await bench.services.containers.remove(container_id, is_forced=True)
    assert bench.left_behind() == []
    assert not bench.tasks.living


async def test_an_attachment_made_before_the_start_misses_nothing(bench: EngineBench) -> None:
    """`docker run` attaches first; the first byte arrives, then the end."""
    container_id = await created(bench, "sh", "-c", "echo out; echo err >&2")
    stream = await bench.services.containers.attach(
        container_id, AttachRequest(wants_stdout=True, wants_stderr=True)
    )
    await bench.services.containers.start(container_id)
    seen = b""
    while data := await asyncio.wait_for(stream.read(), 5):
        seen += data
    assert seen == frame(1, b"out\n") + frame(2, b"err\n")


async def test_stdin_reaches_the_container(bench: EngineBench) -> None:
    """With -i, what the client writes is read; its end of file is the program's."""
    container_id = await created(bench, "cat", terminal=Terminal(opens_stdin=True))
    stream = await bench.services.containers.attach(
        container_id, AttachRequest(wants_stdin=True, wants_stdout=True)
    )
    await bench.services.containers.start(container_id)
    await stream.write(b"hello")
    assert await asyncio.wait_for(stream.read(), 5) == frame(1, b"hello")
    await stream.close_stdin()
    assert await asyncio.wait_for(stream.read(), 5) == b""


async def test_a_failed_start_ends_its_attachments(bench: EngineBench) -> None:
    """Whoever attached before sees an end instead of waiting for ever."""
    container_id = await created(bench, "nope")
    stream = await bench.services.containers.attach(container_id, AttachRequest(wants_stdout=True))
    with pytest.raises(CommandNotFound):
        await bench.services.containers.start(container_id)
    assert await asyncio.wait_for(stream.read(), 5) == b""


async def test_exec_sessions(bench: EngineBench) -> None:
    """A session runs once, its code can be asked for, and a missing command is 127."""
    execs = bench.services.execs
    container_id = await running(bench)

    def wanted(*command: str) -> ExecSpec:
        return ExecSpec(container_id=ContainerId(""), command=command, attaches_stdout=True)

    session = await execs.create(container_id, wanted("sh", "-c", "exit 3"))
    stream = await execs.start(session, is_detached=False)
    assert stream is not None
    while await asyncio.wait_for(stream.read(), 5):
        pass
    assert (await execs.inspect(session)).exit_code == 3
    with pytest.raises(ExecAlreadyStarted):
        await execs.start(session, is_detached=True)
    missing = await execs.create(container_id, wanted("nope"))
    with pytest.raises(CommandNotFound):
        await execs.start(missing, is_detached=True)
    assert (await execs.inspect(missing)).exit_code == 127
    await bench.services.containers.remove(container_id, is_forced=True)
    with pytest.raises(ContainerNotFound):
        await execs.create(container_id, wanted("true"))


async def test_exec_needs_a_running_container(bench: EngineBench) -> None:
    """A created container has nothing to join."""
    container_id = await created(bench)
    with pytest.raises(ContainerNotRunning):
        await bench.services.execs.create(
            container_id, ExecSpec(container_id=ContainerId(""), command=("true",))
        )


async def test_joining_a_network_needs_its_container(bench: EngineBench) -> None:
    """`--network container:ID` takes the other's sandbox, while it runs."""
    owner = await created(bench, "sleep", "1000", name="owner")
    mode = NetworkMode(NetworkModeKind.CONTAINER, "owner")
    guest = await created(bench, "sleep", "1000", network=NetworkSpec(mode=mode))
    with pytest.raises(JoinedContainerNotRunning):
        await bench.services.containers.start(guest)
    await bench.services.containers.start(owner)
    await bench.services.containers.start(guest)
    joined = bench.networks.attached[ContainerId(guest)].joined
    assert joined is not None
    assert joined.namespace_path == f"/netns/{owner}"
    for container_id in (owner, guest):
        await bench.services.containers.remove(container_id, is_forced=True)


async def test_an_oom_kill_is_an_event(bench: EngineBench) -> None:
    """The kernel's notice becomes Docker's `oom`, before the end."""
    container_id = await running(bench)
    task = bench.tasks.living[ContainerId(container_id)]
    ended = await bench.services.containers.wait(container_id, WaitCondition.NEXT_EXIT)
    task.run_out_of_memory()
    task.exit(137)
    await ended
    seen = await actions(bench)
    assert seen.index("oom") < seen.index("die")


async def test_a_life_costs_three_commits(bench: EngineBench) -> None:
    """Create, start and the end are one commit each."""
    before = bench.database.commits
    container_id = await created(bench, "true")
    ended = await bench.services.containers.wait(container_id, WaitCondition.NEXT_EXIT)
    await bench.services.containers.start(container_id)
    await ended
    assert bench.database.commits - before == 3
