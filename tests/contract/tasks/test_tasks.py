"""What every implementation of tasks does: fakes, plain processes, real containers."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.task_bench import TaskBench, fake_bench, plain_bench, real_bench, runc_bench
from wherry.kit.streams import Unframer
from wherry.model.errors.containers import CommandNotFound, StartFailed
from wherry.oci.runtime_spec import Process
from wherry.tasks import ExecRequest, TaskStream

BENCHES = {"fake": fake_bench, "plain": plain_bench, "real": real_bench, "runc": runc_bench}
ENVIRONMENT = ("PATH=/bin:/usr/bin",)


@pytest.fixture(
    params=[
        "fake",
        "plain",
        pytest.param("real", marks=pytest.mark.kernel),
        pytest.param("runc", marks=pytest.mark.kernel),
    ]
)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TaskBench]:
    """One implementation of tasks, with room for containers."""
    async with asyncio.timeout(60), BENCHES[request.param](tmp_path) as made:
        yield made


async def read_all(stream: TaskStream) -> dict[int, bytes]:
    """Everything that a stream gives until its end, by output."""
    outputs: dict[int, bytes] = {}
    unframer = Unframer()
    while data := await stream.read():
        for number, payload in unframer.feed(data):
            outputs[number] = outputs.get(number, b"") + payload
    return outputs


def command(*args: str, **changes: bool) -> ExecRequest:
    """A request to join with a command."""
    return ExecRequest(process=Process(args=args, env=ENVIRONMENT), **changes)


async def test_the_exit_code_and_time_are_true(bench: TaskBench) -> None:
    """A program's own exit code arrives, with a wall time between start and now."""
    before = time.time_ns()
    task = await bench.run("sh", "-c", "exit 3")
    record = await task.wait()
    assert (record.exit_code, record.was_oom_killed, record.error) == (3, False, "")
    assert before <= record.exited_at_ns <= time.time_ns()


async def test_a_signal_is_128_and_its_number(bench: TaskBench) -> None:
    """A program that was killed counts as a shell counts it."""
    task = await bench.run("sleep", "1000")
    await task.signal(signal.SIGKILL)
    assert (await task.wait()).exit_code == 137


async def test_each_of_many_waiters_gets_the_end(bench: TaskBench) -> None:
    """Waiters get one record, a cancelled one takes nothing from the others."""
    task = await bench.run("sleep", "1000")
    waiters = [asyncio.ensure_future(task.wait()) for _ in range(20)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    await task.signal(signal.SIGKILL)
    records = await asyncio.gather(*waiters[1:])
    assert len(set(records)) == 1
    assert waiters[0].cancelled()
    assert await task.wait() == records[0]


async def test_output_is_framed_by_stream(bench: TaskBench) -> None:
    """Attached before the start, nothing is missed and the streams stay apart."""
    task = await bench.spawn("sh", "-c", "echo out; echo err >&2")
    stream = await task.attach(stdin=False, stdout=True, stderr=True)
    await task.start()
    assert await read_all(stream) == {1: b"out\n", 2: b"err\n"}


async def test_only_the_wanted_output_comes(bench: TaskBench) -> None:
    """A client of stderr gets stderr."""
    task = await bench.spawn("sh", "-c", "echo out; echo err >&2")
    stream = await task.attach(stdin=False, stdout=False, stderr=True)
    await task.start()
    assert await read_all(stream) == {2: b"err\n"}


async def test_stdin_reaches_the_program_and_its_end_too(bench: TaskBench) -> None:
    """What is written arrives; the first client's half-close ends the program's stdin."""
    task = await bench.spawn("cat", opens_stdin=True, closes_stdin_after_first=True)
    stream = await task.attach(stdin=True, stdout=True, stderr=True)
    await task.start()
    await stream.write(b"one\n")
    await stream.write(b"two\n")
    await stream.close_stdin()
    assert await read_all(stream) == {1: b"one\ntwo\n"}
    assert (await task.wait()).exit_code == 0


async def test_a_client_of_an_ended_task_gets_the_end(bench: TaskBench) -> None:
    """Attaching too late is an empty stream, not a hang."""
    task = await bench.run("true")
    await task.wait()
    stream = await task.attach(stdin=False, stdout=True, stderr=True)
    assert await stream.read() == b""


async def test_a_command_joins_and_tells_its_end(bench: TaskBench) -> None:
    """An exec session has output and an exit code of its own; init goes on."""
    task = await bench.run("sleep", "1000")
    stream = await task.attach(session="e1", stdin=False, stdout=True, stderr=True)
    pid = await task.exec("e1", command("sh", "-c", "echo out; echo err >&2"))
    assert pid > 0
    assert await read_all(stream) == {1: b"out\n", 2: b"err\n"}
    assert (await task.wait("e1")).exit_code == 0


async def test_a_command_reads_its_stdin(bench: TaskBench) -> None:
    """stdin of an exec session is its own."""
    task = await bench.run("sleep", "1000")
    stream = await task.attach(session="e2", stdin=True, stdout=True, stderr=True)
    await task.exec("e2", command("cat", opens_stdin=True))
    await stream.write(b"for the session")
    await stream.close_stdin()
    assert await read_all(stream) == {1: b"for the session"}


async def test_exits_of_sessions_are_kept_until_asked_for(bench: TaskBench) -> None:
    """A session that nobody waited for is still known."""
    task = await bench.run("sleep", "1000")
    await task.exec("e3", command("sh", "-c", "exit 3"))
    assert (await task.wait("e3")).exit_code == 3
    assert (await task.wait("e3")).exit_code == 3


async def test_a_missing_program_is_named(bench: TaskBench) -> None:
    """A program that is not there fails the spawn or the start, and says which."""
    with pytest.raises(CommandNotFound) as caught:
        await bench.run("no-such-program")
    assert caught.value.program == "no-such-program"
    assert caught.value.in_search_path


async def test_a_missing_program_of_a_command_is_named(bench: TaskBench) -> None:
    """The same for a command that joins; the container goes on."""
    task = await bench.run("sleep", "1000")
    with pytest.raises(CommandNotFound):
        await task.exec("e4", command("no-such-program"))
    await task.signal(signal.SIGKILL)
    assert (await task.wait()).exit_code == 137


async def test_nothing_joins_an_ended_container(bench: TaskBench) -> None:
    """A command for a container that has ended is refused."""
    task = await bench.run("true")
    await task.wait()
    with pytest.raises(StartFailed):
        await task.exec("e5", command("true"))


async def test_an_unknown_session_has_ended(bench: TaskBench) -> None:
    """Waiting for a session that never was doesn't wait for ever."""
    task = await bench.run("sleep", "1000")
    assert (await task.wait("never")).error


async def test_a_spawn_can_be_taken_back(bench: TaskBench) -> None:
    """Discarding a parked container leaves nothing that runs."""
    task = await bench.spawn("sleep", "1000")
    await task.discard()
    assert (
        await bench.tasks.reattach(
            task.container_id, str(bench.place_of(task)), str(bench.place_of(task))
        )
        is None
    )
