"""The Python SDK of Docker, unchanged, against a running engine."""

import io
from collections.abc import Iterator

import docker
import docker.errors
import pytest
from docker import DockerClient

from support.daemon import Engine


@pytest.fixture
def client(engine: Engine) -> Iterator[DockerClient]:
    """A client that negotiates its version."""
    made = DockerClient(base_url=f"unix://{engine.socket}", version="auto", timeout=30)
    yield made
    made.close()


def test_ping_version_info(client: DockerClient) -> None:
    """The first calls of every client."""
    assert client.ping()
    assert client.version()["Os"] == "linux"
    info = client.info()
    assert info["Driver"] == "overlay2"
    assert info["OSType"] == "linux"


def test_run_and_logs(client: DockerClient) -> None:
    """Run to the end returns the output; a failure raises with code and words."""
    assert client.containers.run("busybox", ["echo", "hi"], remove=True) == b"hi\n"
    with pytest.raises(docker.errors.ContainerError) as caught:
        client.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 3"], remove=True)
    assert caught.value.exit_status == 3


def test_life_of_a_container(client: DockerClient) -> None:
    """Create, start, exec, pause, stop, wait, remove, as objects."""
    container = client.containers.create(
        "busybox", ["sleep", "100"], name="sdk", labels={"a": "b"}
    )
    container.start()
    container.reload()
    assert container.status == "running"
    code, output = container.exec_run(["sh", "-c", "echo inside; exit 4"])
    assert (code, output) == (4, b"inside\n")
    code, (out, err) = container.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True)
    assert (code, out, err) == (0, b"o\n", b"e\n")
    container.pause()
    container.unpause()
    assert container.top()["Processes"]
    assert [each.name for each in client.containers.list(filters={"label": "a=b"})] == ["sdk"]
    container.rename("sdk2")
    container.stop(timeout=0)
    assert container.wait()["StatusCode"] == 137
    container.remove()
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("sdk2")


def test_attach_stdin(client: DockerClient) -> None:
    """The raw socket of attach carries input."""
    container = client.containers.create("busybox", ["cat"], stdin_open=True)
    socket = container.attach_socket(params={"stdin": 1, "stream": 1, "stdout": 1})
    container.start()
    socket._sock.sendall(b"typed\n")
    assert socket._sock.recv(100)[8:] == b"typed\n"
    socket.close()


def test_images(client: DockerClient) -> None:
    """List, get, tag, save, load, remove."""
    image = client.images.get("busybox")
    assert image.tag("sdk/box", "1")
    archive = b"".join(client.images.get("sdk/box:1").save(named="sdk/box:1"))
    client.images.remove("sdk/box:1")
    loaded = client.images.load(io.BytesIO(archive).getvalue())
    assert loaded[0].id == image.id
    client.images.remove("sdk/box:1")
    assert client.images.get("busybox").history()


def test_events_decode(client: DockerClient) -> None:
    """The event stream is followed while things happen."""
    stream = client.events(decode=True, filters={"type": "container"})
    client.containers.run("busybox", ["true"], remove=True)
    actions = []
    for event in stream:
        actions.append(event["Action"])
        if event["Action"] == "destroy":
            break
    stream.close()
    assert actions == ["create", "start", "die", "destroy"]


def test_errors_are_typed(client: DockerClient) -> None:
    """Missing things and conflicts raise the SDK's own errors."""
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nothing:1")
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("nobody")
    with pytest.raises(docker.errors.APIError) as caught:
        client.containers.create("busybox", name="../x")
    assert caught.value.status_code == 400
