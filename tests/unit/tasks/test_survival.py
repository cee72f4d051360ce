"""What outlives what: daemon, spawner and shim die one at a time (with plain processes)."""

import asyncio
import hashlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.log_lines import read_lines
from support.task_bench import TaskBench, plain_bench
from support.waiting import wait_until
from wherry.kit.streams import Unframer
from wherry.model.errors.containers import StartFailed
from wherry.model.tasks import ExitRecord
from wherry.oci.runtime_spec import Process
from wherry.shim.records import read_end
from wherry.tasks import ExecRequest, Task


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[TaskBench]:
    """A spawner and shims of plain processes."""
    async with asyncio.timeout(60), plain_bench(tmp_path) as made:
        yield made


async def find_again(bench: TaskBench, task: Task) -> Task | ExitRecord | None:
    """What a daemon that starts now learns of a container."""
    place = str(bench.place_of(task))
    found: Task | ExitRecord | None = await bench.tasks.reattach(task.container_id, place, place)
    if isinstance(found, Task):
        bench.made.append(found)
    return found


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def below(ancestor: int) -> list[int]:
    """The processes that descend from one."""
    everyone = [int(each) for each in os.listdir("/proc") if each.isdigit()]
    return [each for each in everyone if descends(each, ancestor)]


def title_of(pid: int) -> str:
    """What `ps` shows."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descends(pid: int, ancestor: int) -> bool:
    """Whether a process is below another one."""
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return False
        if pid == ancestor:
            return True
    return False


async def test_a_daemon_finds_its_containers_again(bench: TaskBench) -> None:
    """After the daemon is gone the container runs on, writes its log, and is taken over."""
    task = await bench.run("sh", "-c", "echo one; read line; echo $line; exec sleep 1000",
                           opens_stdin=True)  # fmt: skip
    task.let_go()
    found = await find_again(bench, task)
    assert isinstance(found, Task)
    assert (found.pid, found.shim_pid) == (task.pid, task.shim_pid)
    stream = await found.attach(stdin=True, stdout=True, stderr=True)
    await stream.write(b"two\n")
    seen = b""
    while not seen.endswith(b"two\n"):
        seen += await stream.read()
    log = str(bench.log_of(task))
    assert [line.content for line in read_lines(log)] == [b"one\n", b"two\n"]
    await found.signal(signal.SIGKILL)
    assert (await found.wait()).exit_code == 137


async def test_an_exit_that_nobody_saw_is_read_later(bench: TaskBench) -> None:
    """Without a daemon the shim writes the end down and leaves; code and time are true."""
    task = await bench.run("sh", "-c", "read line; exit 7", opens_stdin=True,
                           closes_stdin_after_first=True)  # fmt: skip
    stream = await task.attach(stdin=True, stdout=False, stderr=False)
    before = time.time_ns()
    task.let_go()
    await stream.close()
    wait_until("the shim leaves", lambda: not is_alive(task.shim_pid))
    found = await find_again(bench, task)
    assert isinstance(found, ExitRecord)
    assert found.exit_code == 7
    assert before <= found.exited_at_ns <= time.time_ns()


async def test_ends_of_sessions_wait_for_the_daemon(bench: TaskBench) -> None:
    """An exec session that ended while no daemon was there is known after the take-over."""
    task = await bench.run("sleep", "1000")
    go = bench.directory / "go"
    script = f"while [ ! -e {go} ]; do sleep 0.01; done; exit 5"
    process = Process(args=("sh", "-c", script), env=("PATH=/bin:/usr/bin",))
    pid = await task.exec("e1", ExecRequest(process=process))
    task.let_go()
    go.touch()
    wait_until("the session ends", lambda: not is_alive(pid))
    found = await find_again(bench, task)
    assert isinstance(found, Task)
    assert (await found.wait("e1")).exit_code == 5


async def test_a_running_session_is_waited_for_after_the_take_over(bench: TaskBench) -> None:
    """A session that still runs is known too, and its end arrives."""
    task = await bench.run("sleep", "1000")
    process = Process(args=("sleep", "1000"), env=("PATH=/bin:/usr/bin",))
    pid = await task.exec("e1", ExecRequest(process=process))
    task.let_go()
    found = await find_again(bench, task)
    assert isinstance(found, Task)
    waiting = asyncio.ensure_future(found.wait("e1"))
    await asyncio.sleep(0)
    # Before its execve(2) it has the spawner's handlers, which do nothing.
    wait_until("it has become its program", lambda: title_of(pid).startswith("sleep"))
    os.kill(pid, signal.SIGTERM)
    assert (await waiting).exit_code == 143


async def test_a_killed_shim_ends_the_container(bench: TaskBench) -> None:
    """Waiters learn within two seconds that the end is not known; it is on disk too."""
    task = await bench.run("sleep", "1000")
    os.kill(task.shim_pid, signal.SIGKILL)
    async with asyncio.timeout(2):
        record = await task.wait()
    assert record.exit_code == 137
    assert "shim" in record.error
    kept = read_end(str(bench.place_of(task)))
    assert kept is not None
    assert kept.ending.exit_code == 137
    os.kill(task.pid, signal.SIGKILL)


async def test_a_shim_killed_while_nobody_looked_is_noticed(bench: TaskBench) -> None:
    """The next daemon finds a journal and no shim: the container counts as killed."""
    task = await bench.run("sleep", "1000")
    wait_until("the journal", (bench.place_of(task) / "journal.json").exists)
    task.let_go()
    os.kill(task.shim_pid, signal.SIGKILL)
    wait_until("the shim is gone", lambda: not is_alive(task.shim_pid))
    found = await find_again(bench, task)
    assert isinstance(found, ExitRecord)
    assert (found.exit_code, bool(found.error)) == (137, True)
    os.kill(task.pid, signal.SIGKILL)


async def test_a_killed_spawner_is_replaced(bench: TaskBench) -> None:
    """Containers don't notice, and the next spawn starts another spawner."""
    first = await bench.run("sleep", "1000")
    spawner = bench.tasks.spawner_pid
    os.kill(spawner, signal.SIGKILL)
    wait_until("the spawner is gone", lambda: not is_alive(spawner))
    second = await bench.run("true")
    assert (await second.wait()).exit_code == 0
    assert bench.tasks.spawner_pid != spawner
    await first.signal(signal.SIGTERM)
    assert (await first.wait()).exit_code == 143


async def test_no_process_is_left_of_a_killed_spawner(bench: TaskBench) -> None:
    """The pair that waits for the next request goes with it."""
    spawner = bench.tasks.spawner_pid
    pair = wait_until("a pair waits", lambda: below(spawner) if len(below(spawner)) == 2 else ())
    assert all("wherry-spawner" in title_of(each) for each in pair)
    os.kill(spawner, signal.SIGKILL)
    wait_until("all are gone", lambda: not any(is_alive(each) for each in pair))


async def test_a_parked_container_goes_with_its_daemon(bench: TaskBench) -> None:
    """A daemon that dies between spawn and start leaves no process."""
    task = await bench.spawn("sleep", "1000")
    pid, shim_pid = task.pid, task.shim_pid
    bench.made.remove(task)
    task.let_go()
    wait_until("both are gone", lambda: not is_alive(pid) and not is_alive(shim_pid))


async def test_a_deleted_task_leaves_no_process(bench: TaskBench) -> None:
    """After delete the shim ends; doing it twice is no error."""
    task = await bench.run("true")
    await task.wait()
    await task.delete()
    await task.delete()
    wait_until("the shim leaves", lambda: not is_alive(task.shim_pid))


async def test_jobs_of_a_spawner_that_refuses_fail(bench: TaskBench) -> None:
    """A job that the spawner doesn't know is an error, not a hang."""
    with pytest.raises(StartFailed):
        await bench.tasks.open_netlink("/nowhere")


async def test_a_stalled_client_is_cut_and_the_log_is_whole(bench: TaskBench) -> None:
    """A client that doesn't read loses its place, with a sentence; the container goes on."""
    lines = 300_000
    task = await bench.spawn("seq", str(lines))
    stalled = await task.attach(stdin=False, stdout=True, stderr=True)
    begun = time.monotonic()
    await task.start()
    assert (await task.wait()).exit_code == 0
    assert time.monotonic() - begun < 5
    assert sum(1 for _ in read_lines(str(bench.log_of(task)))) == lines
    seen: dict[int, bytes] = {}
    unframer = Unframer()
    while data := await stalled.read():
        for stream, payload in unframer.feed(data):
            seen[stream] = seen.get(stream, b"") + payload
    assert b"did not read" in seen[3]
    assert seen[1].startswith(b"1\n2\n3\n")


async def test_a_slow_client_that_goes_on_reading_loses_nothing(bench: TaskBench) -> None:
    """Reading in small steps holds the program back instead of losing its output."""
    task = await bench.spawn("seq", "400000")
    stream = await task.attach(stdin=False, stdout=True, stderr=True)
    await task.start()
    total, unframer = 0, Unframer()
    while data := await stream.read():
        total += sum(len(payload) for number, payload in unframer.feed(data) if number == 1)
        await asyncio.sleep(0)
    assert total == sum(len(f"{number}\n") for number in range(1, 400_001))


async def test_a_session_waits_for_its_slow_client(bench: TaskBench) -> None:
    """Output of a command that joined is never cut: its client is all that it has."""
    task = await bench.run("sleep", "1000")
    stream = await task.attach(session="e", stdin=False, stdout=True, stderr=False)
    process = Process(args=("head", "-c", "3000000", "/dev/zero"), env=("PATH=/bin:/usr/bin",))
    await task.exec("e", ExecRequest(process=process))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.8):
            await task.wait("e")
    total, unframer = 0, Unframer()
    while data := await stream.read():
        total += sum(len(payload) for _number, payload in unframer.feed(data))
    assert total == 3_000_000
    assert (await task.wait("e")).exit_code == 0


async def test_large_input_waits_for_its_reader(bench: TaskBench) -> None:
    """More stdin than pipes hold arrives whole, in order."""
    task = await bench.spawn("md5sum", opens_stdin=True, closes_stdin_after_first=True)
    stream = await task.attach(stdin=True, stdout=True, stderr=True)
    await task.start()
    for _ in range(32):
        await stream.write(b"x" * 65536)
    await stream.close()
    record = await task.wait()
    assert record.exit_code == 0
    (line,) = read_lines(str(bench.log_of(task)))
    expected = hashlib.md5(b"x" * 65536 * 32).hexdigest()
    assert line.content.split()[0] == expected.encode()


async def test_a_terminal_has_a_size_and_echoes(bench: TaskBench) -> None:
    """With a terminal output is raw, and a size set before the start is there at the start."""
    task = await bench.spawn("sh", "-c", "stty size; read line", terminal=True, opens_stdin=True)
    stream = await task.attach(stdin=True, stdout=True, stderr=True)
    await task.resize(33, 77)
    await task.start()
    said = b""
    while not said.endswith(b"\n"):
        said += await stream.read()
    assert said == b"33 77\r\n"
    await stream.write(b"\n")
    assert (await task.wait()).exit_code == 0
