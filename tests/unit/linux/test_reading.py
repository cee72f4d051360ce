"""What the kernel's own files say: mounts, cgroup layouts, capabilities, device filters."""

import struct
from pathlib import Path

import pytest

from wherry.linux import capabilities, cgroups, mountinfo
from wherry.linux.device_filter import DeviceFilterRule, compile_filter

LINE = r"36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 shared:7 - ext3 /dev/ro\134ot rw,errors=x"


def test_mountinfo_line() -> None:
    """Escapes, optional fields, options of the mount and of the file system."""
    seen = mountinfo.parse_line(LINE)
    assert seen.mount_point == "/mnt 2"
    assert seen.source == "/dev/ro\\ot"
    assert seen.propagation == ("master:1", "shared:7")
    assert (seen.options, seen.super_options) == (("rw", "noatime"), ("rw", "errors=x"))
    assert (seen.mount_id, seen.device, seen.root, seen.kind) == (36, "98:0", "/mnt1", "ext3")


def test_no_mountinfo_line() -> None:
    """Something else is an error."""
    with pytest.raises(ValueError):
        mountinfo.parse_line("not a line at all, with some words in it")


def test_topmost_mount() -> None:
    """Of several mounts on one point the last one shows."""
    lower = mountinfo.parse_line(LINE)
    upper = mountinfo.parse_line(LINE.replace("ext3", "tmpfs"))
    assert mountinfo.topmost((lower, upper), "/mnt 2") == upper
    assert mountinfo.topmost((lower,), "/else") is None


def _mount(number: int, kind: str, point: Path, options: str) -> mountinfo.MountInfo:
    return mountinfo.parse_line(f"{number} 1 0:{number} / {point} rw - {kind} x {options}")


def test_layouts(tmp_path: Path) -> None:
    """Hybrid, legacy and unified are told apart; a hierarchy mounted twice counts once."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    cpu = _mount(1, "cgroup", Path("/sys/fs/cgroup/cpu,cpuacct"), "rw,cpu,cpuacct")
    named = _mount(
        2, "cgroup", Path("/sys/fs/cgroup/systemd"), "rw,xattr,release_agent=/x,name=systemd"
    )
    tree = _mount(3, "cgroup2", tmp_path, "rw,nsdelegate")
    hybrid = cgroups.discover((cpu, cpu, named, tree))
    assert [each.controllers for each in hybrid.legacy] == [("cpu", "cpuacct"), ("name=systemd",)]
    assert hybrid.unified is not None
    assert not hybrid.is_unified
    pure = cgroups.discover((tree,))
    assert pure.is_unified
    memory = pure.controlling("memory")
    assert memory is not None
    assert memory.version == 2
    assert hybrid.controlling("pids") is None


def test_counters(tmp_path: Path) -> None:
    """Lines of a name and a number; limits that are none; kills by the OOM killer."""
    (tmp_path / "memory.events").write_text("low 0\noom_kill 3\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cgroup.procs").write_text("12\n13\n")
    assert cgroups.oom_kills(str(tmp_path)) == 3
    assert cgroups.read_number(str(tmp_path), "memory.max") is None
    assert cgroups.processes(str(tmp_path)) == (12, 13)
    assert cgroups.processes(str(tmp_path / "gone")) == ()
    assert cgroups.children(str(tmp_path / "gone")) == ()


def test_oom_kills_of_version_1(tmp_path: Path) -> None:
    """There the counter is in memory.oom_control, and on old kernels nowhere."""
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\n")
    assert cgroups.oom_kills(str(tmp_path)) == 0
    (tmp_path / "memory.oom_control").write_text("under_oom 0\noom_kill 2\n")
    assert cgroups.oom_kills(str(tmp_path)) == 2


def test_capability_masks() -> None:
    """Docker's fourteen are the mask that everybody knows."""
    names = capabilities.names_of(0xA80425FB)
    assert len(names) == 14
    assert "CAP_NET_RAW" in names
    assert "CAP_SYS_ADMIN" not in names
    assert capabilities.mask(names) == 0xA80425FB
    with pytest.raises(KeyError, match="CAP_NOTHING"):
        capabilities.mask(("CAP_NOTHING",))


ALLOW_NULL = DeviceFilterRule(True, "c", 1, 3, "rwm")
DENY_NULL_WRITE = DeviceFilterRule(False, "c", 1, 3, "w")
DENY_ALL = DeviceFilterRule(False, "a", None, None, "rwm")
ALLOW_MKNOD = DeviceFilterRule(True, "b", None, None, "m")


def _decides(program: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """Run a filter as the kernel would, on its few instructions."""
    wanted = sum({"m": 1, "r": 2, "w": 4}[letter] for letter in access)
    context = {0: wanted << 16 | {"b": 1, "c": 2}[kind], 4: major, 8: minor}
    registers = [0] * 6
    at = 0
    code = list(struct.iter_unpack("<BBhi", program))
    while True:
        operation, both, offset, value = code[at]
        target, source = both & 15, both >> 4
        at += 1
        match operation:
            case 0x61:
                registers[target] = context[offset]
            case 0xBC:
                registers[target] = registers[source]
            case 0xB4:
                registers[target] = value
            case 0x54:
                registers[target] &= value
            case 0x74:
                registers[target] >>= value
            case 0x56:
                at += offset if registers[target] != value else 0
            case 0x95:
                return bool(registers[0])
            case _:
                pytest.fail(f"instruction {operation:#x}")


@pytest.mark.parametrize(
    ("rules", "device", "expected"),
    [
        ((), ("c", 1, 3, "r"), False),
        ((DENY_ALL, ALLOW_NULL), ("c", 1, 3, "rw"), True),
        ((DENY_ALL, ALLOW_NULL), ("c", 1, 5, "r"), False),
        ((DENY_ALL, ALLOW_NULL), ("b", 1, 3, "r"), False),
        ((ALLOW_NULL, DENY_ALL), ("c", 1, 3, "r"), False),
        ((DENY_ALL, ALLOW_NULL, DENY_NULL_WRITE), ("c", 1, 3, "r"), True),
        ((DENY_ALL, ALLOW_NULL, DENY_NULL_WRITE), ("c", 1, 3, "rw"), False),
        ((DENY_ALL, ALLOW_MKNOD), ("b", 8, 0, "m"), True),
        ((DENY_ALL, ALLOW_MKNOD), ("b", 8, 0, "rm"), False),
    ],
)
def test_device_filter(
    rules: tuple[DeviceFilterRule, ...], device: tuple[str, int, int, str], expected: bool
) -> None:
    """The last rule that matches decides; allowing covers all that is wanted, denying any."""
    assert _decides(compile_filter(rules), *device) is expected
