"""What options make of a container: mounts, limits, terminals, init, filters, layers."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support.containers import NAMESPACES, Box
from wherry.linux import cgroups, terminals
from wherry.linux.cgroups import CgroupLayout
from wherry.linux.seccomp_compiler import compile_filter
from wherry.oci.runtime_spec import (
    ConsoleSize,
    Cpu,
    Memory,
    Mount,
    Namespace,
    Resources,
    Rlimit,
    Seccomp,
    SeccompRule,
)
from wherry.runtime.container import InitProcess
from wherry.runtime.machine import this_machine

pytestmark = pytest.mark.kernel

FILTER = Seccomp(
    default_action="SCMP_ACT_ALLOW",
    architectures=("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"),
    syscalls=(SeccompRule(names=("mkdir", "mkdirat"), action="SCMP_ACT_ERRNO", errno_ret=38),),
)


@pytest.mark.parametrize("no_new_privileges", [False, True])
def test_system_call_filter(box: Box, no_new_privileges: bool) -> None:
    """A filter holds for the program, loaded before or after the privileges go."""
    outcome = box.runs(
        "sh", "-c", "mkdir /tmp/x; grep Seccomp: /proc/self/status",
        linux={"seccomp": FILTER}, process={"no_new_privileges": no_new_privileges}, user="bob",
    )  # fmt: skip
    assert "Function not implemented" in outcome.output
    assert outcome.output.split()[-1] == "2"


def test_a_compiled_filter_is_taken_as_it_is(box: Box) -> None:
    """The engine hands over a program; the specification's section is not compiled again."""
    outcome = box.runs("mkdir", "/tmp/x", seccomp_program=compile_filter(FILTER))
    assert "Function not implemented" in outcome.output
    unconfined = box.runs(
        "mkdir", "/tmp/x",
        linux={"seccomp": FILTER}, seccomp_program=b"", rootfs=box.fresh_rootfs(),
    )  # fmt: skip
    assert unconfined.status == 0


def test_many_layers(box: Box) -> None:
    """A stack of 128 layers fits into one mount, its names being relative."""
    names = []
    for number in range(127):
        name = f"l/{number:026d}"
        (box.directory / name).mkdir(parents=True)
        (box.directory / name / f"f{number}").touch()
        names.append(name)
    outcome = box.runs("sh", "-c", "ls -d /f* | wc -l", rootfs=box.rootfs(*names))
    assert outcome.output.strip() == "127"


def test_more_layers_than_a_page_holds(box: Box) -> None:
    """Longer names go one by one through fsconfig where the kernel can."""
    if tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 8):
        pytest.skip("this kernel has no lowerdir+ option of overlayfs")
    names = []
    for number in range(100):
        name = f"layer-with-a-long-name-{'x' * 40}-{number}"
        (box.directory / name).mkdir()
        (box.directory / name / f"f{number}").touch()
        names.append(name)
    outcome = box.runs("sh", "-c", "ls -d /f* | wc -l", rootfs=box.rootfs(*names))
    assert outcome.output.strip() == "100"


def test_a_directory_as_root(box: Box) -> None:
    """Without layers the specification's own root path is bound."""
    shutil.copytree(box.layer, box.directory / "bundle/tree", symlinks=True)
    box.spec = replace(box.spec, root=replace(box.spec.root, path="tree"))
    outcome = box.runs("sh", "-c", "touch /tmp/made", rootfs=None)
    assert outcome.status == 0
    assert (box.directory / "bundle/tree/tmp/made").exists()


def test_read_only_root(box: Box) -> None:
    """--read-only: nothing of the root can be written, /dev and volumes can."""
    outcome = box.runs("sh", "-c", "touch /x 2>&1; touch /dev/shm/y && echo shm", readonly=True)
    assert "Read-only file system" in outcome.output
    assert outcome.output.endswith("shm\n")


def test_bind_mounts(box: Box, tmp_path: Path) -> None:
    """Directories and files, writable and read-only; sources keep their content."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "file").write_text("here")
    mounts = (
        Mount(destination="/rw", source=str(volume), options=("rbind", "rprivate")),
        Mount(destination="/ro", source=str(volume), options=("rbind", "ro", "rprivate")),
        Mount(destination="/a/file", source=str(volume / "file"), options=("bind", "rro")),
    )
    outcome = box.runs(
        "sh", "-c", "cat /rw/file /a/file; touch /rw/new; touch /ro/no; touch /a/file",
        mounts=mounts,
    )  # fmt: skip
    assert outcome.output.startswith("herehere")
    assert outcome.output.count("Read-only file system") == 2
    assert sorted(os.listdir(volume)) == ["file", "new"]


def test_a_missing_source_is_told(box: Box) -> None:
    """The step's words and the kernel's, and nothing left behind."""
    mount = Mount(destination="/x", source="/not/there", options=("rbind", "rprivate"))
    outcome = box.runs("true", mounts=(mount,))
    assert outcome.failure is not None
    assert outcome.failure[1] == ("bind /not/there to /x (rprivate): no such file or directory")
    assert outcome.left == []
    assert outcome.journal[-1]["outcome"] == "failed"


def test_mounts_of_the_container_stay_inside(box: Box, tmp_path: Path) -> None:
    """A recursive bind of a directory with mounts is private: the host sees nothing of it."""
    capabilities = box.spec.process.capabilities
    assert capabilities is not None
    more = replace(
        capabilities,
        **{
            each: (*getattr(capabilities, each), "CAP_SYS_ADMIN")
            for each in ("bounding", "effective", "permitted")
        },
    )
    volume = tmp_path / "volume"
    (volume / "below").mkdir(parents=True)
    mount = Mount(destination="/v", source=str(volume), options=("rbind", "rslave"))
    outcome = box.runs(
        "sh", "-c", "mount -t tmpfs x /v/below && touch /v/below/inside",
        mounts=(mount,), process={"capabilities": more},
    )  # fmt: skip
    assert (outcome.status, outcome.output) == (0, "")
    assert os.listdir(volume / "below") == []


def test_tmpfs_options(box: Box) -> None:
    """--tmpfs with a size and a mode."""
    mount = Mount(
        destination="/t",
        type="tmpfs",
        source="tmpfs",
        options=("nosuid", "nodev", "noexec", "size=64k", "mode=700"),
    )
    outcome = box.runs(
        "sh", "-c", "stat -c %a /t; grep ' /t ' /proc/mounts; dd if=/dev/zero of=/t/x bs=64k "
        "count=2 2>&1", mounts=(mount,),
    )  # fmt: skip
    assert outcome.output.startswith("700\n")
    assert "nosuid,nodev,noexec" in outcome.output
    assert "No space left on device" in outcome.output


def test_tmpfs_that_begins_with_what_it_hides(box: Box) -> None:
    """`tmpcopyup`: files, owners, links and the directory's own mode, unless another was asked."""
    options = ("nosuid", "nodev", "tmpcopyup")
    mounts = (
        Mount(destination="/etc", type="tmpfs", source="tmpfs", options=(*options, "ro")),
        Mount(destination="/new", type="tmpfs", source="tmpfs", options=(*options, "mode=711")),
    )
    script = "cat /etc/passwd; stat -c %a /etc /new; touch /etc/x || touch /new/x && ls /new"
    outcome = box.runs("sh", "-c", script, mounts=mounts)
    lines = outcome.output.splitlines()
    assert lines[0].startswith("root:x:0:0:")
    assert lines[-4:-2] == ["755", "711"]
    assert "Read-only file system" in lines[-2]
    assert lines[-1] == "x"


def test_limits_are_in_force(box: Box) -> None:
    """Memory, processes and processor time are what the cgroup files say."""
    if this_machine().layout.is_unified:
        pytest.skip("this host mounts cgroup v2")
    resources = Resources(
        memory=Memory(limit=32 << 20, swap=32 << 20),
        cpu=Cpu(shares=512, quota=50_000, period=100_000, cpus="0"),
        pids_limit=7,
    )
    outcome = box.runs(
        "sh",
        "-c",
        "cd /sys/fs/cgroup && cat memory/memory.limit_in_bytes cpu/cpu.shares "
        "cpu/cpu.cfs_quota_us cpuset/cpuset.cpus pids/pids.max",
        linux={"resources": resources},
    )
    assert outcome.output.split() == [str(32 << 20), "512", "50000", "0", "7"]


def test_a_limit_that_cannot_be_set_is_told(box: Box) -> None:
    """What the kernel refuses fails the start, with the file's name, and is cleared away."""
    resources = Resources(cpu=Cpu(cpus="4000"))
    outcome = box.runs("true", linux={"resources": resources})
    assert outcome.failure is not None
    assert outcome.failure[1].startswith("set cpuset.cpus to 4000: ")
    assert outcome.left == []


def test_resource_limits(box: Box) -> None:
    """--ulimit, and the unlimited one."""
    limits = (
        Rlimit(type="RLIMIT_NOFILE", soft=100, hard=200),
        Rlimit(type="RLIMIT_CORE", soft=(1 << 64) - 1, hard=(1 << 64) - 1),
    )
    outcome = box.runs(
        "grep", "-E", "open files|core file", "/proc/self/limits", process={"rlimits": limits}
    )
    words = [line.split()[-3:-1] for line in outcome.output.splitlines()]
    assert words == [["unlimited", "unlimited"], ["100", "200"]]


def test_oom_score(box: Box) -> None:
    """--oom-score-adj is written before anything of the container is mounted."""
    outcome = box.runs("cat", "/proc/self/oom_score_adj", process={"oom_score_adj": 321})
    assert outcome.output == "321\n"


def test_terminal(box: Box) -> None:
    """--tty: a terminal of the container's own devpts, its size, and /dev/console (R06)."""
    outcome = box.runs(
        "sh", "-c", "tty; stty size; stat -c '%t:%T %F' /dev/console; readlink /proc/self/fd/0",
        process={"terminal": True, "console_size": ConsoleSize(height=31, width=101)},
    )  # fmt: skip
    name, size, console, link = outcome.notes.replace("\r", "").splitlines()
    assert (name, size, link) == ("/dev/pts/0", "31 101", "/dev/pts/0")
    assert console == "88:0 character special file"  # 0x88 = 136


def test_terminal_is_resized(box: Box) -> None:
    """The master is the caller's: what it sets is what the container sees."""

    def resized(init: InitProcess) -> str:
        assert init.console is not None
        terminals.set_window_size(init.console, rows=5, columns=6)
        os.write(init.console, b"stty size\n")
        shown = b""
        while b"5 6" not in shown:
            shown += os.read(init.console, 4096)
        return "seen"

    outcome = box.runs("sh", meanwhile=resized, process={"terminal": True})
    assert outcome.notes == "seen"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd"])
def test_console_of_the_image_is_not_followed(box: Box, target: str) -> None:
    """/dev is a fresh tmpfs, so a link in the image's own /dev leads nowhere (R06)."""
    (box.layer / "dev/console").symlink_to(target)
    before = Path("/etc/passwd").read_bytes()
    outcome = box.runs("stat", "-c", "%t", "/dev/console", process={"terminal": True})
    assert outcome.notes.strip() == "88"
    assert Path("/etc/passwd").read_bytes() == before


def test_init_program(box: Box) -> None:
    """--init: the static init is process 1, and the program is its child."""
    outcome = box.runs(
        "sh", "-c", "cat /proc/1/cmdline | tail -c +1; echo; echo $$; exit 9",
        init_binary="/usr/bin/tini-static",
    )  # fmt: skip
    assert outcome.status == 9
    assert outcome.output.startswith("/sbin/docker-init\x00--\x00sh\x00")
    assert outcome.output.split()[-1] != "1"


def test_shared_namespaces(box: Box) -> None:
    """Without a namespace in the specification the caller's is kept: host network, uts, ipc."""
    kept = ("net", "uts", "ipc")
    own = tuple(
        Namespace(type=each.type)
        for each in NAMESPACES
        if each.type not in ("network", "uts", "ipc")
    )
    outcome = box.runs(
        "sh", "-c", f"for i in {' '.join(kept)}; do readlink /proc/self/ns/$i; done",
        linux={"namespaces": own},
    )  # fmt: skip
    assert outcome.output.split() == [os.readlink(f"/proc/self/ns/{each}") for each in kept]


def test_unified_cgroups(box: Box) -> None:
    """On a version 2 tree: a filter for devices, cgroup.kill, and no version 1 directory."""
    layout = this_machine().layout
    if layout.unified is None:
        pytest.skip("this kernel has no cgroup2 tree mounted")
    machine = replace(this_machine(), layout=CgroupLayout(unified=layout.unified))
    directory = f"{layout.unified.mount_point}{box.spec.linux.cgroups_path}"
    outcome = box.runs(
        "sh", "-c", "cat /proc/self/cgroup | grep ^0; mknod /tmp/tun c 10 229; cat /tmp/tun; "
        "cat /dev/null && echo null",
        machine=machine,
    )  # fmt: skip
    assert outcome.output.splitlines()[0] == "0::/"
    assert "Operation not permitted" in outcome.output
    assert outcome.output.endswith("null\n")
    kinds = [line["kind"] for line in outcome.journal]
    assert "attach-device-filter" in kinds
    assert "set-device-rules" not in kinds
    assert not os.path.exists(directory)
    assert cgroups.processes(directory) == ()
