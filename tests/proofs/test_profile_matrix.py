"""RELIABILITY row 4: every system call number and every device, verdict by verdict.

What the profile's JSON asks for, what the filter that the kernel has says, and what a probe in
the container gets must agree: three independent ways to the same table.
"""

import errno
import json
import platform
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import pytest

from support.daemon import Engine
from support.filters import verdict
from support.loaded_filters import ProfileTable, loaded_filters, names_by_number
from support.mutants import Mutant, mutated_engine

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="this host has no x86-64 processor"
)

X86_64 = 0xC000003E
NUMBERS = 512
PASSES_EVERY_FILTER = {335, 336}
"""uretprobe and uprobe: the kernel itself made these calls appear in the program, so since 6.14
it asks no filter (kernel/seccomp.c, seccomp_uprobe_exception)."""
LATEST_KNOWN_TO_LIBSECCOMP = 450
"""Numbers above what the library was built with are refused as unknown, not by the profile."""
CUSTOM = json.dumps(
    {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {"names": ["mkdir", "chmod", "sysinfo"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99},
            {"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"},
            {
                "names": ["socket"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 77,
                "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}],
            },
        ],
    }
)
DEFAULT = resources.files("wherry.specgen").joinpath("default_seccomp.json").read_text()
_NAMES = """
    CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE
    SYS_CHROOT KILL AUDIT_WRITE
"""
CAPABILITIES = {f"CAP_{each}" for each in _NAMES.split()}


@dataclass(frozen=True, slots=True)
class SetUp:
    """One way to start a container, and the profile that it must have."""

    name: str
    flags: tuple[str, ...] = ()
    profile: str | None = DEFAULT
    capabilities: frozenset[str] = field(default_factory=lambda: frozenset(CAPABILITIES))

    def unfiltered(self) -> tuple[str, ...]:
        """The same container without a filter."""
        kept = [each for each in self.flags if not each.startswith("seccomp=")]
        flags = tuple(each for each in kept if each != "--security-opt")
        return (*flags, "--security-opt", "seccomp=unconfined")


SYS_ADMIN = SetUp(
    "sys-admin",
    ("--cap-add", "SYS_ADMIN"),
    DEFAULT,
    frozenset(CAPABILITIES | {"CAP_SYS_ADMIN"}),
)


def set_ups(directory: Path) -> tuple[SetUp, ...]:
    """The four of RELIABILITY 1.7."""
    file = directory / "profile.json"
    file.write_text(CUSTOM)
    return (
        SetUp("default"),
        SYS_ADMIN,
        SetUp("privileged", ("--privileged",), None),
        SetUp("custom", ("--security-opt", f"seccomp={file}"), CUSTOM),
    )


def observed(engine: Engine, probe: Path, *flags: str) -> list[str]:
    """What a probe in a container gets from each number."""
    bind = ("-v", f"{probe}:/probe:ro")
    command = ("busybox", "/probe", "numbers", "0", str(NUMBERS - 1))
    out = engine.docker_ok("run", "--rm", *bind, *flags, *command, timeout_s=300)
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert [int(number) for number, _what in lines] == list(range(NUMBERS))
    return [what for _number, what in lines]


def wrong_verdicts(engine: Engine, probe: Path, set_up: SetUp) -> tuple[int, list[str]]:
    """How many verdicts were compared, and which differ."""
    container = engine.docker_ok("run", "-d", *set_up.flags, "busybox", "sleep", "1000")
    filters = loaded_filters(engine.container_pid(container))
    engine.docker_ok("rm", "-f", container)
    if set_up.profile is None:
        return NUMBERS, [f"{len(filters)} filters are loaded"] if filters else []
    if len(filters) != 1:
        return 0, [f"{len(filters)} filters are loaded"]
    (loaded,) = filters
    table = ProfileTable(set_up.profile, set(set_up.capabilities))
    names, wrong, compared = names_by_number(), [], 0
    seen = observed(engine, probe, *set_up.flags)
    free = observed(engine, probe, *set_up.unfiltered())
    for number in range(NUMBERS):
        name = names.get(number, "")
        says = verdict(loaded, X86_64, number, *[-1] * 6)
        wanted = table.verdict(name, *[-1] * 6)
        if name and number <= LATEST_KNOWN_TO_LIBSECCOMP and says != wanted:
            wrong.append(f"{number} {name}: the filter says {says}, the profile {wanted}")
        if not name and set_up.profile == DEFAULT and says not in (1, 38, "allow"):
            wrong.append(f"{number}: unknown, and the filter says {says}")
        gets = free[number] if says == "allow" else str(says)
        if seen[number] != gets and number not in PASSES_EVERY_FILTER:
            wrong.append(f"{number} {name}: the probe gets {seen[number]} instead of {gets}")
        compared += 1
    numbers = {name: number for number, name in names.items()}
    for name, conditions in table.conditions().items():
        for index, value in conditions:
            bits = [1 << bit for bit in range(32)]
            for tried in {*range(64), value - 1, value, value + 1, *bits, value & -value}:
                arguments = [0] * 6
                arguments[index] = tried
                says = verdict(loaded, X86_64, numbers[name], *arguments)
                wanted = table.verdict(name, *arguments)
                if says != wanted:
                    wrong.append(f"{name}({tried:#x}): {says}, the profile says {wanted}")
                compared += 1
    return compared, wrong


def test_system_calls(engine: Engine, probe: Path, tmp_path: Path, figure: list[str]) -> None:
    """512 numbers in four set-ups, and each value that a condition could turn on."""
    compared, wrong = 0, []
    for set_up in set_ups(tmp_path):
        count, differing = wrong_verdicts(engine, probe, set_up)
        compared += count
        wrong += [f"{set_up.name}: {each}" for each in differing]
    figure.append(f"{compared} verdicts, {len(wrong)} differ from profile or filter")
    assert wrong == []
    assert compared >= 2000


FILTER_MUTANTS = (
    Mutant(
        "a rule's inclusions are ignored",
        "specgen/seccomp_profile.py",
        'and _is_included(rule.child("includes"), capabilities, architecture, kernel)',
        "",
    ),
    Mutant(
        "a rule's conditions on arguments are ignored",
        "specgen/seccomp_profile.py",
        'args=tuple(_argument(each) for each in rule.children("args")),',
        "args=(),",
    ),
)


@pytest.mark.parametrize("mutant", FILTER_MUTANTS, ids=lambda each: each.name)
def test_system_call_mutants(mutant: Mutant, probe: Path, figure: list[str]) -> None:
    """Against a filter that was made carelessly the table differs."""
    with mutated_engine(mutant) as engine:
        wrong = [
            each
            for set_up in (SetUp("default"), SYS_ADMIN)
            for each in wrong_verdicts(engine, probe, set_up)[1]
        ]
    figure.append(f"killed: {mutant.name} ({len(wrong)} verdicts differ)")
    assert wrong


# -- devices ---------------------------------------------------------------------------------

MINORS = ("0", "1", "8", "229")
OPEN = {("c", 1, 8), ("c", 5, 0), ("c", 5, 1), *(("c", 136, int(minor)) for minor in MINORS)}
"""Of the matrix, what the default list lets be opened."""
EPERM = 1
WHITEOUT = f"c 0 0 {EPERM} {errno.ENOENT}"
"""How overlayfs answers to a node that would mean a deleted file to it."""


def wrong_devices(engine: Engine, probe: Path, *, joins: bool) -> tuple[int, list[str]]:
    """Nodes of all majors in run, or in exec: how many, and which had the wrong answer."""
    bind = ("-v", f"{probe}:/probe:ro")
    command = ("/probe", "devices", "255", *MINORS)
    if joins:
        container = engine.docker_ok("run", "-d", *bind, "busybox", "sleep", "1000")
        out = engine.docker_ok("exec", container, *command)
        engine.docker_ok("rm", "-f", container)
    else:
        out = engine.docker_ok("run", "--rm", *bind, "busybox", *command)
    wrong, count = [], 0
    for line in out.splitlines():
        kind, major, minor, made, opened = line.split()
        count += 1
        may_open = (kind, int(major), int(minor)) in OPEN
        if line == WHITEOUT:
            continue
        if int(made) or (int(opened) != EPERM) is not may_open:
            wrong.append(line)
    return count, wrong


def test_devices(engine: Engine, probe: Path, figure: list[str]) -> None:
    """R19: 256 majors with four minors, character and block, in run and exec."""
    counts = 0
    for joins in (False, True):
        count, wrong = wrong_devices(engine, probe, joins=joins)
        assert wrong == []
        counts += count
    figure.append(f"{counts} devices tried, 0 opened that are not on the list")
    assert counts == 2 * 2 * 256 * len(MINORS)


def test_device_mutant(probe: Path, figure: list[str]) -> None:
    """A list that lets one more major be opened is noticed."""
    mutant = Mutant(
        "a major too many may be opened",
        "runtime/limits.py",
        'DeviceRule(allow=True, type="c", major=136),',
        'DeviceRule(allow=True, type="c", major=136), DeviceRule(allow=True, type="c", major=10),',
    )
    with mutated_engine(mutant) as engine:
        _count, wrong = wrong_devices(engine, probe, joins=False)
    figure.append(f"killed: {mutant.name} ({len(wrong)} nodes)")
    assert [line.split()[:2] for line in wrong] == [["c", "10"]] * len(MINORS)


# -- capabilities, masks, read-only paths ------------------------------------------------------

MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
    "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
SETS = {
    "CapInh": "0" * 16, "CapPrm": "00000000a80425fb", "CapEff": "00000000a80425fb",
    "CapBnd": "00000000a80425fb", "CapAmb": "0" * 16,
}  # fmt: skip


def holes(engine: Engine) -> list[str]:
    """What of /proc, /sys and the capability sets is not as the profile has it."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    pid = engine.container_pid(container)
    found = []
    for path in MASKED:
        place = Path(f"/proc/{pid}/root{path}")
        if place.is_dir() and list(place.iterdir()):
            found.append(f"{path} shows something")
        elif place.exists() and not place.is_dir() and place.stat().st_rdev != 0x103:
            found.append(f"{path} is not the null device")
    mounted = {
        line.split()[4]: line.split()[5].split(",")
        for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    }
    for path in READ_ONLY:
        if Path(f"/proc/{pid}/root{path}").exists() and "ro" not in mounted.get(path, []):
            found.append(f"{path} is writable")
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    sets = dict(line.split(":\t", 1) for line in status if line.startswith("Cap"))
    found += [f"{name} is {sets[name]}" for name in SETS if sets[name] != SETS[name]]
    engine.docker_ok("rm", "-f", container)
    return found


def test_masks_and_capabilities(engine: Engine, figure: list[str]) -> None:
    """Seventeen paths and five sets."""
    assert holes(engine) == []
    figure.append(
        f"{len(MASKED)} masks, {len(READ_ONLY)} read-only paths, {len(SETS)} sets: 0 off"
    )


MASK_MUTANTS = (
    Mutant(
        "no masks", "runtime/plan.py", "for path in spec.linux.masked_paths:",
        "for path in ():",
    ),
    Mutant(
        "nothing read-only", "runtime/plan.py", "for path in spec.linux.readonly_paths:",
        "for path in ():",
    ),
    Mutant(
        "the bounding set stays", "operations/processes/identity.py",
        "for capability in self._dropped():", "for capability in ():",
    ),
)  # fmt: skip


@pytest.mark.parametrize("mutant", MASK_MUTANTS, ids=lambda each: each.name)
def test_mask_and_capability_mutants(mutant: Mutant, figure: list[str]) -> None:
    """Each wall that is left out is noticed."""
    with mutated_engine(mutant) as engine:
        found = holes(engine)
    figure.append(f"killed: {mutant.name} ({len(found)} holes)")
    assert found
