"""Shims of real containers: cgroups, memory, freezing, namespaces, and what they leave."""

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.task_bench import TaskBench, real_bench
from support.waiting import wait_until
from wherry.logs.options import LogTarget
from wherry.model.errors.containers import StartFailed
from wherry.model.tasks import ExitRecord
from wherry.oci.runtime_spec import Memory, Process, Resources, RootfsMount
from wherry.operations.journal import from_json
from wherry.operations.journal_files import read_journal
from wherry.operations.plan import Hands, undo
from wherry.tasks import ExecRequest, ForeignRuntimeChoice, SpawnRequest, Task

pytestmark = pytest.mark.kernel


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[TaskBench]:
    """Tasks with a busybox root."""
    async with asyncio.timeout(60), real_bench(tmp_path) as made:
        yield made


def is_gone(pid: int) -> bool:
    """Whether there is no such process, or a zombie that its parent has yet to see."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def parent_of(pid: int) -> int:
    """The process id of its parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def cgroups_of(pid: int) -> list[Path]:
    """The directories of a process's cgroups that are a test container's own."""
    found = []
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if "wherry-task-tests" not in path:
            continue
        name = controllers.removeprefix("name=").split(",")[0] or "unified"
        places = [Path(f"/sys/fs/cgroup/{name}{path}"), Path(f"/sys/fs/cgroup{path}")]
        found += [place for place in places if place.exists()][:1]
    return found


async def test_an_end_leaves_no_cgroup(bench: TaskBench) -> None:
    """After the exit the container's cgroups are removed and the journal says so."""
    task = await bench.run("sleep", "1000")
    cgroups = cgroups_of(task.pid)
    assert cgroups
    await task.signal(signal.SIGKILL)
    assert (await task.wait()).exit_code == 137
    await task.delete()
    wait_until("the shim leaves", lambda: is_gone(task.shim_pid))
    assert not [each for each in cgroups if each.exists()]


async def test_a_killed_shim_takes_its_container_along(bench: TaskBench) -> None:
    """Every process is killed through the cgroup within two seconds, nothing is left."""
    task = await bench.run("sh", "-c", "sleep 1000 & sleep 1000 & wait")
    cgroups = cgroups_of(task.pid)
    wait_until("the journal", (bench.place_of(task) / "journal.json").exists)
    os.kill(task.shim_pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        record = await task.wait()
    assert (record.exit_code, bool(record.error)) == (137, True)
    wait_until("the container is gone", lambda: is_gone(task.pid))
    assert not [each for each in cgroups if each.exists()]


async def test_a_shim_killed_before_its_journal(bench: TaskBench) -> None:
    """The container of a shim that dies before it has kept its journal is ended all the same."""
    task = await bench.spawn("sleep", "1000")
    cgroups = cgroups_of(task.pid)
    journal = bench.place_of(task) / "journal.json"
    journal.mkdir()  # No file can take its place: as if the shim had come no further.
    await task.start()
    os.kill(task.shim_pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        record = await task.wait()
    assert (record.exit_code, bool(record.error)) == (137, True)
    wait_until("the container is gone", lambda: is_gone(task.pid))
    assert not [each for each in cgroups if each.exists()]


async def test_a_first_process_killed_before_its_start(bench: TaskBench) -> None:
    """Who starts it is told so, and nothing of the container is left."""
    task = await bench.spawn("sleep", "1000")
    cgroups = cgroups_of(task.pid)
    os.kill(task.pid, signal.SIGKILL)
    wait_until("it is gone", lambda: not [each for each in cgroups if each.exists()])
    with pytest.raises(StartFailed, match="killed before its start"):
        await task.start()
    wait_until("the shim leaves", lambda: is_gone(task.shim_pid))


async def test_a_keeper_takes_over_what_is_large(bench: TaskBench) -> None:
    """Labels of half a megabyte in its log cross from the maker to the keeper."""
    log = LogTarget(
        path=str(bench.directory / "large.log"), attributes={"label": "x" * (512 << 10)}
    )
    task = await bench.run("sleep", "1000", log=log)
    wait_until("the keeper has it", lambda: parent_of(task.pid) == task.shim_pid)


async def test_orders_that_are_too_large(bench: TaskBench) -> None:
    """They are refused in words; the spawner and the shim go on, and so do others."""
    task = await bench.run("sleep", "1000")
    spawner = bench.tasks.spawner_pid
    large = "x" * (1 << 20)
    log = LogTarget(path=str(bench.directory / "large.log"), attributes={"label": large})
    with pytest.raises(StartFailed, match="more than 1048576 bytes"):
        await bench.spawn("true", log=log)
    process = Process(args=("true",), env=("PATH=/bin", f"LARGE={large}"))
    with pytest.raises(StartFailed, match="more than 1048576 bytes"):
        await task.exec("large", ExecRequest(process=process))
    assert bench.tasks.spawner_pid == spawner
    await task.exec("small", ExecRequest(process=replace(process, env=("PATH=/bin",))))
    assert (await task.wait("small")).exit_code == 0


def descriptors_of(pid: int) -> set[int]:
    """What a process has open."""
    return {int(each) for each in os.listdir(f"/proc/{pid}/fd")}


async def test_an_exec_without_descriptors_to_spare(bench: TaskBench) -> None:
    """It is refused, leaves no session behind, and works when there are some again."""
    task = await bench.run("sleep", "1000")
    wait_until("the keeper has it", lambda: parent_of(task.pid) == task.shim_pid)
    request = ExecRequest(process=Process(args=("true",), env=("PATH=/bin",)), opens_stdin=True)
    await task.exec("first", request)
    await task.wait("first")
    held = descriptors_of(task.shim_pid)
    free = [number for number in range(len(held) + 4) if number not in held]
    limits = resource.prlimit(task.shim_pid, resource.RLIMIT_NOFILE)
    for limit in free[:4]:
        resource.prlimit(task.shim_pid, resource.RLIMIT_NOFILE, (limit, limits[1]))
        with pytest.raises(StartFailed, match="too many open files"):
            await task.exec("second", request)
        assert descriptors_of(task.shim_pid) == held
    resource.prlimit(task.shim_pid, resource.RLIMIT_NOFILE, limits)
    await task.exec("second", request)


@pytest.mark.parametrize("runtime", [None, ForeignRuntimeChoice(name="runc", path="runc")])
async def test_a_root_that_can_not_be(
    bench: TaskBench, runtime: ForeignRuntimeChoice | None
) -> None:
    """It is refused in words, whoever was to make the container."""
    rootfs = RootfsMount(type="aufs", directory="/", source="/")
    with pytest.raises(StartFailed, match="a root of type aufs can't be mounted"):
        await bench.spawn("true", rootfs=rootfs, runtime=runtime)


async def test_a_lost_journal_leaves_no_cgroup(bench: TaskBench) -> None:
    """A keeper clears its container away though the journal was removed meanwhile."""
    task = await bench.run("sleep", "1000")
    cgroups = cgroups_of(task.pid)
    wait_until("the keeper has it", lambda: parent_of(task.pid) == task.shim_pid)
    (bench.place_of(task) / "journal.json").unlink()
    await task.signal(signal.SIGKILL)
    await task.wait()
    await task.delete()
    assert not [each for each in cgroups if each.exists()]


async def test_frozen_processes_do_nothing(bench: TaskBench) -> None:
    """Pause stops the output, resume lets it go on."""
    script = "while true; do echo x; sleep 0.01; done"
    task = await bench.run("sh", "-c", script)
    log = bench.log_of(task)
    wait_until("output", lambda: log.stat().st_size > 500)
    await task.pause()
    frozen_at = log.stat().st_size
    with pytest.raises(AssertionError):
        wait_until("more", lambda: log.stat().st_size > frozen_at + 200, within_s=0.3)
    await task.resume()
    wait_until("more", lambda: log.stat().st_size > frozen_at + 200)


def limited(request: SpawnRequest, limit: int) -> SpawnRequest:
    """The same container with a memory limit."""
    memory = Memory(limit=limit, swap=limit)
    linux = replace(request.spec.linux, resources=Resources(memory=memory))
    return replace(request, spec=replace(request.spec, linux=linux))


async def test_a_kill_for_want_of_memory_is_reported(bench: TaskBench) -> None:
    """The record says so, and the notice came while it ran."""
    request = limited(bench.request("sh", "-c", "exec tail /dev/zero"), 8 << 20)
    task = await bench.tasks.spawn(request)
    bench.made.append(task)
    noticed = asyncio.Event()
    task.on_oom(noticed.set)
    await task.start()
    record = await task.wait()
    assert (record.exit_code, record.was_oom_killed) == (137, True)
    async with asyncio.timeout(2):
        await noticed.wait()


async def test_a_command_is_in_the_containers_namespaces(bench: TaskBench) -> None:
    """It sees the container's processes and host name, not the host's."""
    task = await bench.run("sleep", "1000")
    stream = await task.attach(session="e", stdin=False, stdout=True, stderr=True)
    process = Process(args=("sh", "-c", "hostname; cat /proc/1/comm"), env=("PATH=/bin",))
    await task.exec("e", ExecRequest(process=process))
    output = b""
    while data := await stream.read():
        output += data
    assert b"bench\n" in output
    assert b"sleep\n" in output


async def test_commands_join_after_the_daemon_came_back(bench: TaskBench) -> None:
    """Exec, signals and the end work on a task that was found again."""
    task = await bench.run("sleep", "1000")
    place = str(bench.place_of(task))
    task.let_go()
    found = await bench.tasks.reattach(task.container_id, place, place)
    assert isinstance(found, Task)
    bench.made.append(found)
    process = Process(args=("sh", "-c", "exit 3"), env=("PATH=/bin",))
    await found.exec("e", ExecRequest(process=process))
    assert (await found.wait("e")).exit_code == 3
    await found.signal(signal.SIGTERM)
    os.kill(found.pid, signal.SIGKILL)
    assert (await found.wait()).exit_code == 137


async def test_a_network_namespace_stays_and_can_be_undone(bench: TaskBench) -> None:
    """The job gives a netlink socket inside and a journal that takes it away again."""
    path = str(bench.directory / "netns")
    descriptor, entries = await bench.tasks.make_network_namespace(path)
    try:
        assert os.stat(path).st_ino != os.stat("/proc/self/ns/net").st_ino
        again = await bench.tasks.open_netlink(path)
        os.close(again)
    finally:
        os.close(descriptor)
        problems = undo(from_json(entries), Hands())
    assert problems == []
    assert not os.path.exists(path)


async def test_the_interpreter_can_not_be_opened_for_writing(bench: TaskBench) -> None:
    """/proc/PID/exe of spawner and shim is on a read-only file system (CVE-2019-5736)."""
    task = await bench.run("sleep", "1000")
    for pid in (bench.tasks.spawner_pid, task.shim_pid):
        with pytest.raises(OSError, match="Read-only file system"):
            os.open(f"/proc/{pid}/exe", os.O_WRONLY)


async def test_ps_shows_whose_shim_it_is(bench: TaskBench) -> None:
    """Name and arguments say `wherry-shim` and the container's short id."""
    task = await bench.run("sleep", "1000")
    assert Path(f"/proc/{task.shim_pid}/comm").read_text() == "wherry-shim\n"
    arguments = Path(f"/proc/{task.shim_pid}/cmdline").read_bytes().rstrip(b"\0")
    assert arguments.decode() == f"wherry-shim {task.container_id[:12]}"


async def test_the_socket_is_the_owners_alone(bench: TaskBench) -> None:
    """shim.sock is a path socket of mode 0600."""
    task = await bench.run("sleep", "1000")
    assert (bench.place_of(task) / "shim.sock").stat().st_mode & 0o777 == 0o600


async def test_the_journal_names_what_was_done(bench: TaskBench) -> None:
    """It can be read back, with entries of parent and child."""
    task = await bench.run("sleep", "1000")
    place = bench.place_of(task)
    wait_until("the journal", (place / "journal.json").exists)
    journal = read_journal(str(place / "journal.json"))
    assert journal is not None
    kinds = {entry.operation.kind for entry in journal}
    assert {"make-cgroup", "fork", "execve"} <= kinds


async def test_an_exit_in_the_daemons_absence_is_true(bench: TaskBench) -> None:
    """A real container's end is found on disk by the next daemon, and its cgroups are gone."""
    task = await bench.run("sh", "-c", "sleep 1000; exit 9")
    cgroups = cgroups_of(task.pid)
    place = str(bench.place_of(task))
    task.let_go()
    os.kill(task.pid, signal.SIGKILL)
    wait_until("the shim leaves", lambda: is_gone(task.shim_pid))
    found = await bench.tasks.reattach(task.container_id, place, place)
    assert isinstance(found, ExitRecord)
    assert (found.exit_code, found.error) == (137, "")
    assert not [each for each in cgroups if each.exists()]
