"""Plans are pure: golden files hold what would be done, step by step."""

from dataclasses import replace

import pytest

from support.containers import default_spec
from support.golden import assert_golden_json
from wherry.linux.cgroups import CgroupLayout, Hierarchy
from wherry.oci.runtime_spec import (
    Capabilities,
    ConsoleSize,
    Cpu,
    ExecCpuAffinity,
    Hook,
    Hooks,
    IdMapping,
    IoPriority,
    Memory,
    Mount,
    Namespace,
    Personality,
    Process,
    Resources,
    Rlimit,
    RootfsMount,
    RuntimeSpec,
    Scheduler,
    TimeOffset,
    User,
)
from wherry.operations.plan import Plan
from wherry.runtime.accounts import Identity
from wherry.runtime.join_plan import join_child_plan, join_parent_plan
from wherry.runtime.machine import Machine
from wherry.runtime.mount_options import PlanRefused
from wherry.runtime.plan import child_plan, parent_plan
from wherry.runtime.privilege_plan import execve_operation, last_plan
from wherry.runtime.subject import Subject

UNIFIED = Hierarchy(
    version=2,
    mount_point="/sys/fs/cgroup",
    controllers=("cpuset", "cpu", "io", "memory", "hugetlb", "pids"),
)
HYBRID = CgroupLayout(
    legacy=tuple(
        Hierarchy(version=1, mount_point=f"/sys/fs/cgroup/{name}", controllers=controllers)
        for name, controllers in (
            ("cpu,cpuacct", ("cpu", "cpuacct")),
            ("cpuset", ("cpuset",)),
            ("memory", ("memory",)),
            ("devices", ("devices",)),
            ("pids", ("pids",)),
            ("systemd", ("name=systemd",)),
        )
    ),
    unified=replace(UNIFIED, mount_point="/sys/fs/cgroup/unified", controllers=()),
)
V1 = Machine(layout=HYBRID, last_capability=40, has_kcore=True)
V2 = Machine(layout=CgroupLayout(unified=UNIFIED), last_capability=40)

EVERYTHING = Resources(
    devices=default_spec("x").linux.resources.devices,
    memory=Memory(limit=64 << 20, swap=128 << 20, reservation=32 << 20, swappiness=10),
    cpu=Cpu(shares=512, quota=50_000, period=100_000, cpus="0-1", mems="0"),
    pids_limit=100,
)


def subject(spec: RuntimeSpec, **changes: object) -> Subject:
    """A container on an overlay of two layers."""
    values: dict[str, object] = {
        "container_id": "c1",
        "bundle": "/run/bundle",
        "spec": spec,
        "rootfs": RootfsMount(
            type="overlay", directory="/data/overlay2", lower=("l/B", "l/A"), upper="u", work="w"
        ),
        "init_binary": "",
        "seccomp_program": b"",
        "makes_terminal": False,
    }
    return Subject(**(values | changes))  # type: ignore[arg-type]


def told(plan: Plan) -> list[dict[str, object]]:
    """A plan as its golden file shows it."""
    return [
        {
            "aspect": each.aspect.value,
            "describe": each.describe(),
            "why": each.why,
            "shell": each.shell(),
        }
        for each in plan
    ]


SPEC = default_spec("c1")
LIMITED = replace(SPEC, linux=replace(SPEC.linux, resources=EVERYTHING))


@pytest.mark.parametrize(("name", "machine"), [("v1", V1), ("v2", V2)])
def test_default_container(name: str, machine: Machine) -> None:
    """Both halves of a container with Docker's defaults, on either kind of cgroups."""
    plans = {
        "parent": told(parent_plan(subject(LIMITED), machine)),
        "child": told(child_plan(subject(LIMITED), machine)),
    }
    assert_golden_json(f"runtime/default_{name}", plans)


def test_container_with_many_options() -> None:
    """Terminal, init, volumes, sysctls, joined namespaces, read-only root."""
    spec = replace(
        SPEC,
        domainname="example.org",
        root=replace(SPEC.root, readonly=True),
        process=replace(
            SPEC.process,
            terminal=True,
            console_size=ConsoleSize(height=24, width=80),
            oom_score_adj=500,
            cwd="/srv",
        ),
        mounts=(
            *SPEC.mounts,
            Mount(destination="/data", source="/srv/data", options=("rbind", "rro", "rshared")),
            Mount(destination="/t", type="tmpfs", source="tmpfs", options=("size=1m", "noexec")),
        ),
        linux=replace(
            SPEC.linux,
            rootfs_propagation="shared",
            sysctl={"net.ipv4.ip_forward": "1"},
            namespaces=(
                Namespace(type="mount"),
                Namespace(type="uts"),
                Namespace(type="network", path="/run/netns/c1"),
                Namespace(type="pid", path="/proc/77/ns/pid"),
                Namespace(type="ipc", path="/proc/77/ns/ipc"),
            ),
        ),
    )
    made = subject(spec, init_binary="/usr/bin/tini-static", makes_terminal=True)
    plans = {"parent": told(parent_plan(made, V1)), "child": told(child_plan(made, V1))}
    assert_golden_json("runtime/many_options", plans)


def test_container_in_a_user_namespace() -> None:
    """What the container's root may not do is done with the host's rights, before the fork."""
    ids = (IdMapping(container_id=0, host_id=100_000, size=65_536),)
    spec = replace(
        SPEC,
        process=replace(
            SPEC.process, rlimits=(Rlimit(type="RLIMIT_NOFILE", soft=1024, hard=4096),)
        ),
        mounts=(
            *SPEC.mounts,
            Mount(destination="/data", source="/srv/data", options=("rbind", "ro")),
            Mount(destination="/m", source="/srv/m", options=("bind", "ridmap")),
        ),
        linux=replace(
            SPEC.linux,
            namespaces=(
                *(each for each in SPEC.linux.namespaces if each.type != "network"),
                Namespace(type="network", path="/run/netns/c1"),
                Namespace(type="user"),
            ),
            uid_mappings=ids,
            gid_mappings=ids,
            sysctl={"net.ipv4.ip_forward": "1", "kernel.shmmax": "1"},
            time_offsets={"monotonic": TimeOffset(secs=7)},
        ),
    )
    made = subject(spec, init_binary="/usr/bin/tini-static")
    plans = {"parent": told(parent_plan(made, V2)), "child": told(child_plan(made, V2))}
    assert_golden_json("runtime/user_namespace", plans)


def test_privileges() -> None:
    """The order in which a process gives up what it may do, with and without no_new_privs."""
    sets = Capabilities(
        bounding=("CAP_CHOWN", "CAP_KILL"),
        effective=("CAP_CHOWN",),
        permitted=("CAP_CHOWN",),
        ambient=("CAP_CHOWN",),
    )
    process = Process(
        args=("/app", "--flag"),
        env=("PATH=/bin", "API_KEY=1"),
        capabilities=sets,
        rlimits=(Rlimit(type="RLIMIT_NOFILE", soft=1, hard=2),),
        user=User(umask=0o27),
    )
    who = Identity(uid=7, gid=8, groups=(8, 9), home="/home/seven")
    plans = {
        "default": told(last_plan(process, who, b"program!", V1, terminal=False)),
        "no-new-privileges": told(
            last_plan(
                replace(process, no_new_privileges=True), who, b"program!", V1, terminal=True
            )
        ),
        "execve": told((execve_operation("/app", process.args, process.env, who.home),)),
    }
    assert_golden_json("runtime/privileges", plans)


def test_exec() -> None:
    """One more process: the cgroups, then the namespaces, then the directory."""
    paths = ("/sys/fs/cgroup/memory/docker/c1", "/sys/fs/cgroup/unified/docker/c1")
    process = Process(args=("ps",), cwd="/srv", terminal=True, oom_score_adj=1)
    plans = {
        "parent": told(join_parent_plan(paths, HYBRID)),
        "child": told(join_child_plan(77, paths, V1, process)),
    }
    assert_golden_json("runtime/exec", plans)


def test_plans_are_values() -> None:
    """The same specification gives equal plans: they can be compared and kept."""
    assert child_plan(subject(SPEC), V1) == child_plan(subject(SPEC), V1)
    assert parent_plan(subject(SPEC), V2) == parent_plan(subject(SPEC), V2)


def test_a_kernel_without_time_namespaces() -> None:
    """What the kernel lacks is left out of the plan."""
    older = replace(V1, has_time_namespaces=False)
    lines = [each.describe() for each in parent_plan(subject(SPEC), older)]
    assert "make new namespaces for the next child: pid" in lines


def test_the_hosts_dev_is_left_alone() -> None:
    """With -v /dev:/dev no node or link is made in it."""
    mounts = tuple(each for each in SPEC.mounts if each.destination != "/dev")
    bind = Mount(destination="/dev", type="bind", source="/dev", options=("rbind",))
    plan = child_plan(subject(replace(SPEC, mounts=(*mounts, bind))), V1)
    assert not [each for each in plan if each.kind in ("make-device", "make-link")
                and each.describe().count("/dev/")]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sysctl": {"kernel.core_pattern": "x"}}, "not in a separate kernel namespace"),
        ({"sysctl": {"kernel.shm_rmid_forced": "\0"}}, "must be plain text"),
        ({"sysctl": {"a..b": "1"}}, "is not a kernel parameter"),
        ({"namespaces": (Namespace(type="pid"),)}, "needs a mount namespace"),
        (
            {"namespaces": (Namespace(type="mount"), Namespace(type="user"))},
            "user namespaces enabled, but no uid mapping found",
        ),
        (
            {"namespaces": (Namespace(type="mount"), Namespace(type="mount"))},
            "linux.namespaces has mount twice",
        ),
        ({"mount_label": "x"}, "selinux is disabled or not supported"),
        ({"cgroups_path": "/../.."}, "must not be the root"),
    ],
)
def test_what_is_refused(changes: dict[str, object], sentence: str) -> None:
    """A specification that asks for the impossible is refused before anything is done."""
    spec = replace(SPEC, linux=replace(SPEC.linux, **changes))  # type: ignore[arg-type]
    with pytest.raises(PlanRefused, match=sentence):
        (parent_plan(subject(spec), V1), child_plan(subject(spec), V1))


def test_a_profile_is_asked_for_while_proc_is_the_hosts() -> None:
    """AppArmor's attribute is written before the root changes, in run and in exec."""
    machine = replace(V1, has_apparmor=True)
    process = replace(SPEC.process, apparmor_profile="wherry-default")
    for plan in (
        child_plan(subject(replace(SPEC, process=process)), machine),
        join_child_plan(1, (), machine, process),
    ):
        kinds = [each.kind for each in plan]
        entering = next(each for each in kinds if each in ("unshare", "join-container"))
        assert kinds.index("confine-on-exec") < kinds.index(entering)


@pytest.mark.parametrize("field", ["apparmor_profile", "selinux_label"])
def test_labels_are_not_promised(field: str) -> None:
    """A security label that nobody would look at is refused, not ignored."""
    spec = replace(SPEC, process=replace(SPEC.process, **{field: "x"}))
    with pytest.raises(PlanRefused, match="not supported"):
        child_plan(subject(spec), V1)
    with pytest.raises(PlanRefused, match="not supported"):
        join_child_plan(1, (), V1, spec.process)


def test_labels_scheduling_and_hooks() -> None:
    """What security modules, the scheduler and other programs are told, and when."""
    machine = replace(V1, has_apparmor=True, has_selinux=True)
    process = replace(
        SPEC.process,
        apparmor_profile="docker-default",
        selinux_label="system_u:system_r:container_t:s0",
        scheduler=Scheduler(policy="SCHED_BATCH", nice=5),
        io_priority=IoPriority(class_="IOPRIO_CLASS_BE", priority=3),
        exec_cpu_affinity=ExecCpuAffinity(initial="0-1", final="1"),
    )
    hook = Hook(path="/hook", args=("hook", "x"), timeout_s=3)
    spec = replace(
        SPEC,
        process=process,
        hooks=Hooks(prestart=(hook,), create_container=(hook,)),
        linux=replace(SPEC.linux, mount_label="system_u:object_r:container_file_t:s0"),
    )
    who = Identity(uid=0, gid=0, groups=(), home="/")
    plans = {
        "child": told(child_plan(subject(spec), machine)),
        "last": told(
            last_plan(
                process, who, b"", machine,
                terminal=False, personality=Personality(domain="LINUX32"), preserved=2,
            )
        ),
        "exec": told(join_child_plan(77, (), machine, process)),
    }  # fmt: skip
    assert_golden_json("runtime/labels_and_hooks", plans)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scheduler": Scheduler(policy="SCHED_X")}, "no policy 'SCHED_X'"),
        ({"scheduler": Scheduler(policy="SCHED_RR", flags=("x",))}, "no flag 'x'"),
        ({"io_priority": IoPriority(class_="x")}, "no class 'x'"),
        ({"io_priority": IoPriority(class_="IOPRIO_CLASS_BE", priority=8)}, "8 is not in 0..7"),
    ],
)
def test_scheduling_that_is_refused(changes: dict[str, object], sentence: str) -> None:
    """A word that the kernel has no number for is named."""
    process = replace(SPEC.process, **changes)  # type: ignore[arg-type]
    who = Identity(uid=0, gid=0, groups=(), home="/")
    with pytest.raises(PlanRefused, match=sentence):
        last_plan(process, who, b"", V1, terminal=False)


def test_a_root_that_a_program_serves() -> None:
    """It is made before the fork, where the program may live, and attached by the child."""
    stacked = subject(SPEC).rootfs
    assert stacked is not None
    served = subject(SPEC, rootfs=replace(stacked, type="fuse-overlayfs"))
    parent = [each.kind for each in parent_plan(served, V2)]
    assert parent.index("hold-fuse-overlay") < parent.index("fork")
    child = [each.kind for each in child_plan(served, V2)]
    assert "attach-root" in child
    assert "mount-overlay" not in child
    strange = subject(SPEC, rootfs=replace(stacked, type="aufs"))
    with pytest.raises(PlanRefused, match="a root of type aufs can't be mounted"):
        child_plan(strange, V2)
