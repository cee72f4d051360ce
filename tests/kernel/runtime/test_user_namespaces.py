"""Containers whose root is nobody on the host, idmapped mounts, and clocks that are ahead."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.containers import NAMESPACES, Box
from wherry.oci.runtime_spec import (
    IdMapping,
    Mount,
    Namespace,
    Process,
    Rlimit,
    RootfsMount,
    TimeOffset,
)
from wherry.runtime.container import InitProcess, cgroup_directories
from wherry.runtime.joining import JoinRequest, join

pytestmark = pytest.mark.kernel

HOST_ID = 100_000
MAP = (IdMapping(container_id=0, host_id=HOST_ID, size=65_536),)
REMAPPED: dict[str, Any] = {
    "namespaces": (*NAMESPACES, Namespace(type="user")),
    "uid_mappings": MAP,
    "gid_mappings": MAP,
}


@pytest.fixture
def remapped(box: Box) -> Box:
    """A box whose files belong to the container's root, in a directory that only host root
    may enter."""
    for directory, _, files in os.walk(box.directory):
        os.chown(directory, HOST_ID, HOST_ID)
        for each in files:
            os.chown(os.path.join(directory, each), HOST_ID, HOST_ID, follow_symlinks=False)
    os.chown(box.directory, 0, 0)
    box.directory.chmod(0o700)
    return box


def test_root_is_nobody_on_the_host(remapped: Box) -> None:
    """Root inside has all ids of its map, mounts of its own, and another id outside."""

    def seen(init: InitProcess) -> dict[str, Any]:
        status = Path(f"/proc/{init.pid}/status").read_text()
        uid = next(line for line in status.splitlines() if line.startswith("Uid"))
        return {"uid": uid.split()[1:], "map": Path(f"/proc/{init.pid}/uid_map").read_text()}

    outcome = remapped.runs("sleep", "60", linux=REMAPPED, meanwhile=seen)
    assert outcome.failure is None
    assert outcome.notes["uid"] == [str(HOST_ID)] * 4
    assert outcome.notes["map"].split() == ["0", str(HOST_ID), "65536"]
    assert outcome.problems == []
    assert outcome.left == []


def test_the_root_is_its_own_to_write(remapped: Box) -> None:
    """Files, devices, masks and limits are as without a user namespace."""
    outcome = remapped.runs(
        "sh", "-c",
        "id -u; echo x > /new; stat -c %u:%g /new; echo y > /dev/null && echo null;"
        "ls /proc/1 > /dev/null && echo proc; ls /sys > /dev/null && echo sys; ulimit -Hn;"
        "wc -c < /proc/timer_list; echo 1 > /proc/sys/kernel/panic || echo protected",
        linux=REMAPPED,
        process={"rlimits": (Rlimit(type="RLIMIT_NOFILE", soft=64, hard=4000),)},
    )  # fmt: skip
    assert outcome.failure is None
    lines = [each for each in outcome.output.split("\n") if each and "can't" not in each]
    assert lines == ["0", "0:0", "null", "proc", "sys", "4000", "0", "protected"]
    created = os.stat(remapped.directory / "upper/new")
    assert (created.st_uid, created.st_gid) == (HOST_ID, HOST_ID)


def test_a_directory_as_root(remapped: Box) -> None:
    """A bundle's own directory serves as well as layers do."""
    rootfs = RootfsMount(type="bind", directory=str(remapped.directory), source="layer")
    outcome = remapped.runs("sh", "-c", "id -u > /new; cat /new", linux=REMAPPED, rootfs=rootfs)
    assert (outcome.failure, outcome.output) == (None, "0\n")


def test_a_bind_mount_below_a_closed_directory(remapped: Box) -> None:
    """The source is opened with the host's rights: the container need not reach its path."""
    closed = remapped.directory / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700)
    (closed / "data/file").write_text("here\n")
    mount = Mount(destination="/data", source=str(closed / "data"), options=("bind", "ro"))
    outcome = remapped.runs(
        "sh", "-c", "cat /data/file; touch /data/x", linux=REMAPPED, mounts=(mount,)
    )
    assert "here" in outcome.output
    assert "Read-only file system" in outcome.output


def test_exec_enters_the_user_namespace(remapped: Box) -> None:
    """A process that joins is root inside, and the same nobody outside."""

    def joined(init: InitProcess) -> Any:
        output = os.memfd_create("joined")
        process = join(
            init.pid,
            init.pidfd,
            cgroup_directories(init.journal),
            JoinRequest(
                process=Process(
                    args=("sh", "-c", "id -u; cat /proc/self/uid_map; touch /by-exec"),
                    env=("PATH=/bin",),
                    rlimits=(Rlimit(type="RLIMIT_NOFILE", soft=64, hard=4000),),
                ),
                stdio=(output, output, output),
            ),
        )
        _, status = os.waitpid(process.pid, 0)
        return [status, os.pread(output, 4096, 0).decode().split()]

    outcome = remapped.runs("sleep", "60", linux=REMAPPED, meanwhile=joined)
    assert outcome.failure is None
    assert outcome.notes == [0, ["0", "0", str(HOST_ID), "65536"]]
    assert os.stat(remapped.directory / "upper/by-exec").st_uid == HOST_ID


@pytest.fixture
def others() -> Iterator[int]:
    """A process in namespaces of its own, user namespace included, to be joined."""
    read, write = os.pipe()
    kinds = ("user", "net", "ipc", "uts", "cgroup", "mount", "time")
    tell = f"echo > /proc/self/fd/{write}; exec sleep 600"
    pid = os.fork()
    if pid == 0:
        os.set_inheritable(write, True)
        os.execvp("unshare", ["unshare", *(f"--{kind}" for kind in kinds), "sh", "-c", tell])
    os.close(write)
    os.read(read, 1)
    os.close(read)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{name}").write_text("0 0 65536")
    yield pid
    os.kill(pid, 9)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "cgroup", "time", "mount"])
def test_namespaces_are_joined_by_path(box: Box, others: int, kind: str) -> None:
    """Each kind of namespace can be somebody else's."""
    file = {"network": "net", "mount": "mnt"}.get(kind, kind)
    path = f"/proc/{others}/ns/{file}"
    namespaces = tuple(each for each in NAMESPACES if each.type != kind)
    outcome = box.runs(
        "readlink", f"/proc/self/ns/{file}",
        linux={"namespaces": (*namespaces, Namespace(type=kind, path=path))},
    )  # fmt: skip
    assert (outcome.failure, outcome.output.strip()) == (None, os.readlink(path))


def test_a_user_namespace_is_joined_by_path(box: Box, others: int) -> None:
    """With the network namespace that belongs to it; a new pid namespace is made inside."""
    joined = {"user": "user", "network": "net"}
    namespaces = tuple(each for each in NAMESPACES if each.type not in joined)
    outcome = box.runs(
        "sh", "-c", "readlink /proc/self/ns/user; readlink /proc/self/ns/net; id -u",
        linux={
            "namespaces": (
                *namespaces,
                *(Namespace(type=kind, path=f"/proc/{others}/ns/{file}")
                  for kind, file in joined.items()),
            )
        },
    )  # fmt: skip
    expected = [os.readlink(f"/proc/{others}/ns/{file}") for file in joined.values()]
    assert (outcome.failure, outcome.output.split()) == (None, [*expected, "0"])


def test_the_hosts_network_in_a_user_namespace(remapped: Box) -> None:
    """A network namespace that the host's root made is joined, and /sys shows it."""
    outcome = remapped.runs(
        "sh", "-c", "ls /sys/class/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
        linux=REMAPPED
        | {
            "namespaces": (
                *(each for each in REMAPPED["namespaces"] if each.type != "network"),
                Namespace(type="network", path="/proc/self/ns/net"),
            ),
        },
    )  # fmt: skip
    assert outcome.failure is None
    assert "lo" in outcome.output.split()


@pytest.mark.parametrize("kind", ["idmap", "ridmap"])
def test_idmapped_mounts(box: Box, kind: str) -> None:
    """Files that belong to a user of the host are shown as the container's user's."""
    shared = box.directory / "shared"
    shared.mkdir()
    (shared / "file").touch()
    for each in (shared, shared / "file"):
        os.chown(each, HOST_ID + 1000, HOST_ID + 1000)
    # A mount's map tells where an owner on disk (inside) is shown (outside).
    back = (IdMapping(container_id=HOST_ID, host_id=0, size=65_536),)
    mount = Mount(
        destination="/shared",
        source=str(shared),
        options=("rbind", kind),
        uid_mappings=back,
        gid_mappings=back,
    )
    outcome = box.runs(
        "sh", "-c", "stat -c %u:%g /shared/file; touch /shared/new", mounts=(mount,)
    )
    assert (outcome.failure, outcome.output) == (None, "1000:1000\n")
    assert os.stat(shared / "new").st_uid == HOST_ID


def test_an_idmapped_mount_by_the_containers_own_map(remapped: Box) -> None:
    """Without a map of its own, a mount takes the user namespace's: root owns root's files."""
    shared = remapped.directory / "shared"
    shared.mkdir()
    (shared / "file").touch()
    mount = Mount(destination="/shared", source=str(shared), options=("bind", "idmap"))
    outcome = remapped.runs(
        "sh", "-c", "stat -c %u:%g /shared/file; touch /shared/new",
        linux=REMAPPED, mounts=(mount,),
    )  # fmt: skip
    assert (outcome.failure, outcome.output) == (None, "0:0\n")
    assert os.stat(shared / "new").st_uid == 0


def test_clocks_that_are_ahead(box: Box) -> None:
    """The container's clocks since boot are the host's with an offset."""
    outcome = box.runs(
        "cat", "/proc/uptime", linux={"time_offsets": {"boottime": TimeOffset(secs=1_000_000)}}
    )
    assert outcome.failure is None
    assert float(outcome.output.split()[0]) > 1_000_000


@pytest.mark.parametrize(
    ("linux", "sentence"),
    [
        ({"uid_mappings": MAP}, "mappings specified, but no user namespace"),
        (REMAPPED | {"gid_mappings": ()}, "no gid mapping found"),
        (
            REMAPPED | {"uid_mappings": (IdMapping(container_id=5, host_id=5, size=1),)},
            "uid 0 of the container is not mapped",
        ),
        (
            {"time_offsets": {"monotonic": TimeOffset()}, "namespaces": NAMESPACES[:1]},
            "needs a new time namespace",
        ),
    ],
)
def test_maps_that_make_no_sense(box: Box, linux: dict[str, Any], sentence: str) -> None:
    """Refused before anything is made, naming the member."""
    outcome = box.runs("true", linux=linux)
    assert outcome.failure is not None
    assert sentence in outcome.failure[1]


def test_a_map_that_the_kernel_refuses(remapped: Box) -> None:
    """Overlapping ranges: the helper's namespace goes, and nothing stays."""
    twice = (*MAP, *MAP)
    outcome = remapped.runs("true", linux=REMAPPED | {"uid_mappings": twice})
    assert outcome.failure is not None
    assert "invalid argument" in outcome.failure[1]
    assert outcome.left == []
