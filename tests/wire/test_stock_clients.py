"""The stock CLI and the Python SDK against a fake engine: what strangers make of the API."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import pytest

from support.fake_engine import FakeEngine, served
from wherry.kit.streams import STDERR, STDOUT
from wherry.model.errors.containers import CommandNotExecutable, CommandNotFound
from wherry.model.queries import LogLine

DOCKER = shutil.which("docker")
needs_docker = pytest.mark.skipif(DOCKER is None, reason="this host has no docker CLI")


async def run_docker(
    path: str, *arguments: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the stock CLI to its end."""
    return await asyncio.to_thread(
        subprocess.run,
        ["docker", "-H", f"unix://{path}", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DOCKER_CONFIG": "/nonexistent"},
    )


@contextmanager
def sdk(path: str) -> Iterator[docker.DockerClient]:
    """The Python SDK, connected."""
    client = docker.DockerClient(base_url=f"unix://{path}", timeout=20)
    try:
        yield client
    finally:
        client.close()


@needs_docker
async def test_the_cli_creates_lists_and_removes() -> None:
    """create, start, ps, inspect, port, rm: the everyday walk."""
    async with served(FakeEngine()) as path:
        made = await run_docker(
            path, "create", "--name", "web", "-p", "8080:80", "-v", "/tmp:/mnt", "busybox", "a"
        )
        assert made.returncode == 0, made.stderr
        assert (await run_docker(path, "start", "web")).stdout == "web\n"
        listed = await run_docker(path, "ps", "--format", "{{.Names}} {{.Ports}} {{.Status}}")
        assert listed.stdout == "web 0.0.0.0:8080->80/tcp Up Less than a second\n"
        ports = await run_docker(path, "port", "web")
        assert ports.stdout == "80/tcp -> 0.0.0.0:8080\n"
        refused = await run_docker(path, "rm", "web")
        assert refused.returncode == 1
        assert "container is running: stop the container before removing" in refused.stderr
        assert (await run_docker(path, "rm", "-f", "web")).stdout == "web\n"


@needs_docker
async def test_the_cli_runs_exec_with_input() -> None:
    """`docker exec -i`: input by half-close, output by frames."""
    async with served(FakeEngine(echoes=True)) as path:
        await run_docker(path, "create", "--name", "web", "busybox")
        await run_docker(path, "start", "web")
        echoed = await run_docker(path, "exec", "-i", "web", "cat", given="hello\n")
        assert (echoed.returncode, echoed.stdout) == (0, "hello\n")
        said = await run_docker(path, "exec", "web", "echo", "hi")
        assert (said.returncode, said.stdout) == (0, "hi\n")
        missing = await run_docker(path, "exec", "web", "nope")
        assert missing.returncode == 127
        assert "executable file not found in $PATH" in missing.stdout


@needs_docker
@pytest.mark.parametrize(
    ("failure", "exit_code"),
    [
        (CommandNotFound("nope", in_search_path=True), 127),
        (CommandNotFound("/nope", in_search_path=False), 127),
        (CommandNotExecutable("/etc", "permission denied"), 126),
    ],
)
async def test_the_cli_finds_the_exit_code_of_a_failed_start(
    failure: Exception, exit_code: int
) -> None:
    """`docker run` of a program that is not there, or is none."""
    engine = FakeEngine()
    async with served(engine) as path:
        await run_docker(path, "create", "--name", "web", "busybox")
        engine.fails = failure
        started = await run_docker(path, "start", "web")
        assert started.returncode == 1
        original = type(engine).note

        def failing(self: FakeEngine, *call: object) -> None:
            if call[0] == "start":
                raise failure
            original(self, *call)

        engine.note = failing.__get__(engine)  # type: ignore[method-assign]
        ran = await run_docker(path, "run", "busybox", "nope")
        assert ran.returncode == exit_code, ran.stderr


@needs_docker
async def test_the_cli_pulls_what_is_not_there() -> None:
    """`docker run` of an image that is not there asks for a pull of its default tag."""
    engine = FakeEngine()
    async with served(engine) as path:
        ran = await run_docker(path, "run", "nope")
        assert ran.returncode == 125
        assert "Unable to find image 'nope:latest' locally" in ran.stderr
        assert ("pull", "docker.io/library/nope:latest", "", False) in engine.calls


@needs_docker
async def test_the_cli_inspects_what_is_not_there() -> None:
    """Every kind of object says not found, so that the CLI can say so too."""
    async with served(FakeEngine()) as path:
        looked = await run_docker(path, "inspect", "nope")
        assert looked.returncode == 1
        assert "No such object: nope" in looked.stderr


@needs_docker
async def test_the_cli_reads_logs_and_info() -> None:
    """Framed logs are split into the two streams; info and version are complete."""
    engine = FakeEngine(log=[LogLine(STDOUT, 5, b"out\n"), LogLine(STDERR, 6, b"err\n")])
    async with served(engine) as path:
        await run_docker(path, "create", "--name", "web", "busybox")
        logs = await run_docker(path, "logs", "web")
        assert (logs.stdout, logs.stderr) == ("out\n", "err\n")
        assert "Storage Driver: overlay2" in (await run_docker(path, "info")).stdout
        assert "wherry-runtime" in (await run_docker(path, "version")).stdout


async def test_the_sdk_runs_exec() -> None:
    """docker-py: demultiplexed, as a socket, and detached."""
    async with served(FakeEngine()) as path:

        def work() -> tuple[object, ...]:
            with sdk(path) as client:
                container = client.containers.create("busybox", "sleep", name="web")
                container.start()
                plain = container.exec_run(["echo", "hi"])
                split = container.exec_run(["echo", "hi"], demux=True)
                detached = container.exec_run(["true"], detach=True)
                return plain.output, split.output, detached.exit_code

        plain, split, detached = await asyncio.to_thread(work)
        assert plain == b"hi\n"
        assert split == (b"hi\n", None)
        assert detached == 0


async def test_the_sdk_lists_inspects_waits_and_removes() -> None:
    """docker-py's objects can be made of our answers."""
    engine = FakeEngine()
    async with served(engine) as path:

        def work() -> tuple[object, ...]:
            with sdk(path) as client:
                container = client.containers.create(
                    "busybox", "sleep 5", name="web", ports={"80/tcp": 8080}, mem_limit="64m"
                )
                container.start()
                container.reload()
                listed = [each.name for each in client.containers.list()]
                container.stop()
                code = container.wait()["StatusCode"]
                container.remove()
                return container.attrs["HostConfig"]["Memory"], listed, code

        memory, listed, code = await asyncio.to_thread(work)
        assert (memory, listed, code) == (64 << 20, ["web"], 143)


async def test_the_sdk_sees_docker_errors() -> None:
    """Not found is not found, a taken name is a conflict."""
    async with served(FakeEngine()) as path:

        def work() -> None:
            with sdk(path) as client:
                with pytest.raises(docker.errors.NotFound):
                    client.containers.get("nope")
                with pytest.raises(docker.errors.ImageNotFound):
                    client.containers.create("nope")
                client.containers.create("busybox", name="web")
                with pytest.raises(docker.errors.APIError) as conflict:
                    client.containers.create("busybox", name="web")
                assert conflict.value.status_code == 409

        await asyncio.to_thread(work)
