"""The Python SDK of Docker, unchanged, against a running engine."""

import io
import tarfile
import time
from collections.abc import Iterator

import docker
import docker.errors
import pytest
from docker import DockerClient
from docker.models.containers import Container

from support.daemon import Engine
from support.waiting import wait_until


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


# -- everything that one does with a container -----------------------------------------------


@pytest.fixture
def worker(client: DockerClient, engine: Engine) -> Iterator[Container]:
    """A running container that prints what it is sent."""
    made = client.containers.create(
        "busybox", ["sh", "-c", "echo ready; exec cat"], name="worker", stdin_open=True,
        labels={"part": "sdk"}, environment={"A": "b"},
    )  # fmt: skip
    made.start()
    wait_until("it is ready", lambda: made.logs() == b"ready\n")
    yield made
    engine.remove_all_containers()


def test_create_and_inspect(worker: Container) -> None:
    """What was asked for is what the attributes say."""
    worker.reload()
    assert worker.attrs["Config"]["Env"][0] == "A=b"
    assert (worker.labels, worker.status) == ({"part": "sdk"}, "running")
    assert worker.short_id == worker.id[:12]


def test_exec_streams_and_codes(client: DockerClient, worker: Container) -> None:
    """An exec as a stream, with a user and a directory, and its exit code afterwards."""
    code, output = worker.exec_run("id -u", user="nobody", workdir="/tmp")
    assert (code, output) == (0, b"65534\n")
    session = client.api.exec_create(worker.id, ["sh", "-c", "echo a; echo b >&2; exit 5"])
    pieces = list(client.api.exec_start(session, stream=True, demux=True))
    assert b"".join(out or b"" for out, _err in pieces) == b"a\n"
    assert b"".join(err or b"" for _out, err in pieces) == b"b\n"
    assert client.api.exec_inspect(session)["ExitCode"] == 5


def test_logs_in_every_way(worker: Container) -> None:
    """Tailed, with times, since a moment, and followed."""
    assert worker.logs(tail=1) == b"ready\n"
    assert worker.logs(timestamps=True).split(b" ", 1)[1] == b"ready\n"
    assert worker.logs(since=2**31) == b""
    followed = worker.logs(stream=True, follow=True)
    assert next(followed) == b"ready\n"
    followed.close()


def test_attach_both_ways(worker: Container) -> None:
    """What is typed comes back, on the socket and in the logs."""
    attached = worker.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    attached._sock.sendall(b"typed\n")
    assert attached._sock.recv(100)[8:] == b"typed\n"
    attached.close()
    assert worker.logs(tail=1) == b"typed\n"


def test_stats(worker: Container) -> None:
    """One sample, and a stream of them."""
    sample = worker.stats(stream=False)
    assert sample["id"] == worker.id
    assert sample["pids_stats"]["current"] >= 1
    assert sample["memory_stats"]["usage"] > 0
    samples = worker.stats(stream=True, decode=True)
    assert next(samples)["name"] == "/worker"
    samples.close()


def test_files_in_and_out(worker: Container) -> None:
    """put_archive and get_archive carry a tree and its metadata."""
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode="w") as tar:
        entry = tarfile.TarInfo("note")
        entry.size, entry.mode = 5, 0o640
        tar.addfile(entry, io.BytesIO(b"hello"))
    assert worker.put_archive("/tmp", sent.getvalue())
    pieces, status = worker.get_archive("/tmp/note")
    assert (status["name"], status["size"]) == ("note", 5)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        member = tar.extractfile("note")
        assert member is not None
        assert member.read() == b"hello"
        assert tar.getmember("note").mode & 0o777 == 0o640
    assert {"Path": "/tmp/note", "Kind": 1} in worker.diff()


def test_commit_and_run(client: DockerClient, worker: Container) -> None:
    """A commit with changes is an image of which containers are made."""
    worker.exec_run("sh -c 'echo kept >/kept'")
    image = worker.commit("sdk/commit", "1", message="m", author="a", changes="CMD cat /kept")
    assert image.attrs["Author"] == "a"
    assert client.containers.run("sdk/commit:1", remove=True) == b"kept\n"
    client.images.remove("sdk/commit:1")


def test_export(worker: Container) -> None:
    """The whole tree as a tar."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(worker.export()))) as tar:
        assert "bin/busybox" in tar.getnames()


def test_update(worker: Container) -> None:
    """Limits of a running container."""
    worker.update(mem_limit="64m", memswap_limit="64m")
    worker.reload()
    assert worker.attrs["HostConfig"]["Memory"] == 64 << 20


def test_events_with_filters(client: DockerClient, worker: Container) -> None:
    """Past events of one container."""
    found = client.events(
        decode=True, since=0, until=int(time.time()) + 1, filters={"container": worker.id}
    )
    assert [event["Action"] for event in found][:2] == ["create", "start"]


def test_prunes(client: DockerClient, engine: Engine) -> None:
    """Containers, images, networks and volumes that nobody uses."""
    gone = client.containers.create("busybox", ["true"])
    assert client.containers.prune()["ContainersDeleted"] == [gone.id]
    assert client.images.prune()["SpaceReclaimed"] == 0
    assert not client.networks.prune()["NetworksDeleted"]
    volume = client.volumes.create("sdk-volume")
    assert client.volumes.prune(filters={"all": True})["VolumesDeleted"] == [volume.name]
    assert client.df()["LayersSize"] > 0


def test_volumes(client: DockerClient) -> None:
    """Made, used, listed and removed."""
    volume = client.volumes.create("sdk-data", labels={"a": "b"})
    write = ["sh", "-c", "echo v >/d/f"]
    client.containers.run("busybox", write, volumes={"sdk-data": {"bind": "/d"}}, remove=True)
    read = client.containers.run(
        "busybox", ["cat", "/d/f"], volumes={"sdk-data": {"bind": "/d", "mode": "ro"}}, remove=True
    )
    assert read == b"v\n"
    assert [each.name for each in client.volumes.list(filters={"label": "a"})] == ["sdk-data"]
    volume.remove()
