"""The JSON of runtime configurations: there, back, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.json_schema import Schemas
from wherry.oci import runtime_json
from wherry.oci.runtime_spec import (
    BlockIo,
    BlockThrottle,
    BlockWeight,
    Capabilities,
    ConsoleSize,
    Cpu,
    Device,
    DeviceRule,
    ExecCpuAffinity,
    Hook,
    Hooks,
    HugepageLimit,
    IdMapping,
    InterfacePriority,
    IoPriority,
    Linux,
    Memory,
    Mount,
    Namespace,
    NetDevice,
    NetworkClass,
    Personality,
    Process,
    RdmaLimit,
    Resources,
    Rlimit,
    Root,
    RootfsMount,
    RuntimeSpec,
    Scheduler,
    Seccomp,
    SeccompArgument,
    SeccompRule,
    TimeOffset,
    User,
)

SCHEMAS = Schemas(Path(__file__).parent / "schemas")

text = st.text(max_size=12)
name = st.text(min_size=1, max_size=12)
uint16 = st.integers(0, (1 << 16) - 1)
uint32 = st.integers(0, (1 << 32) - 1)
uint64 = st.integers(0, (1 << 64) - 1)
int64 = st.integers(-(1 << 63), (1 << 63) - 1)


def tuples(each: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Up to three of something."""
    return st.lists(each, max_size=3).map(tuple)


texts = tuples(text)
limits = st.none() | int64
int32 = st.integers(-(1 << 31), (1 << 31) - 1)
mappings = tuples(st.builds(IdMapping, container_id=uint32, host_id=uint32, size=uint32))
device_numbers = st.integers(0, (1 << 20) - 1)
throttles = tuples(
    st.builds(BlockThrottle, major=device_numbers, minor=device_numbers, rate=uint64)
)
hooks = tuples(
    st.builds(
        Hook, path=name, args=texts, env=texts, timeout_s=st.none() | st.integers(1, 1 << 40)
    )
)
actions = st.sampled_from(("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL"))

processes = st.builds(
    Process,
    args=texts,
    cwd=name,
    env=texts,
    terminal=st.booleans(),
    console_size=st.builds(ConsoleSize, height=uint64, width=uint64),
    user=st.builds(
        User, uid=uint32, gid=uint32, umask=st.none() | uint32, additional_gids=tuples(uint32)
    ),
    capabilities=st.none()
    | st.builds(
        Capabilities,
        bounding=texts,
        effective=texts,
        inheritable=texts,
        permitted=texts,
        ambient=texts,
    ),
    rlimits=tuples(st.builds(Rlimit, type=st.just("RLIMIT_NOFILE"), soft=uint64, hard=uint64)),
    no_new_privileges=st.booleans(),
    oom_score_adj=st.none() | st.integers(-1000, 1000),
    apparmor_profile=text,
    selinux_label=text,
    io_priority=st.none()
    | st.builds(IoPriority, class_=st.just("IOPRIO_CLASS_BE"), priority=int32),
    scheduler=st.none()
    | st.builds(
        Scheduler,
        policy=st.just("SCHED_DEADLINE"),
        nice=int32,
        priority=int32,
        flags=tuples(st.just("SCHED_FLAG_RECLAIM")),
        runtime=uint64,
        deadline=uint64,
        period=uint64,
    ),
    exec_cpu_affinity=st.none()
    | st.builds(
        ExecCpuAffinity,
        initial=st.sampled_from(("", "0-3,7")),
        final=st.sampled_from(("", "1")),
    ),
)
filters = st.builds(
    Seccomp,
    default_action=actions,
    default_errno_ret=st.none() | uint32,
    architectures=tuples(st.sampled_from(("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"))),
    flags=tuples(st.just("SECCOMP_FILTER_FLAG_LOG")),
    listener_path=text,
    listener_metadata=text,
    syscalls=tuples(
        st.builds(
            SeccompRule,
            names=st.lists(text, min_size=1, max_size=2).map(tuple),
            action=actions,
            errno_ret=st.none() | uint32,
            args=tuples(
                st.builds(
                    SeccompArgument,
                    index=uint32,
                    value=uint64,
                    op=st.sampled_from(("SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ")),
                    value_two=uint64,
                )
            ),
        )
    ),
)
resources = st.builds(
    Resources,
    devices=tuples(
        st.builds(
            DeviceRule,
            allow=st.booleans(),
            type=st.sampled_from("abc"),
            major=limits,
            minor=limits,
            access=st.sampled_from(("r", "rwm")),
        )
    ),
    memory=st.none()
    | st.builds(
        Memory,
        limit=limits,
        reservation=limits,
        swap=limits,
        swappiness=st.none() | uint64,
        disable_oom_killer=st.booleans(),
        kernel=limits,
        kernel_tcp=limits,
        use_hierarchy=st.booleans(),
        check_before_update=st.booleans(),
    ),
    cpu=st.none()
    | st.builds(
        Cpu,
        shares=st.none() | uint64,
        quota=limits,
        period=st.none() | uint64,
        cpus=text,
        mems=text,
        burst=st.none() | uint64,
        realtime_period=st.none() | uint64,
        realtime_runtime=limits,
        idle=limits,
    ),
    pids_limit=limits,
    block_io=st.none()
    | st.builds(
        BlockIo,
        weight=st.none() | uint16,
        leaf_weight=st.none() | uint16,
        weight_devices=tuples(
            st.builds(
                BlockWeight,
                major=device_numbers,
                minor=device_numbers,
                weight=st.none() | uint16,
                leaf_weight=st.none() | uint16,
            )
        ),
        read_bps=throttles,
        write_bps=throttles,
        read_iops=throttles,
        write_iops=throttles,
    ),
    hugepage_limits=tuples(st.builds(HugepageLimit, page_size=st.just("2MB"), limit=uint64)),
    network=st.none()
    | st.builds(
        NetworkClass,
        class_id=st.none() | uint32,
        priorities=tuples(st.builds(InterfacePriority, name=name, priority=uint32)),
    ),
    rdma=st.dictionaries(
        name,
        st.builds(RdmaLimit, hca_handles=st.none() | uint32, hca_objects=st.none() | uint32),
        max_size=2,
    ),
    unified=st.dictionaries(name, text, max_size=2),
)
linux = st.builds(
    Linux,
    namespaces=tuples(
        st.builds(Namespace, type=st.sampled_from(("pid", "network", "time")), path=text)
    ),
    devices=tuples(
        st.builds(
            Device,
            path=name,
            type=st.sampled_from("cb"),
            major=int64,
            minor=int64,
            file_mode=st.integers(0, 0o777),
            uid=uint32,
            gid=uint32,
        )
    ),
    cgroups_path=text,
    resources=resources,
    sysctl=st.dictionaries(name, text, max_size=2),
    seccomp=st.none() | filters,
    rootfs_propagation=st.sampled_from(("", "shared", "slave")),
    masked_paths=texts,
    readonly_paths=texts,
    mount_label=text,
    uid_mappings=mappings,
    gid_mappings=mappings,
    time_offsets=st.dictionaries(
        st.sampled_from(("monotonic", "boottime")),
        st.builds(TimeOffset, secs=int64, nanosecs=uint32),
    ),
    personality=st.none() | st.builds(Personality, domain=st.sampled_from(("LINUX", "LINUX32"))),
    net_devices=st.dictionaries(name, st.builds(NetDevice, name=text), max_size=2),
)
specs = st.builds(
    RuntimeSpec,
    process=processes,
    root=st.builds(Root, path=name, readonly=st.booleans()),
    hostname=text,
    domainname=text,
    mounts=tuples(
        st.builds(
            Mount,
            destination=name,
            type=text,
            source=text,
            options=texts,
            uid_mappings=mappings,
            gid_mappings=mappings,
        )
    ),
    hooks=st.builds(
        Hooks,
        prestart=hooks,
        create_runtime=hooks,
        create_container=hooks,
        start_container=hooks,
        poststart=hooks,
        poststop=hooks,
    ),
    linux=linux,
    annotations=st.dictionaries(name, text, max_size=2),
)
rootfs_mounts = st.builds(
    RootfsMount,
    type=st.sampled_from(("overlay", "bind")),
    directory=name,
    lower=texts,
    upper=text,
    work=text,
    source=text,
)


@settings(max_examples=60, deadline=None)
@given(specs)
def test_a_configuration_survives_the_journey(spec: RuntimeSpec) -> None:
    """What was written is what is read."""
    assert runtime_json.decode(runtime_json.encode(spec)) == spec


@settings(max_examples=60, deadline=None)
@given(specs)
def test_what_is_written_fits_the_specification(spec: RuntimeSpec) -> None:
    """The published schema accepts it, and knows every member."""
    document = json.loads(runtime_json.encode(spec))
    assert SCHEMAS.complaints(document, "config-schema.json") == []


def test_the_schema_checker_complains() -> None:
    """A wrong type, a missing and an unknown member are each seen."""
    document = {"process": {"cwd": 3, "colour": "red"}, "root": {"path": "x"}}
    assert SCHEMAS.complaints(document, "config-schema.json") == [
        ".ociVersion: missing",
        ".process.cwd: 3 is no string",
        ".process.colour: not in the schema",
    ]


@settings(max_examples=30, deadline=None)
@given(processes, rootfs_mounts)
def test_parts_survive_the_journey_alone(process: Process, rootfs: RootfsMount) -> None:
    """A process and a root's mount travel inside other messages."""
    sent = json.loads(json.dumps(runtime_json.PROCESS.to_json(process)))
    assert runtime_json.PROCESS.from_json(sent, "process") == process
    sent = json.loads(json.dumps(runtime_json.ROOTFS.to_json(rootfs)))
    assert runtime_json.ROOTFS.from_json(sent, "rootfs") == rootfs


def test_the_filter_may_stay_unread() -> None:
    """A configuration reads the same but for its filter."""
    wanted = Seccomp(default_action="SCMP_ACT_ALLOW")
    spec = RuntimeSpec(process=Process(args=("x",)), linux=Linux(seccomp=wanted))
    without = RuntimeSpec(process=Process(args=("x",)))
    assert runtime_json.decode_without_filter(runtime_json.encode(spec)) == without


def test_bytes_that_are_no_text_survive() -> None:
    """File names of any bytes come back as they were."""
    odd = b"/caf\xe9".decode("utf-8", "surrogateescape")
    spec = RuntimeSpec(process=Process(args=(odd,)))
    assert runtime_json.decode(runtime_json.encode(spec)) == spec


MINIMAL: dict[str, Any] = {"ociVersion": "1.2.0", "process": {"args": ["true"], "cwd": "/"}}


def test_a_minimal_configuration() -> None:
    """What is left out has the specification's defaults; null and unknown members are absent."""
    document = MINIMAL | {"root": None, "linux": None, "future": {"x": 1}}
    assert runtime_json.decode(json.dumps(document)) == RuntimeSpec(
        process=Process(args=("true",))
    )


Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda d: d.pop("process"), "process: missing"),
        (lambda d: d["process"].pop("cwd"), "process.cwd: missing"),
        (lambda d: d.update(ociVersion=1), "ociVersion: expected a string, not 1"),
        (lambda d: d.update(hostname=[]), r"hostname: expected a string, not \[\]"),
        (lambda d: d.update(root={}), "root.path: missing"),
        (lambda d: d.update(root="/x"), "root: expected an object, not '/x'"),
        (lambda d: d.update(mounts={}), "mounts: expected an array, not {}"),
        (lambda d: d.update(mounts=[{}]), r"mounts\[0\].destination: missing"),
        (
            lambda d: d["process"].update(args=["a", 2]),
            r"process.args\[1\]: expected a string, not 2",
        ),
        (
            lambda d: d["process"].update(user={"uid": -1}),
            r"process.user.uid: -1 is not in 0..4294967295",
        ),
        (
            lambda d: d["process"].update(user={"uid": 1 << 32}),
            r"process.user.uid: 4294967296 is not in 0..4294967295",
        ),
        (
            lambda d: d["process"].update(user={"uid": True}),
            "process.user.uid: expected a whole number, not True",
        ),
        (
            lambda d: d["process"].update(user={"uid": 1.0}),
            "process.user.uid: expected a whole number, not 1.0",
        ),
        (
            lambda d: d["process"].update(terminal="yes"),
            "process.terminal: expected a boolean, not 'yes'",
        ),
        (
            lambda d: d.update(linux={"sysctl": {"a": 1}}),
            "linux.sysctl.a: expected a string, not 1",
        ),
        (
            lambda d: d.update(hooks={"prestart": [{}]}),
            r"hooks.prestart\[0\].path: missing",
        ),
        (
            lambda d: d.update(hooks={"poststop": [{"path": "/x", "timeout": 0}]}),
            r"hooks.poststop\[0\].timeout: 0 is not in 1\.\..*",
        ),
        (
            lambda d: d.update(linux={"uidMappings": [{}]}),
            r"linux.uidMappings\[0\].containerID: missing",
        ),
        (
            lambda d: d.update(linux={"resources": {"blockIO": {"weight": -1}}}),
            r"linux.resources.blockIO.weight: -1 is not in 0\.\.65535",
        ),
        (
            lambda d: d.update(linux={"intelRdt": {"closID": "x"}}),
            "linux.intelRdt: not supported",
        ),
    ],
)
def test_refusals_name_field_and_value(damage: Damage, complaint: str) -> None:
    """One complaint for each kind of mistake."""
    document = json.loads(json.dumps(MINIMAL))
    damage(document)
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        runtime_json.decode(json.dumps(document))


@pytest.mark.parametrize(
    "document",
    ["", "{", "[]", "null", '{"a": NaN}', "[" * 100_000, '{"a": ' + "9" * 5000 + "}"],
    ids=["empty", "cut", "array", "null", "nan", "deep", "digits"],
)
def test_what_is_no_document_is_refused(document: str) -> None:
    """Hostile JSON ends in ValueError, never in another exception."""
    with pytest.raises(ValueError):
        runtime_json.decode(document)


def test_long_values_are_shown_in_part() -> None:
    """A complaint does not repeat a megabyte."""
    document = MINIMAL | {"hostname": ["x" * 1_000_000]}
    with pytest.raises(ValueError) as caught:
        runtime_json.decode(json.dumps(document))
    assert len(str(caught.value)) < 200
