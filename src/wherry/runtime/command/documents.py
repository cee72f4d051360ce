"""spec and features: documents about no container in particular."""

import json
import os
import sys

from wherry.linux.capabilities import NAMES
from wherry.linux.libseccomp import ARCHITECTURES, OPERATORS
from wherry.linux.seccomp import ACTIONS, FLAGS
from wherry.oci import runtime_json
from wherry.oci.json_fields import JsonObject
from wherry.oci.runtime_spec import (
    VERSION,
    Capabilities,
    DeviceRule,
    IdMapping,
    Linux,
    Mount,
    Namespace,
    Process,
    Resources,
    Rlimit,
    Root,
    RuntimeSpec,
)
from wherry.operations.files.mounts import ATTRIBUTE_WORDS, PROPAGATIONS
from wherry.runtime.command.arguments import Arguments
from wherry.runtime.command.records import CommandFailed, StateDirectory
from wherry.runtime.machine import this_machine

_EXAMPLE_CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")
_OLDEST_VERSION = "1.0.0"
_QUIET = ("nosuid", "noexec", "nodev")


def write_spec(state: StateDirectory, arguments: Arguments) -> int:
    """Write an example `config.json` into a bundle. Raises: CommandFailed; OSError."""
    bundle = arguments.text("bundle") or "."
    path = os.path.join(bundle, "config.json")
    spec = example_spec(is_rootless=arguments.has("rootless"))
    text = json.dumps(json.loads(runtime_json.encode(spec)), indent="\t") + "\n"
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise CommandFailed("file config.json exists. Remove it first") from None
    os.chmod(path, 0o666 & ~_umask())
    return 0


def example_spec(*, is_rootless: bool = False) -> RuntimeSpec:
    """A shell in a root of its own, as runc's example has it."""
    kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
    linux = Linux(
        resources=Resources(devices=(DeviceRule(allow=False),)),
        namespaces=tuple(Namespace(type=each) for each in kinds),
        masked_paths=(
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
            "/proc/scsi",
        ),
        readonly_paths=(
            "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
        ),
    )  # fmt: skip
    if is_rootless:
        linux = _rootless(linux)
    return RuntimeSpec(
        oci_version=VERSION,
        process=Process(
            terminal=True,
            args=("sh",),
            env=(
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm",
            ),
            capabilities=Capabilities(
                bounding=_EXAMPLE_CAPABILITIES,
                effective=_EXAMPLE_CAPABILITIES,
                permitted=_EXAMPLE_CAPABILITIES,
            ),
            rlimits=(Rlimit(type="RLIMIT_NOFILE", hard=1024, soft=1024),),
            no_new_privileges=True,
        ),
        root=Root(path="rootfs", readonly=True),
        hostname="wherry",
        mounts=_example_mounts(is_rootless=is_rootless),
        linux=linux,
    )


def _rootless(linux: Linux) -> Linux:
    from wherry.kit.values import replace

    own = (*(each for each in linux.namespaces if each.type != "network"), Namespace(type="user"))
    return replace(
        linux,
        namespaces=own,
        resources=Resources(),
        uid_mappings=(IdMapping(container_id=0, host_id=os.geteuid(), size=1),),
        gid_mappings=(IdMapping(container_id=0, host_id=os.getegid(), size=1),),
    )


def _example_mounts(*, is_rootless: bool) -> tuple[Mount, ...]:
    terminals: tuple[str, ...] = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620")
    memory = ("nosuid", "strictatime", "mode=755", "size=65536k")
    system = Mount(destination="/sys", type="sysfs", source="sysfs", options=(*_QUIET, "ro"))
    if is_rootless:
        options = ("rbind", *_QUIET, "ro")
        system = Mount(destination="/sys", type="none", source="/sys", options=options)
    else:
        terminals = (*terminals, "gid=5")
    return (
        Mount(destination="/proc", type="proc", source="proc"),
        Mount(destination="/dev", type="tmpfs", source="tmpfs", options=memory),
        Mount(destination="/dev/pts", type="devpts", source="devpts", options=terminals),
        Mount(
            destination="/dev/shm",
            type="tmpfs",
            source="shm",
            options=(*_QUIET, "mode=1777", "size=65536k"),
        ),
        Mount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=_QUIET),
        system,
        Mount(
            destination="/sys/fs/cgroup",
            type="cgroup",
            source="cgroup",
            options=(*_QUIET, "relatime", "ro"),
        ),
    )


def show_features(state: StateDirectory, arguments: Arguments) -> int:
    """Print what this runtime can do (features.md). Raises: OSError."""
    sys.stdout.write(json.dumps(features(), indent=2) + "\n")
    return 0


def features() -> JsonObject:
    """The document of `features`. Raises: OSError."""
    machine = this_machine()
    recursive = (f"r{word}" for word in ATTRIBUTE_WORDS)
    propagation = (*PROPAGATIONS, *(f"r{word}" for word in PROPAGATIONS))
    return {
        "ociVersionMin": _OLDEST_VERSION,
        "ociVersionMax": VERSION,
        "hooks": [
            "prestart", "createRuntime", "createContainer", "startContainer", "poststart",
            "poststop",
        ],
        "mountOptions": sorted(
            {*ATTRIBUTE_WORDS, *recursive, *propagation, "bind", "rbind", "idmap", "ridmap"}
        ),
        "linux": {
            "namespaces": sorted(
                ("cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts")
            ),
            "capabilities": list(NAMES[: machine.last_capability + 1]),
            "cgroup": {
                "v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": True,
            },
            "seccomp": {
                "enabled": True,
                "actions": sorted(ACTIONS),
                "operators": sorted(OPERATORS),
                "archs": sorted(ARCHITECTURES),
                "knownFlags": sorted(FLAGS),
                "supportedFlags": sorted(FLAGS),
            },
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": False},
        },
        "annotations": {},
    }  # fmt: skip


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
