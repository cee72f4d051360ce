"""Whole configurations, compared with golden files, and what is refused beforehand."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.golden import assert_golden_json
from wherry.linux.capabilities import NAMES
from wherry.model.containers import (
    BindMount,
    Container,
    ContainerSpec,
    ContainerStatus,
    ExecSpec,
    Namespaces,
    NetworkSpec,
    Security,
    Terminal,
    TmpfsMount,
)
from wherry.model.devices import DeviceMapping, DeviceSpec
from wherry.model.errors import InvalidValue
from wherry.model.ids import ContainerId, ImageId
from wherry.model.lifecycle import ContainerState
from wherry.model.limits import Limits, Ulimit
from wherry.model.networks import NetworkMode, NetworkModeKind
from wherry.oci import runtime_json
from wherry.oci.runtime_spec import Device, Mount, RuntimeSpec, User
from wherry.specgen import (
    HostDevices,
    HostFacts,
    JoinedPaths,
    Knob,
    SandboxPaths,
    check_spec,
    exec_process,
    runtime_spec,
)

ID = ContainerId("0123456789abcdef" * 4)
HOST = HostFacts(
    cgroup_version=1,
    kernel_version=(6, 1),
    hostname="host.example",
    processors=4,
    cpuset_cpus="0-3",
    controllers=frozenset({"memory", "cpu", "pids"}),
    thermal_throttle=("/sys/devices/system/cpu/cpu0/thermal_throttle",),
    capabilities=NAMES,
)
SANDBOX = SandboxPaths(
    namespace_path="/run/wherry/netns/0123456789ab",
    hosts="/var/lib/wherry/containers/0123/hosts",
    resolv_conf="/var/lib/wherry/containers/0123/resolv.conf",
    hostname="/var/lib/wherry/containers/0123/hostname",
)
EVERYTHING = ContainerSpec(
    image="busybox",
    entrypoint=("/bin/sh", "-c"),
    command=("exec top",),
    environment=("PATH=/bin", "COLOUR=red", "COLOUR=blue", "HOSTNAME"),
    working_directory="/srv",
    user="1000:100",
    hostname="boat",
    domainname="example.org",
    annotations={"org.example": "1"},
    terminal=Terminal(is_tty=True, rows=24, columns=80),
    is_rootfs_read_only=True,
    shm_bytes=1 << 20,
    sysctls={"net.core.somaxconn": "128", "net.ipv4.ip_unprivileged_port_start": "1024"},
    oom_score_adjust=300,
    cgroup_parent="/course",
    mounts=(
        BindMount(source="/data/deep", target="/srv/data/deep/", is_read_only=True),
        BindMount(source="/data", target="/srv/data", propagation="rslave"),
        BindMount(source="/own/hosts", target="/etc/hosts"),
        TmpfsMount(target="/run", options="rw,exec,size=64m"),
        TmpfsMount(target="/tmp", size_bytes=3 << 20, mode=0o1777, from_mount_flag=True),
    ),
    limits=Limits(
        memory_bytes=64 << 20,
        cpu_nanos=1_500_000_000,
        cpu_shares=512,
        cpuset_cpus="0-1,3",
        pids=100,
        ulimits=(Ulimit(name="nofile", soft=1024, hard=-1), Ulimit(name="core", soft=0, hard=0)),
    ),
    security=Security(
        capabilities_added=("net_admin", "CAP_SYS_PTRACE", "chown"),
        capabilities_dropped=("MKNOD", "cap_net_raw"),
        no_new_privileges=True,
        seccomp="unconfined",
    ),
)


def container(spec: ContainerSpec) -> Container:
    """A created container."""
    return Container(
        id=ID,
        name="boat",
        created_at_ns=0,
        image_id=ImageId("sha256:" + "0" * 64),
        spec=spec,
        status=ContainerStatus(state=ContainerState.CREATED),
    )


def made(spec: ContainerSpec, *, host: HostFacts = HOST, **members: object) -> RuntimeSpec:
    """The configuration of a container that wants this."""
    arguments = {"host": host, "sandbox": SANDBOX} | members
    return runtime_spec(container(spec), **arguments)  # type: ignore[arg-type]


def simple(**members: object) -> ContainerSpec:
    """A container that runs `true`."""
    return ContainerSpec(image="busybox", command=("true",), **members)  # type: ignore[arg-type]


def on_network(kind: NetworkModeKind) -> NetworkSpec:
    """A network mode."""
    return NetworkSpec(mode=NetworkMode(kind))


def document(spec: RuntimeSpec) -> object:
    """The JSON of a configuration; the filter has tests of its own and is left out here."""
    without = replace(spec, linux=replace(spec.linux, seccomp=None))
    return json.loads(runtime_json.encode(without))


def mount_at(spec: RuntimeSpec, place: str) -> Mount:
    """The one mount at a place."""
    (found,) = [each for each in spec.mounts if each.destination == place]
    return found


def kinds(spec: RuntimeSpec) -> dict[str, str]:
    """The paths of the namespaces by kind."""
    return {each.type: each.path for each in spec.linux.namespaces}


# -- whole configurations --------------------------------------------------------------------


def test_default_container() -> None:
    """A container that asks for nothing gets the default profile, exactly."""
    spec = made(simple())
    assert spec.linux.seccomp is not None
    assert_golden_json("specgen/default", document(spec))


def test_container_with_everything() -> None:
    """Every option at once."""
    spec = made(EVERYTHING)
    assert spec.linux.seccomp is None
    assert_golden_json("specgen/everything", document(spec))


def test_privileged_container() -> None:
    """All capabilities and devices, no masks, no filter, writable /sys and cgroups."""
    nodes = (Device(path="/dev/kmsg", type="c", major=1, minor=11, file_mode=0o644),)
    spec = made(simple(security=Security(is_privileged=True)), devices=HostDevices(nodes=nodes))
    assert spec.linux.seccomp is None
    assert_golden_json("specgen/privileged", document(spec))


def test_container_that_shares_the_host() -> None:
    """Host network, processes, ipc, names and cgroups: nothing of its own but mounts and time."""
    shared = simple(
        network=on_network(NetworkModeKind.HOST),
        namespaces=Namespaces(pid="host", ipc="host", uts="host", cgroup="host"),
    )
    assert_golden_json("specgen/host", document(made(shared, sandbox=SandboxPaths())))


def test_container_that_joins_another() -> None:
    """The other's network, processes, ipc and shared memory; no sysctl defaults a second time."""
    joining = simple(
        network=on_network(NetworkModeKind.CONTAINER),
        namespaces=Namespaces(pid="container:abc", ipc="container:abc"),
    )
    paths = JoinedPaths(pid="/proc/77/ns/pid", ipc="/proc/77/ns/ipc", shm="/proc/77/root/dev/shm")
    assert_golden_json("specgen/joining", document(made(joining, joined=paths)))


def test_container_on_cgroup_v2() -> None:
    """A cgroup namespace of its own by default; no time namespace where there is none."""
    host = replace(HOST, cgroup_version=2, has_time_namespace=False, kernel_version=(5, 4))
    assert_golden_json("specgen/cgroup_v2", document(made(simple(), host=host)))


# -- single rules ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("added", "dropped", "mask"),
    [
        ((), (), 0xA80425FB),
        ((), ("ALL",), 0),
        (("ALL",), (), (1 << 41) - 1),
        (("all",), ("sys_admin",), (1 << 41) - 1 - (1 << 21)),
        (("CHOWN",), ("all",), 1),
        (("net_raw",), ("NET_RAW",), 0xA80425FB),
        ((), ("CAP_CHOWN", "kill"), 0xA80425FB & ~(1 | 1 << 5)),
    ],
)
def test_capabilities(added: tuple[str, ...], dropped: tuple[str, ...], mask: int) -> None:
    """Additions and drops, ALL among either, with and without prefix, in any case."""
    security = Security(capabilities_added=added, capabilities_dropped=dropped)
    sets = made(simple(security=security)).process.capabilities
    assert sets is not None
    assert sum(1 << NAMES.index(each) for each in sets.bounding) == mask
    assert sets.bounding == sets.effective == sets.permitted
    assert sets.inheritable == sets.ambient == ()


def test_a_capability_that_the_host_lacks() -> None:
    """Known to Docker, held back from this daemon."""
    host = replace(HOST, capabilities=NAMES[:20])
    wanted = simple(security=Security(capabilities_added=("BPF",)))
    with pytest.raises(InvalidValue) as caught:
        check_spec(wanted, host=host)
    assert caught.value.sentence == (
        "invalid CapAdd: capability not supported by your kernel or not available in the "
        'current environment: "CAP_BPF"'
    )


@pytest.mark.parametrize(
    ("limits", "limit", "swap"),
    [
        (Limits(memory_bytes=8 << 20), 8 << 20, 16 << 20),
        (Limits(memory_bytes=8 << 20, memory_swap_bytes=8 << 20), 8 << 20, 8 << 20),
        (Limits(memory_bytes=8 << 20, memory_swap_bytes=-1), 8 << 20, -1),
    ],
)
def test_swap(limits: Limits, limit: int, swap: int) -> None:
    """As much swap as memory by default; the given sum; or any amount."""
    memory = made(simple(limits=limits)).linux.resources.memory
    assert memory is not None
    assert (memory.limit, memory.swap) == (limit, swap)


def test_swap_that_nobody_counts() -> None:
    """Where the kernel can't limit swap, memory is limited alone."""
    spec = made(
        simple(limits=Limits(memory_bytes=8 << 20)),
        host=replace(HOST, knobs=HOST.knobs - {Knob.SWAP}),
    )
    memory = spec.linux.resources.memory
    assert memory is not None
    assert (memory.limit, memory.swap) == (8 << 20, None)


@pytest.mark.parametrize("pids", [None, 0, -1])
def test_any_number_of_processes(pids: int | None) -> None:
    """None, zero and below are no limit."""
    assert made(simple(limits=Limits(pids=pids))).linux.resources.pids_limit is None


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", User()),
        ("0", User()),
        ("1000", User(uid=1000)),
        ("1000:5", User(uid=1000, gid=5)),
        ("2147483647", User(uid=2147483647)),
        ("2147483648", User()),
        ("nobody", User()),
        ("-1", User()),
        ("1_000", User()),
        ("\u0661", User()),
        ("1000:wheel", User()),
    ],
)
def test_users_in_numbers(user: str, expected: User) -> None:
    """Only plain decimal numbers count here; names are for the runtime."""
    assert made(simple(user=user)).process.user == expected


def test_network_modes() -> None:
    """A ready namespace is joined, none is made when there is no network at all."""
    assert kinds(made(simple()))["network"] == SANDBOX.namespace_path
    without = made(simple(network=NetworkSpec(is_disabled=True)), sandbox=SandboxPaths())
    assert kinds(without)["network"] == ""
    host = made(simple(network=on_network(NetworkModeKind.HOST)), sandbox=SandboxPaths())
    assert "network" not in kinds(host)
    through = made(simple(network=on_network(NetworkModeKind.CONTAINER)), sandbox=SandboxPaths())
    assert "network" not in kinds(through)
    assert host.linux.sysctl == {}
    assert host.hostname == "host.example"


def test_host_name() -> None:
    """The start of the id by default."""
    spec = made(simple())
    assert spec.hostname == "0123456789ab"
    assert "HOSTNAME=0123456789ab" in spec.process.env


def test_ipc_none_has_no_shared_memory() -> None:
    """No /dev/shm at all."""
    spec = made(simple(namespaces=Namespaces(ipc="none")))
    assert "/dev/shm" not in {each.destination for each in spec.mounts}
    assert "ipc" in kinds(spec)


def test_a_mount_at_dev_replaces_everything_below_it() -> None:
    """A user's /dev brings its own pts, shm and mqueue."""
    spec = made(simple(mounts=(BindMount(source="/dev", target="/dev"),)))
    places = [each.destination for each in spec.mounts if each.destination.startswith("/dev")]
    assert places == ["/dev"]
    assert mount_at(spec, "/dev").type == "bind"


def test_a_users_file_replaces_the_engines() -> None:
    """`-v x:/etc/hosts` wins over the file that the engine keeps."""
    spec = made(simple(mounts=(BindMount(source="/mine", target="/etc/hosts"),)))
    assert mount_at(spec, "/etc/hosts").source == "/mine"
    assert mount_at(spec, "/etc/resolv.conf").source == SANDBOX.resolv_conf


@pytest.mark.parametrize(
    ("bind", "kernel", "options"),
    [
        (BindMount(source="/a", target="/a"), (6, 1), ("rbind", "rprivate")),
        (
            BindMount(source="/a", target="/a", is_read_only=True),
            (6, 1),
            ("rbind", "rro", "rprivate"),
        ),
        (
            BindMount(source="/a", target="/a", is_read_only=True),
            (5, 10),
            ("rbind", "ro", "rprivate"),
        ),
        (
            BindMount(source="/a", target="/a", is_read_only=True, is_recursive=False),
            (6, 1),
            ("bind", "ro", "rprivate"),
        ),
        (BindMount(source="/a", target="/a", propagation="shared"), (6, 1), ("rbind", "shared")),
    ],
)
def test_bind_options(bind: BindMount, kernel: tuple[int, int], options: tuple[str, ...]) -> None:
    """Recursion, read-only as deep as the kernel can, propagation."""
    spec = made(simple(mounts=(bind,)), host=replace(HOST, kernel_version=kernel))
    assert mount_at(spec, "/a").options == options


@pytest.mark.parametrize(
    ("tmpfs", "options"),
    [
        (TmpfsMount(target="/t"), ("noexec", "nosuid", "nodev", "rprivate")),
        (
            TmpfsMount(target="/t", options="rw,noexec,size=64m"),
            ("nosuid", "nodev", "rprivate", "rw", "noexec", "size=64m"),
        ),
        (
            TmpfsMount(target="/t", options="exec,suid,dev,ro,rw,defaults"),
            ("rprivate", "exec", "suid", "dev", "rw"),
        ),
        (
            TmpfsMount(target="/t", options="size=1k,size=2k,mode=755,shared"),
            ("noexec", "nosuid", "nodev", "size=2k", "mode=755", "shared"),
        ),
        (
            TmpfsMount(target="/t", size_bytes=1 << 30, mode=0o700),
            ("noexec", "nosuid", "nodev", "rprivate", "mode=700", "size=1g"),
        ),
        (
            TmpfsMount(target="/t", size_bytes=1025),
            ("noexec", "nosuid", "nodev", "rprivate", "size=1025"),
        ),
    ],
)
def test_tmpfs_options(tmpfs: TmpfsMount, options: tuple[str, ...]) -> None:
    """Docker's defaults, overridden where the user says the opposite."""
    assert mount_at(made(simple(mounts=(tmpfs,))), "/t").options == options


def test_shallow_mounts_come_first() -> None:
    """No mount hides another, however they were written."""
    targets = ("/a/b/c", "/a", "/x/y", "/a/b")
    binds = tuple(BindMount(source="/s", target=each) for each in targets)
    spec = made(simple(mounts=binds), sandbox=SandboxPaths(namespace_path="/n"))
    places = [each.destination for each in spec.mounts if each.type == "bind"]
    assert places == ["/a", "/x/y", "/a/b", "/a/b/c"]


@pytest.mark.parametrize(
    ("parent", "path"),
    [
        ("", f"/docker/{ID}"),
        ("course", f"/course/{ID}"),
        ("/a/b/", f"/a/b/{ID}"),
        ("../../etc", f"/etc/{ID}"),
        ("//x", f"/x/{ID}"),
    ],
)
def test_cgroup_path(parent: str, path: str) -> None:
    """Below the asked parent, and never above the root."""
    assert made(simple(cgroup_parent=parent)).linux.cgroups_path == path


def test_masks_of_the_users_own() -> None:
    """An empty list is a list: nothing masked (`--security-opt systempaths=unconfined`)."""
    spec = made(simple(security=Security(masked_paths=(), read_only_paths=("/proc/bus",))))
    assert spec.linux.masked_paths == ()
    assert spec.linux.readonly_paths == ("/proc/bus",)


def test_sysctl_defaults_need_the_kernels_help() -> None:
    """A default that this kernel does not have is not set."""
    spec = made(simple(), host=replace(HOST, sysctls=frozenset()))
    assert spec.linux.sysctl == {}


# -- refusals --------------------------------------------------------------------------------

_DEVICE_READ_TWICE = DeviceMapping(host_path="/d", container_path="/d", access="rr")
REFUSALS = {
    "capability": (
        {"security": Security(capabilities_added=("FLY",))},
        'invalid CapAdd: unknown capability: "CAP_FLY"',
    ),
    "dropped capability": (
        {"security": Security(capabilities_dropped=("cap_fly",))},
        'invalid CapDrop: unknown capability: "CAP_FLY"',
    ),
    "device rule": (
        {"devices": DeviceSpec(rules=("c 1:3 rwx",))},
        "invalid device cgroup rule format: 'c 1:3 rwx'",
    ),
    "device access": (
        {
            "devices": DeviceSpec(
                mappings=(DeviceMapping(host_path="/d", container_path="/d", access="rr"),)
            )
        },
        "bad mode specified: rr",
    ),
    "knob of no controller": (
        {"annotations": {"wherry.cgroup.rdma.max": "1"}},
        'invalid annotation "wherry.cgroup.rdma.max": this host has no rdma cgroup controller',
    ),
    "knob outside": (
        {"annotations": {"wherry.cgroup.memory/../x": "1"}},
        'invalid annotation "wherry.cgroup.memory/../x": "memory/../x" is no file of a cgroup',
    ),
    "knob of the engine": (
        {"annotations": {"wherry.cgroup.devices.allow": "a"}},
        'invalid annotation "wherry.cgroup.devices.allow": devices.allow is the engine\'s own',
    ),
    "moving knob": (
        {"annotations": {"wherry.cgroup.cgroup.procs": "1"}},
        'invalid annotation "wherry.cgroup.cgroup.procs": cgroup.procs is the engine\'s own',
    ),
    "knob's value": (
        {"annotations": {"wherry.cgroup.memory.high": "1\n2"}},
        'invalid annotation "wherry.cgroup.memory.high": "1\n2" is no value of a cgroup file',
    ),
    "pid mode": ({"namespaces": Namespaces(pid="others")}, "invalid PID mode: others"),
    "joined nobody": (
        {"namespaces": Namespaces(pid="container:")},
        "invalid PID mode: container:",
    ),
    "ipc mode": ({"namespaces": Namespaces(ipc="x")}, "invalid IPC mode: x"),
    "uts mode": ({"namespaces": Namespaces(uts="private")}, "invalid UTS mode: private"),
    "cgroup mode": (
        {"namespaces": Namespaces(cgroup="x")},
        "invalid cgroup namespace mode: x",
    ),
    "user mode": ({"namespaces": Namespaces(user="x")}, "invalid USER mode: x"),
    "oom score": (
        {"oom_score_adjust": 1001},
        "Invalid value 1001, range for oom score adj is [-1000, 1000]",
    ),
    "shm": ({"shm_bytes": -1}, "SHM size can not be less than 0"),
    "working directory": (
        {"working_directory": "srv"},
        "the working directory 'srv' is invalid, it needs to be an absolute path",
    ),
    "environment": ({"environment": ("=x",)}, "invalid environment variable: =x"),
    "zero byte": (
        {"environment": ("A=\0",)},
        "arguments, environment and paths can't contain a zero byte",
    ),
    "tmpfs option": (
        {"mounts": (TmpfsMount(target="/t", options="wet"),)},
        'invalid tmpfs option ["wet"]',
    ),
    "tmpfs value": (
        {"mounts": (TmpfsMount(target="/t", options="wet=1"),)},
        'invalid tmpfs option ["wet" "1"]',
    ),
    "mount on root": (
        {"mounts": (TmpfsMount(target="/a/.."),)},
        "invalid specification: destination can't be '/'",
    ),
    "relative mount": (
        {"mounts": (TmpfsMount(target="t"),)},
        "invalid mount path: 't' mount path must be absolute",
    ),
    "mounted twice": (
        {"mounts": (TmpfsMount(target="/t"), BindMount(source="/x", target="/t/"))},
        "Duplicate mount point: /t",
    ),
    "propagation": (
        {"mounts": (BindMount(source="/x", target="/t", propagation="wide"),)},
        'invalid mount config for type "bind": invalid propagation mode: wide',
    ),
    "sysctl": (
        {"sysctls": {"vm.max_map_count": "1"}},
        'sysctl "vm.max_map_count" is not in a separate kernel namespace',
    ),
    "core pattern": (
        {"sysctls": {"kernel.core_pattern": "|/x"}},
        'sysctl "kernel.core_pattern" is not in a separate kernel namespace',
    ),
    "core pattern in slashes": (
        {"sysctls": {"kernel/core_pattern": "|/x"}},
        'sysctl "kernel/core_pattern" is not in a separate kernel namespace',
    ),
    "injected value": (
        {"sysctls": {"kernel.shm_rmid_forced": "1+kernel.core_pattern=|/x"}},
        'sysctl "kernel.shm_rmid_forced" has an invalid value',
    ),
    "climbing key": (
        {"sysctls": {"net/../kernel/core_pattern": "x"}},
        'sysctl "net/../kernel/core_pattern" is not a valid name',
    ),
    "climbing dots": (
        {"sysctls": {"net.ipv4....kernel.core_pattern": "x"}},
        'sysctl "net.ipv4....kernel.core_pattern" is not a valid name',
    ),
    "host name": (
        {"sysctls": {"kernel.hostname": "x"}},
        'sysctl "kernel.hostname" is not allowed as it conflicts with the OCI "hostname" field',
    ),
    "network of the host": (
        {"sysctls": {"net.core.somaxconn": "1"}, "network": on_network(NetworkModeKind.HOST)},
        'sysctl "net.core.somaxconn" not allowed in host network namespace',
    ),
    "ipc of the host": (
        {"sysctls": {"kernel.shmmax": "1"}, "namespaces": Namespaces(ipc="host")},
        'sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace',
    ),
    "profile": (
        {"security": Security(seccomp="[]")},
        "Decoding seccomp profile failed: document: expected an object, not []",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case: str) -> None:
    """What could never start is refused with one sentence, Docker's where it has one."""
    members, sentence = REFUSALS[case]
    with pytest.raises(InvalidValue) as caught:
        check_spec(simple(**members), host=HOST)
    assert caught.value.sentence == sentence


def test_good_specs_are_accepted() -> None:
    """Nothing is refused without a reason."""
    check_spec(simple(), host=HOST)
    check_spec(EVERYTHING, host=HOST)
    check_spec(simple(sysctls={"net/ipv4/conf/eth0.100/rp_filter": "1"}), host=HOST)
    check_spec(simple(namespaces=Namespaces(pid="container:x", ipc="shareable")), host=HOST)


# -- properties ------------------------------------------------------------------------------

paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)


@settings(max_examples=80, deadline=None)
@given(st.lists(paths, max_size=8, unique=True))
def test_no_mount_hides_another(targets: list[str]) -> None:
    """Whatever is mounted below a place is mounted after it, and everything once."""
    binds = tuple(BindMount(source="/s", target=each) for each in targets)
    places = [each.destination for each in made(simple(mounts=binds)).mounts]
    assert len(places) == len(set(places))
    for index, place in enumerate(places):
        assert not any(later != place and place.startswith(f"{later}/")
                       for later in places[index + 1 :])  # fmt: skip
    assert set(targets) <= set(places)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from(NAMES), max_size=5).map(tuple),
    st.lists(st.sampled_from((*NAMES, "ALL")), max_size=5).map(tuple),
)
def test_drops_and_additions(added: tuple[str, ...], dropped: tuple[str, ...]) -> None:
    """What is added is there, what is only dropped is not, and nothing comes from nowhere."""
    security = Security(capabilities_added=added, capabilities_dropped=dropped)
    sets = made(simple(security=security)).process.capabilities
    assert sets is not None
    chosen = set(sets.bounding)
    assert len(chosen) == len(sets.bounding)
    assert set(added) <= chosen
    assert not chosen & (set(dropped) - set(added))


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="kernlcompat_v./netshmx:@- 1=+\n\0", max_size=30), st.text(max_size=8))
def test_no_sysctl_reaches_the_host(name: str, value: str) -> None:
    """Whatever is accepted is of a namespace of the container and stays below it."""
    try:
        spec = made(simple(sysctls={name: value}))
    except InvalidValue:
        return
    assert name in spec.linux.sysctl
    assert name.startswith(("net.", "net/", "kernel.", "kernel/", "fs.mqueue.", "fs/mqueue/"))
    assert ".." not in name
    assert "//" not in name
    assert not set(value) & set("\n\0=+")


# -- joining ---------------------------------------------------------------------------------


def test_exec_inherits() -> None:
    """An exec has the container's environment, capabilities and limits, and its own command."""
    wanted = ExecSpec(
        container_id=ID,
        command=("sh",),
        environment=("COLOUR=green", "EXTRA=1"),
        is_tty=True,
        rows=40,
        columns=100,
    )
    process = exec_process(container(EVERYTHING), wanted, host=HOST)
    assert_golden_json(
        "specgen/exec", json.loads(json.dumps(runtime_json.PROCESS.to_json(process)))
    )


def test_privileged_exec() -> None:
    """All the host's capabilities; another user and directory; no terminal, no TERM."""
    wanted = ExecSpec(
        container_id=ID, command=("id",), user="7", working_directory="/x", is_privileged=True
    )
    process = exec_process(container(simple(working_directory="/srv")), wanted, host=HOST)
    assert process.capabilities is not None
    assert process.capabilities.bounding == NAMES
    assert process.user == User(uid=7)
    assert process.cwd == "/x"
    assert not any(each.startswith("TERM=") for each in process.env)
