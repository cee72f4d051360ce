"""What a container is by default: RELIABILITY's profile, looked at from inside."""

import os
import stat
from pathlib import Path

import pytest

from support.containers import CAPABILITIES, MASKED_PATHS, Box, findings
from wherry.linux.cgroups import discover
from wherry.oci.runtime_spec import Memory, Resources
from wherry.runtime.container import InitProcess

pytestmark = pytest.mark.kernel

DEVICES = (
    "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
    "urandom", "zero",
)  # fmt: skip


def test_true_runs_and_leaves_nothing(box: Box) -> None:
    """A container ends with its program's status, and its cgroups and root mount are gone."""
    outcome = box.runs("true")
    assert (outcome.status, outcome.problems, outcome.left) == (0, [], [])
    assert list((box.directory / "bundle").iterdir()) == []
    assert str(box.directory) not in Path("/proc/self/mountinfo").read_text()


def test_status_of_the_program_is_the_containers(box: Box) -> None:
    """The exit status goes through."""
    assert box.runs("sh", "-c", "exit 42").status == 42


def test_privileges(box: Box) -> None:
    """Fourteen capabilities in three sets, none inheritable or ambient, no new ones by execve."""
    shown = box.runs("cat", "/proc/self/status").output
    lines = dict(line.split(":\t", 1) for line in shown.splitlines() if ":\t" in line)
    assert len(CAPABILITIES) == 14
    assert [lines[f"Cap{each}"] for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")] == [
        "0" * 16,
        "00000000a80425fb",
        "00000000a80425fb",
        "00000000a80425fb",
        "0" * 16,
    ]
    assert lines["NoNewPrivs"] == "0"
    assert lines["Umask"] == "0022"
    # 32 and 33 are glibc's own; what posix_spawn(3) starts (make does) ignores 32 for ever.
    assert int(lines["SigIgn"], 16) & ~(0b11 << 31) == int(lines["SigBlk"], 16) == 0


def test_a_user_who_is_not_root_has_no_capability(box: Box) -> None:
    """Effective, permitted and ambient sets are empty; the bounding set stays (CVE-2016-8867)."""
    shown = box.runs("cat", "/proc/self/status", user="bob").output
    lines = dict(line.split(":\t", 1) for line in shown.splitlines() if ":\t" in line)
    assert [lines[f"Cap{each}"] for each in ("Inh", "Prm", "Eff", "Amb")] == ["0" * 16] * 4
    assert lines["CapBnd"] == "00000000a80425fb"


def test_only_three_descriptors_and_no_host_path(box: Box) -> None:
    """Nothing of the engine's is open in the container (CVE-2024-21626)."""
    listed = box.runs("ls", "/proc/self/fd").output.split()
    assert listed == ["0", "1", "2", "3"]  # 3 is the directory that ls reads


def test_namespaces_are_the_containers_own(box: Box) -> None:
    """None of the namespaces is the host's, and the program is process 1."""
    kinds = ("mnt", "net", "uts", "pid", "ipc", "time", "cgroup")
    outcome = box.runs(
        "sh", "-c", f"echo $$; for i in {' '.join(kinds)}; do readlink /proc/self/ns/$i; done"
    )
    pid, *inside = outcome.output.split()
    assert pid == "1"
    outside = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]
    assert len(inside) == len(outside)
    assert not set(inside) & set(outside)


def test_masked_paths_show_nothing(box: Box) -> None:
    """A masked file is the null device, a masked directory is empty (CVE-2025-31133)."""

    def looked_at(init: InitProcess) -> list[tuple[str, str]]:
        seen = []
        for path in MASKED_PATHS:
            try:
                status = os.stat(f"/proc/{init.pid}/root{path}")
            except FileNotFoundError:
                seen.append((path, "missing"))
                continue
            if stat.S_ISDIR(status.st_mode):
                count = len(os.listdir(f"/proc/{init.pid}/root{path}"))
                seen.append((path, f"directory of {count}"))
            else:
                numbers = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
                seen.append((path, f"device {numbers}"))
        return seen

    outcome = box.runs("sleep", "100", meanwhile=looked_at)
    assert {what for _, what in outcome.notes} <= {"device 1:3", "directory of 0", "missing"}
    assert ["/proc/keys", "device 1:3"] in outcome.notes
    assert ["/sys/firmware", "directory of 0"] in outcome.notes


@pytest.mark.parametrize(
    "path", ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/mm/ksm/run"]
)
def test_kernel_settings_cannot_be_written(box: Box, path: str) -> None:
    """The host's settings are read-only or not there."""
    outcome = box.runs("sh", "-c", f"echo 0 > {path} && echo written")
    assert outcome.status != 0
    assert "written" not in outcome.output


@pytest.mark.parametrize("hierarchy", ["memory", "devices", "freezer"])
def test_cgroups_are_visible_and_read_only(box: Box, hierarchy: str) -> None:
    """The container sees its own cgroup files and can't write them (CVE-2022-0492)."""
    if not os.path.isdir(f"/sys/fs/cgroup/{hierarchy}"):
        pytest.skip("this host mounts cgroup v2")
    outcome = box.runs(
        "sh", "-c", f"cd /sys/fs/cgroup/{hierarchy} && cat tasks && echo 1 > notify_on_release"
    )
    assert "1" in outcome.output.split()
    assert "Read-only file system" in outcome.output


def test_default_devices(box: Box) -> None:
    """/dev has the harmless devices and the usual links, and nothing else."""
    outcome = box.runs("sh", "-c", "cd /dev; stat -c '%n %t:%T %F' *")
    names = {line.split(" ")[0] for line in outcome.output.splitlines()}
    # Only some kernels have /proc/kcore for `core` to point to.
    assert sorted(names - {"core"}) == sorted(DEVICES)
    assert "null 1:3 character special file" in outcome.output


def test_other_devices_cannot_be_opened(box: Box) -> None:
    """A node of any device can be made, and only the allowed ones opened."""
    outcome = box.runs(
        "sh",
        "-c",
        "cd /tmp && for n in 1:1 1:5 10:229 4:0 7:0; do mknod n$n c ${n%:*} ${n#*:} && "
        "dd if=n$n of=/dev/null bs=1 count=1 2>&1 | head -n 1; done",
    )
    lines = outcome.output.splitlines()
    assert len([line for line in lines if "Operation not permitted" in line]) == 4
    assert "1+0 records in" in outcome.output


def test_host_name_and_home(box: Box) -> None:
    """The UTS namespace is named, HOME comes from the account, the environment is exact."""
    outcome = box.runs("sh", "-c", "hostname; exec env", process={"env": ("PATH=/bin", "A=b=c")})
    assert outcome.output.splitlines()[0] == "box"
    variables = set(outcome.output.splitlines()[1:])
    assert variables - {"SHLVL=1", "PWD=/"} == {"PATH=/bin", "A=b=c", "HOME=/root"}


def test_every_step_still_holds_while_it_runs(box: Box) -> None:
    """Asked while the container runs, the kernel confirms each step that can be looked at."""
    outcome = box.runs("sleep", "100", meanwhile=findings)
    wrong = [each for each in outcome.notes if each[1] not in ("still true", "unknown")]
    assert wrong == []
    confirmed = {kind for kind, verdict, _ in outcome.notes if verdict == "still true"}
    # What a filter of version 2 allows can't be read back as rules.
    devices = "make-cgroup" if discover().is_unified else "set-device-rules"
    assert {
        "make-cgroup", devices, "unshare", "mount-overlay", "mount-filesystem",
        "mask-path", "protect-path", "make-device", "limit-bounding-set", "set-user", "execve",
    } <= confirmed  # fmt: skip


def test_a_change_from_outside_is_noticed(box: Box) -> None:
    """A limit that somebody else wrote over is told as changed."""

    def changed(init: InitProcess) -> list[tuple[str, str, str]]:
        path = next(
            str(entry.evidence["path"])
            for entry in init.journal
            if str(entry.evidence.get("path", "")).endswith("/memory.limit_in_bytes")
        )
        with open(path, "w") as file:
            file.write(str(128 << 20))
        return findings(init)

    if not os.path.isdir("/sys/fs/cgroup/memory"):
        pytest.skip("this host mounts cgroup v2")
    outcome = box.runs(
        "sleep",
        "100",
        meanwhile=changed,
        linux={"resources": Resources(memory=Memory(limit=64 << 20))},
    )
    assert [kind for kind, verdict, _ in outcome.notes if verdict == "changed from outside"] == [
        "write-cgroup-file"
    ]
