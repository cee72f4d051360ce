"""Images whose authors want out: links, devices and account files where the runtime will look."""

import os
import shutil
from pathlib import Path

import pytest

from support.containers import Box
from wherry.oci.runtime_spec import Mount, Resources
from wherry.runtime.container import InitProcess

pytestmark = pytest.mark.kernel


def _replace(path: Path, target: str) -> None:
    """A link in place of whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_a_link_for_proc_or_sys_is_refused(box: Box, name: str) -> None:
    """/proc and /sys must be directories of the image; the error names the path (R04)."""
    (box.layer / "elsewhere").mkdir()
    _replace(box.layer / name, "/elsewhere")
    outcome = box.runs("true")
    assert outcome.failure is not None
    kind, message, _ = outcome.failure
    assert kind == "step"
    assert f"on /{name}: it is a symbolic link to /elsewhere" in message
    assert outcome.left == []


@pytest.mark.parametrize("destination", ["/proc", "/proc/self", "/proc/sys", "/tmp/link"])
def test_no_volume_may_hide_the_kernels_files(box: Box, tmp_path: Path, destination: str) -> None:
    """A bind mount over /proc or below it is refused, by whichever name (R04)."""
    (box.layer / "tmp/link").symlink_to("/proc")
    source = tmp_path / "volume"
    source.mkdir()
    volume = Mount(destination=destination, source=str(source), options=("rbind", "rprivate"))
    outcome = box.runs("true", mounts=(volume,))
    assert outcome.failure is not None
    assert destination in outcome.failure[1]
    assert "must show the kernel's own files" in outcome.failure[1]


@pytest.mark.parametrize("target", ["../../../../../..", "/", "/etc"])
def test_a_link_for_dev_stays_inside(box: Box, target: str) -> None:
    """Nodes are made inside the root wherever /dev points to, or not at all (R08)."""
    before = set(os.listdir("/")), set(os.listdir("/etc")), set(os.listdir("/dev"))
    _replace(box.layer / "dev", target)
    box.runs("true")
    assert before == (set(os.listdir("/")), set(os.listdir("/etc")), set(os.listdir("/dev")))


@pytest.mark.parametrize("path", ["etc/hosts", "etc"])
def test_engine_files_follow_no_link_out(box: Box, tmp_path: Path, path: str) -> None:
    """A bind mount onto a link of the image lands inside the root (R09)."""
    secret, ours = tmp_path / "secret", tmp_path / "hosts"
    secret.write_text("secret")
    ours.write_text("127.0.0.1 box")
    if path == "etc":
        _replace(box.layer / "etc", "/")
    else:
        (box.layer / "etc/hosts").symlink_to(f"../../../../../..{secret}")
    mount = Mount(destination="/etc/hosts", source=str(ours), options=("bind", "rprivate"))
    outcome = box.runs("cat", "/etc/hosts", mounts=(mount,), user=None)
    assert outcome.output == "127.0.0.1 box"
    assert secret.read_text() == "secret"


def test_a_dangling_link_is_followed_inside(box: Box, tmp_path: Path) -> None:
    """The target of a mount may be a link to nowhere: what it means is made in the root."""
    (box.layer / "data").symlink_to("/not/yet/there")
    mount = Mount(destination="/data/x", source=str(tmp_path), options=("rbind", "rprivate"))
    outcome = box.runs("sh", "-c", "readlink /data; ls /not/yet/there", mounts=(mount,))
    assert outcome.output.split() == ["/not/yet/there", "x"]
    assert not os.path.exists("/not")


def test_a_loop_of_links_is_an_error(box: Box, tmp_path: Path) -> None:
    """Links that lead to each other end in a sentence, not in a hang."""
    (box.layer / "a").symlink_to("b")
    (box.layer / "b").symlink_to("a")
    mount = Mount(destination="/a/x", source=str(tmp_path), options=("rbind",))
    outcome = box.runs("true", mounts=(mount,))
    assert outcome.failure is not None
    assert "too many levels of symbolic links" in outcome.failure[1]


def test_a_null_device_of_the_image_is_not_trusted(box: Box) -> None:
    """With the host's /dev left out, a file called /dev/null can mask nothing (R05)."""
    (box.layer / "dev/null").write_text("not a device")
    spec = box.spec
    without_dev = tuple(each for each in spec.mounts if not each.destination.startswith("/dev"))
    box.spec = type(spec)(
        process=spec.process, hostname=spec.hostname, linux=spec.linux, mounts=without_dev
    )
    outcome = box.runs("sh", "-c", "stat -c '%t:%T' /dev/null /proc/keys")
    # The runtime makes its own in place of the image's file.
    assert outcome.output.split() == ["1:3", "1:3"]


@pytest.mark.parametrize(
    "cwd",
    [*(f"/proc/self/fd/{n}" for n in range(3, 12)), "/proc/1/fd/5", "/link", "/proc/self/cwd"],
)
def test_a_descriptor_is_no_working_directory(box: Box, cwd: str) -> None:
    """A working directory that leads to a descriptor of the runtime is refused (R02)."""
    (box.layer / "link").symlink_to("/proc/self/fd/7")
    outcome = box.runs("pwd", process={"cwd": cwd})
    assert outcome.failure is not None
    assert cwd in outcome.failure[1]


def test_a_missing_working_directory_is_made(box: Box) -> None:
    """As Docker does, through links of the image, inside the root."""
    (box.layer / "w").symlink_to("../../tmp")
    outcome = box.runs("sh", "-c", "pwd -P; stat -c %u:%g:%a .", process={"cwd": "/w/a/b"})
    assert outcome.output.split() == ["/tmp/a/b", "0:0:755"]


@pytest.mark.parametrize("what", ["fifo", "zero", "large", "directory"])
@pytest.mark.parametrize("file", ["passwd", "group"])
def test_account_files_that_are_none(box: Box, file: str, what: str) -> None:
    """A FIFO, a device, something huge: an answer at once, and never root (R16)."""
    path = box.layer / "etc" / file
    path.unlink()
    match what:
        case "fifo":
            os.mkfifo(path)
        case "zero":
            path.symlink_to("/dev/zero")
        case "large":
            with path.open("wb") as sparse:
                sparse.truncate(4 << 30)
        case "directory":
            path.mkdir()
    outcome = box.runs("true", user="bob" if file == "passwd" else "bob:wheel")
    assert outcome.failure is not None
    assert outcome.failure[0] == ("user_not_found" if file == "passwd" else "group_not_found")
    numbers = box.runs("true", user="1000", rootfs=box.fresh_rootfs())
    assert numbers.status == 0


def test_the_image_loads_nothing_into_the_runtime(box: Box) -> None:
    """No code file of the image is opened before the execve, though all have Python's names."""
    for name in ("encodings/__init__.py", "json/__init__.py", "wherry/__init__.py", "os.py"):
        for prefix in ("usr/lib/python3.11", "work/main/src", "usr/lib/python3/dist-packages"):
            path = box.layer / prefix / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("open('/canary', 'w').close()")
    for name in ("libnss_files.so.2", "libnss_dns.so.2", "libc.so.6"):
        path = box.layer / "lib/x86_64-linux-gnu" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not a library")

    outcome = box.runs("ls", "/", user="bob:wheel", group_add=("10",))
    assert outcome.status == 0
    assert "canary" not in outcome.output


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel.shm_rmid_forced", "1+kernel.core_pattern=x"),
        ("kernel.core_pattern", "x"),
        ("vm.swappiness", "1"),
        ("kernel/../vm/swappiness", "1"),
        ("net..ipv4", "1"),
        ("", "1"),
        ("fs.file-max", "1"),
    ],
)
def test_host_parameters_are_refused(box: Box, name: str, value: str) -> None:
    """What is not of a namespace of the container's own can't be set, nor smuggled in (R20)."""
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    outcome = box.runs("true", linux={"sysctl": {name: value}})
    assert outcome.failure is not None
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_own_parameters_are_set(box: Box) -> None:
    """Parameters of its ipc, uts and network namespaces, though /proc/sys is read-only."""
    wanted = {
        "kernel.shm_rmid_forced": "1",
        "fs.mqueue.msg_max": "20",
        "net.ipv4.ip_forward": "1",
    }
    outcome = box.runs(
        "sh", "-c", "cd /proc/sys && cat kernel/shm_rmid_forced fs/mqueue/msg_max "
        "net/ipv4/ip_forward", linux={"sysctl": wanted},
    )  # fmt: skip
    assert outcome.output.split() == ["1", "20", "1"]


def test_net_parameters_need_a_private_network(box: Box) -> None:
    """With the host's network they would be the host's (R20)."""
    namespaces = tuple(each for each in box.spec.linux.namespaces if each.type != "network")
    outcome = box.runs(
        "true", linux={"sysctl": {"net.ipv4.ip_forward": "1"}, "namespaces": namespaces}
    )
    assert outcome.failure is not None
    assert "not allowed in the host's network namespace" in outcome.failure[1]


def test_the_engine_cannot_be_looked_into(box: Box) -> None:
    """While it parks, init is not dumpable: no other process sees its memory or descriptors."""

    def dumpable(init: InitProcess) -> int:
        return os.stat(f"/proc/{init.pid}/environ").st_uid

    outcome = box.runs("sleep", "100", meanwhile=dumpable, user="1000")
    # After the execve it is an ordinary process of its user again.
    assert outcome.notes == 1000
    kinds = [line["kind"] for line in outcome.journal]
    assert kinds.index("set-dumpable") < kinds.index("unshare")


def test_no_cgroup_above_all(box: Box) -> None:
    """The root of the hierarchies can't be the container's own."""
    outcome = box.runs("true", linux={"cgroups_path": "/..", "resources": Resources()})
    assert outcome.failure is not None
    assert "must not be the root" in outcome.failure[1]
