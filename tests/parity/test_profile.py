"""The default profile, seen from inside a container.

Capabilities, masks, read-only paths, mounts, devices and the loaded seccomp filter are what the
containers of this field have had for years; every deviation is a hole or a breakage.
"""

import errno

import pytest

from support.daemon import Engine

CAPABILITIES = "00000000a80425fb"
"""The default fourteen: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap."""
NONE = "0" * 16
WITH_SYS_ADMIN = f"{0xA80425FB | 1 << 21:016x}"
WITHOUT_NET_RAW = f"{0xA80425FB & ~(1 << 13):016x}"

MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
    "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def status_of(engine: Engine, *flags: str) -> dict[str, str]:
    """/proc/self/status of a container's first process."""
    out = engine.docker_ok("run", "--rm", *flags, "busybox", "cat", "/proc/self/status")
    return dict(line.split(":\t", 1) for line in out.splitlines() if ":\t" in line)


@pytest.mark.slide("23.53", "23.54", "23.55")
@pytest.mark.parametrize(
    ("flags", "effective", "bounding"),
    [
        ((), CAPABILITIES, CAPABILITIES),
        (("-u", "1000"), NONE, CAPABILITIES),
        (("--cap-drop", "ALL"), NONE, NONE),
        (("--cap-drop", "ALL", "--cap-add", "CHOWN"), f"{1:016x}", f"{1:016x}"),
        (("--cap-add", "SYS_ADMIN"), WITH_SYS_ADMIN, WITH_SYS_ADMIN),
        (("--cap-drop", "NET_RAW"), WITHOUT_NET_RAW, WITHOUT_NET_RAW),
    ],
)  # fmt: skip
def test_capabilities(
    engine: Engine, flags: tuple[str, ...], effective: str, bounding: str
) -> None:
    """Effective, permitted and bounding sets; inheritable and ambient are always empty."""
    status = status_of(engine, *flags)
    assert (status["CapEff"], status["CapPrm"]) == (effective, effective)
    assert status["CapBnd"] == bounding
    assert (status["CapInh"], status["CapAmb"]) == (NONE, NONE)


def test_exec_has_the_same_profile(engine: Engine) -> None:
    """A joining command gets the same sets, filter and flags as the first process."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    script = "grep -E '^(Cap|Seccomp:|NoNewPrivs|Groups)' /proc/{}/status"
    first = engine.docker_ok("exec", container, "sh", "-c", script.format(1))
    assert engine.docker_ok("exec", container, "sh", "-c", script.format("self")) == first
    user = engine.docker_ok("exec", "-u", "1000", container, "cat", "/proc/self/status")
    assert f"CapEff:\t{NONE}" in user


def test_seccomp_and_new_privileges(engine: Engine) -> None:
    """A filter is loaded; new privileges are possible unless refused."""
    status = status_of(engine)
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "0")
    assert status_of(engine, "--security-opt", "no-new-privileges")["NoNewPrivs"] == "1"
    assert status_of(engine, "--security-opt", "seccomp=unconfined")["Seccomp"] == "0"


@pytest.mark.stock_differs
def test_privileged(engine: Engine) -> None:
    """`--privileged` has every capability and no filter, and sees the host's devices."""
    status = status_of(engine, "--privileged")
    assert int(status["CapEff"], 16) & 1 << 21
    assert status["Seccomp"] == "0"
    nodes = engine.docker_ok("run", "--rm", "--privileged", "busybox", "ls", "/dev").split()
    assert "kmsg" in nodes


@pytest.mark.parametrize("path", MASKED)
def test_masked_paths(engine: Engine, path: str) -> None:
    """A masked file is the null device, a masked directory empty and read-only."""
    script = (
        f"if [ -d {path} ]; then ls -A {path} | wc -l; touch {path}/x 2>&1; "
        f"elif [ -e {path} ]; then stat -c %t:%T {path}; else echo absent; fi"
    )
    ran = engine.docker("run", "--rm", "busybox", "sh", "-c", script)
    if engine.api_prefix == "/v1.41" and path in ("/proc/interrupts", MASKED[-2]):
        return  # masked only since 2026 and 2024
    first = ran.stdout.splitlines()[0]
    assert first in ("0", "1:3", "absent")
    if first == "0":
        assert "Read-only file system" in ran.stdout


@pytest.mark.parametrize("path", READ_ONLY)
def test_read_only_paths(engine: Engine, path: str) -> None:
    """These parts of /proc can be read and not written."""
    out = engine.docker_ok("run", "--rm", "busybox", "cat", "/proc/self/mountinfo")
    mounts = {line.split()[4]: line.split()[5].split(",") for line in out.splitlines()}
    if path not in mounts:  # this kernel is built without it
        missing = engine.docker("run", "--rm", "busybox", "ls", "-d", path)
        assert "No such file or directory" in missing.stderr
        return
    assert "ro" in mounts[path]


def test_nothing_of_the_host_can_be_written(engine: Engine) -> None:
    """The classic ways out through /proc and /sys are closed."""
    script = (
        "for each in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/kernel/uevent_helper"
        " /proc/sys/vm/panic_on_oom /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/*/cgroup.procs; "
        "do [ -e $each ] && (echo x > $each) 2>/dev/null && echo open: $each; done; true"
    )
    assert engine.docker_ok("run", "--rm", "busybox", "sh", "-c", script) == ""


MOUNTS = {
    "/proc": ("proc", {"nosuid", "nodev", "noexec"}),
    "/dev": ("tmpfs", {"nosuid"}),
    "/dev/pts": ("devpts", {"nosuid", "noexec"}),
    "/dev/shm": ("tmpfs", {"nosuid", "nodev", "noexec"}),
    "/dev/mqueue": ("mqueue", {"nosuid", "nodev", "noexec"}),
    "/sys": ("sysfs", {"nosuid", "nodev", "noexec", "ro"}),
}


def test_mounts_and_their_options(engine: Engine) -> None:
    """Each default mount has its type and options."""
    out = engine.docker_ok("run", "--rm", "busybox", "cat", "/proc/self/mountinfo")
    seen = {}
    for line in out.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        seen[fields[4]] = (right.split()[0], set(fields[5].split(",")), right.split()[2])
    assert seen["/"][0] == "overlay"
    for path, (kind, options) in MOUNTS.items():
        assert seen[path][0] == kind, path
        assert options <= seen[path][1], path
    assert "size=65536k" in seen["/dev"][2]
    assert "mode=755" in seen["/dev"][2]
    assert "ptmxmode=666" in seen["/dev/pts"][2]
    assert "gid=5" in seen["/dev/pts"][2]
    groups = {path: each for path, each in seen.items() if path.startswith("/sys/fs/cgroup/")}
    for path, (_kind, options, _data) in groups.items():
        assert "ro" in options, path


@pytest.mark.slide("23.21")
def test_devices(engine: Engine) -> None:
    """/dev has the six nodes, the links, and nothing of the host."""
    out = engine.docker_ok("run", "--rm", "busybox", "ls", "/dev").split()
    assert set(out) - {"core"} == {
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero",
    }  # fmt: skip
    script = "cd /dev; stat -c '%n %a %t:%T' full null random tty urandom zero; "
    script += "readlink ptmx; readlink fd"
    assert engine.docker_ok("run", "--rm", "busybox", "sh", "-c", script).splitlines() == [
        "full 666 1:7", "null 666 1:3", "random 666 1:8", "tty 666 5:0", "urandom 666 1:9",
        "zero 666 1:5", "pts/ptmx", "/proc/self/fd",
    ]  # fmt: skip


@pytest.mark.slide("23.4", "23.21")
def test_the_device_group_denies(engine: Engine) -> None:
    """Nodes can be made, and opened only when they are on the list."""
    cases = {"c 1 3": True, "c 1 5": True, "c 5 0": None, "b 8 0": False, "c 10 229": False,
             "c 1 1": False, "c 1 11": False, "b 7 0": False, "b 254 0": False}  # fmt: skip
    for numbers, may_open in cases.items():
        script = f"mknod /tmp/n {numbers} && head -c 0 /tmp/n"
        ran = engine.docker("run", "--rm", "busybox", "sh", "-c", script)
        if may_open is True:
            assert ran.returncode == 0, numbers
        elif may_open is False:
            assert "Operation not permitted" in ran.stderr, numbers


@pytest.mark.slide("5.6", "23.22", "23.47")
def test_namespaces_are_its_own(engine: Engine) -> None:
    """All of its namespaces are new, except user (and cgroup and time where Docker has none)."""
    script = (
        "for each in ipc mnt net pid uts user; do echo $each $(readlink /proc/self/ns/$each); done"
    )
    inside = dict(
        line.split()
        for line in engine.docker_ok("run", "--rm", "busybox", "sh", "-c", script).splitlines()
    )
    outside = dict(
        line.split() for line in engine.machine.run("sh", "-c", script).stdout.splitlines()
    )
    assert {name for name in inside if inside[name] == outside[name]} == {"user"}


def test_descriptors_are_three(engine: Engine) -> None:
    """No descriptor of the engine reaches the container, in run and exec."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    listing = ("sh", "-c", "ls /proc/1/fd; echo; exec ls /proc/self/fd")
    first, own = engine.docker_ok("exec", container, *listing).split("\n\n")
    assert first.split() == ["0", "1", "2"]
    assert own.split() == ["0", "1", "2", "3"]  # 3 is the directory that ls reads


@pytest.mark.parametrize("number", [*range(16), 63, 255])
def test_no_working_directory_through_descriptors(engine: Engine, number: int) -> None:
    """A working directory in /proc/self/fd does not lead to the host."""
    script = "cat /proc/self/mountinfo > /dev/null; pwd; ls ../../../etc/debian_version 2>&1"
    ran = engine.docker(
        "run", "--rm", "-w", f"/proc/self/fd/{number}", "busybox", "sh", "-c", script
    )
    assert ran.returncode != 0 or "debian_version: No such file" in ran.stdout


# -- the loaded filter -----------------------------------------------------------------------

EPERM, ENOSYS = errno.EPERM, errno.ENOSYS
ANY = None
"""Let through by the filter: whatever the kernel says, but neither EPERM by the filter."""

VERDICTS: dict[str, tuple[int, tuple[int, ...], int | None]] = {
    # name: number on x86-64, arguments, errno that the filter gives (None: it lets it through)
    "socket-unix": (41, (1, 1, 0), ANY),
    "socket-inet": (41, (2, 1, 0), ANY),
    "socket-alg": (41, (38, 5, 0), EPERM),
    "socket-vsock": (41, (40, 1, 0), EPERM),
    "clone3": (435, (0, 0), ENOSYS),
    "clone-newuser": (56, (0x10000000 | 17,), EPERM),
    "clone-newns": (56, (0x00020000 | 17,), EPERM),
    "clone-newcgroup": (56, (0x02000000 | 17,), EPERM),
    "unshare-user": (272, (0x10000000,), EPERM),
    "unshare-mount": (272, (0x00020000,), EPERM),
    "setns": (308, (-1, 0), EPERM),
    "mount": (165, (0, 0, 0, 0, 0), EPERM),
    "umount2": (166, (0, 0), EPERM),
    "mount_setattr": (442, (-1, 0, 0, 0, 0), EPERM),
    "move_mount": (429, (-1, 0, -1, 0, 0), EPERM),
    "open_tree": (428, (-1, 0, 0), EPERM),
    "fsopen": (430, (0, 0), EPERM),
    "fsmount": (432, (-1, 0, 0), EPERM),
    "fsconfig": (431, (-1, 0, 0, 0, 0), EPERM),
    "fspick": (433, (-1, 0, 0), EPERM),
    "bpf": (321, (0, 0, 0), EPERM),
    "perf_event_open": (298, (0, 0, -1, -1, 0), EPERM),
    "fanotify_init": (300, (0, 0), EPERM),
    "quotactl": (179, (0, 0, 0, 0), EPERM),
    "sethostname": (170, (0, 0), EPERM),
    "setdomainname": (171, (0, 0), EPERM),
    "syslog": (103, (10, 0, 0), EPERM),
    "personality-linux": (135, (0,), ANY),
    "personality-query": (135, (0xFFFFFFFF,), ANY),
    "personality-no-random": (135, (0x0040000,), EPERM),
    "open_by_handle_at": (304, (-1, 0, 0), EPERM),
    "reboot": (169, (0, 0, 0, 0), EPERM),
    "acct": (163, (0,), EPERM),
    "init_module": (175, (0, 0, 0), EPERM),
    "finit_module": (313, (-1, 0, 0), EPERM),
    "delete_module": (176, (0, 0), EPERM),
    "iopl": (172, (0,), EPERM),
    "ioperm": (173, (0, 0, 0), EPERM),
    "settimeofday": (164, (0, 0), EPERM),
    "clock_settime": (227, (0, 0), EPERM),
    "set_mempolicy": (238, (0, 0, 0), EPERM),
    "mbind": (237, (0, 0, 0, 0, 0, 0), EPERM),
    "kcmp": (312, (0, 0, 0, 0, 0), EPERM),
    "vhangup": (153, (), EPERM),
    "io_uring_setup": (425, (0, 0), EPERM),
    "io_uring_enter": (426, (-1, 0, 0, 0, 0, 0), EPERM),
    "io_uring_register": (427, (-1, 0, 0, 0), EPERM),
    "keyctl": (250, (0, 0, 0, 0, 0), EPERM),
    "add_key": (248, (0, 0, 0, 0, 0), EPERM),
    "request_key": (249, (0, 0, 0, 0), EPERM),
    "kexec_load": (246, (0, 0, 0, 0), EPERM),
    "kexec_file_load": (320, (-1, -1, 0, 0, 0), EPERM),
    "userfaultfd": (323, (0,), EPERM),
    "pivot_root": (155, (0, 0), EPERM),
    "move_pages": (279, (0, 0, 0, 0, 0, 0), EPERM),
    "swapon": (167, (0, 0), EPERM),
    "swapoff": (168, (0,), EPERM),
    "uselib": (134, (0,), EPERM),
    "ustat": (136, (0, 0), EPERM),
    "sysfs": (139, (0, 0, 0), EPERM),
    "_sysctl": (156, (0,), EPERM),
    "nfsservctl": (180, (0, 0, 0), EPERM),
    "getpid": (39, (), ANY),
    "ptrace": (101, (0x4200, 0, 0, 0), ANY),
    "process_vm_readv": (310, (0, 0, 0, 0, 0, 0), ANY),
    "chroot": (161, (0,), ANY),
    "openat2": (437, (-1, 0, 0, 0), ANY),
    "memfd_create": (319, (0, 0), ANY),
    "pidfd_open": (434, (-1, 0), ANY),
    "beyond-all-known": (4000, (), ENOSYS),
}
NEEDS_SYS_ADMIN = (
    "unshare-user", "unshare-mount", "setns", "mount", "umount2", "mount_setattr", "move_mount",
    "open_tree", "fsopen", "fsmount", "fsconfig", "fspick", "bpf", "perf_event_open",
    "fanotify_init", "quotactl", "sethostname", "setdomainname",
)  # fmt: skip
STOCK_DIFFERS = {
    "socket-alg", "socket-vsock", "io_uring_setup", "io_uring_enter", "io_uring_register",
    "_sysctl", "syslog", "process_vm_readv", "beyond-all-known",
}  # fmt: skip


def verdicts(engine: Engine, probe: object, *flags: str) -> dict[str, int]:
    """What each call of the table gives inside a container."""
    lines = "".join(
        f"{name} {number} {' '.join(map(str, arguments))}\n"
        for name, (number, arguments, _expected) in VERDICTS.items()
    )
    bind = ("-v", f"{probe}:/probe:ro")
    out = engine.docker_ok("run", "-i", "--rm", *bind, *flags, "busybox", "/probe", "verdicts",
                           stdin=lines)  # fmt: skip
    return {line.split()[0]: int(line.split()[-1]) for line in out.splitlines()}


@pytest.mark.slide("23.56")
def test_default_verdicts(engine: Engine, probe: object) -> None:
    """The filter as loaded gives each call its errno."""
    seen = verdicts(engine, probe)
    wrong = {}
    for name, (_number, _arguments, expected) in VERDICTS.items():
        if engine.api_prefix == "/v1.41" and name in STOCK_DIFFERS:
            continue
        is_right = seen[name] != EPERM if expected is ANY else seen[name] == expected
        if not is_right:
            wrong[name] = errno.errorcode.get(seen[name], seen[name])
    assert not wrong


def test_sys_admin_opens_its_calls(engine: Engine, probe: object) -> None:
    """With CAP_SYS_ADMIN the kernel, not the filter, judges its calls."""
    seen = verdicts(engine, probe, "--cap-add", "SYS_ADMIN")
    still_filtered = {name for name in NEEDS_SYS_ADMIN if seen[name] == EPERM}
    # bpf and perf_event_open have capabilities of their own, which the kernel asks for as well.
    assert still_filtered <= {"bpf", "perf_event_open", "fsmount"}


def test_unconfined_has_no_filter(engine: Engine, probe: object) -> None:
    """Without the filter these calls reach the kernel, which knows better errors."""
    seen = verdicts(engine, probe, "--security-opt", "seccomp=unconfined")
    assert seen["clone3"] == errno.EINVAL
    assert seen["keyctl"] != EPERM
