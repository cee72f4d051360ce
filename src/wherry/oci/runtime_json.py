"""The JSON of the runtime configuration: `config.json` of a bundle.

`encode` writes what the specification's schema accepts, without members that say nothing.
`decode` reads it back, and other people's files too: unknown members are ignored, as the
specification demands, but members that it defines and that `RuntimeSpec` can't carry (Intel's
cache allocation, ...) are refused rather than lost.
"""

import json

from wherry.oci import json_fields
from wherry.oci.json_fields import INT32, INT64, UINT32, UINT64
from wherry.oci.resources_json import RESOURCES
from wherry.oci.runtime_spec import (
    Capabilities,
    ConsoleSize,
    Device,
    ExecCpuAffinity,
    Hook,
    Hooks,
    IdMapping,
    IoPriority,
    Linux,
    Mount,
    Namespace,
    NetDevice,
    Personality,
    Process,
    Rlimit,
    Root,
    RootfsMount,
    RuntimeSpec,
    Scheduler,
    TimeOffset,
    User,
)
from wherry.oci.seccomp_json import SECCOMP
from wherry.oci.shapes import (
    Shape,
    by_name,
    flag,
    many,
    number,
    numbers,
    one,
    text,
    texts,
    texts_by_name,
)

_PERMISSIONS = (0, 0o7777)
_OOM_SCORE = (-1000, 1000)
_TIMEOUT_S = (1, INT64[1])


def encode(spec: RuntimeSpec) -> bytes:
    """The document of a configuration, on one line."""
    return json.dumps(_SPEC.to_json(spec), separators=(",", ":")).encode()


def decode(document: bytes | str) -> RuntimeSpec:
    """Read a configuration. Raises: ValueError, naming the field and the value."""
    return _SPEC.read(json_fields.parse(document))


def decode_without_filter(document: bytes | str) -> RuntimeSpec:
    """Read all but the system call filter: it has been compiled already. Raises: ValueError."""
    fields = json_fields.parse(document)
    fields.child("linux").drop("seccomp")
    return _SPEC.read(fields)


# -- the process -----------------------------------------------------------------------------

_USER = Shape(
    User,
    keeps=("uid", "gid"),
    refuses=("username",),
    uid=number(UINT32),
    gid=number(UINT32),
    umask=number(UINT32),
    additional_gids=numbers(UINT32),
)
_CAPABILITIES = Shape(
    Capabilities,
    keeps=("bounding", "effective", "inheritable", "permitted", "ambient"),
    bounding=texts(),
    effective=texts(),
    inheritable=texts(),
    permitted=texts(),
    ambient=texts(),
)
_CONSOLE_SIZE = Shape(
    ConsoleSize, keeps=("height", "width"), height=number(UINT64), width=number(UINT64)
)
_RLIMIT = Shape(Rlimit, type=text(), hard=number(UINT64), soft=number(UINT64))
_IO_PRIORITY = Shape(IoPriority, keeps=("priority",), class_=text(), priority=number(INT32))
_SCHEDULER = Shape(
    Scheduler,
    policy=text(),
    nice=number(INT32),
    priority=number(INT32),
    flags=texts(),
    runtime=number(UINT64),
    deadline=number(UINT64),
    period=number(UINT64),
)
_CPU_AFFINITY = Shape(ExecCpuAffinity, initial=text(), final=text())

PROCESS = Shape(
    Process,
    requires=("cwd",),
    keeps=("env", "user"),
    refuses=("commandLine",),
    args=texts(),
    cwd=text(),
    env=texts(),
    user=one(_USER),
    terminal=flag(),
    console_size=one(_CONSOLE_SIZE),
    capabilities=one(_CAPABILITIES),
    rlimits=many(_RLIMIT),
    no_new_privileges=flag(),
    oom_score_adj=number(_OOM_SCORE),
    apparmor_profile=text(),
    selinux_label=text(),
    io_priority=one(_IO_PRIORITY),
    scheduler=one(_SCHEDULER),
    exec_cpu_affinity=one(_CPU_AFFINITY, "execCPUAffinity"),
)

# -- its surroundings ------------------------------------------------------------------------

_ROOT = Shape(Root, requires=("path",), keeps=("readonly",), path=text(), readonly=flag())
_ID_MAPPING = Shape(
    IdMapping,
    container_id=number(UINT32, "containerID"),
    host_id=number(UINT32, "hostID"),
    size=number(UINT32),
)
_MOUNT = Shape(
    Mount,
    destination=text(),
    type=text(),
    source=text(),
    options=texts(),
    uid_mappings=many(_ID_MAPPING),
    gid_mappings=many(_ID_MAPPING),
)
_NAMESPACE = Shape(Namespace, type=text(), path=text())
_DEVICE = Shape(
    Device,
    keeps=("major", "minor", "file_mode", "uid", "gid"),
    path=text(),
    type=text(),
    major=number(INT64),
    minor=number(INT64),
    file_mode=number(_PERMISSIONS),
    uid=number(UINT32),
    gid=number(UINT32),
)
_TIME_OFFSET = Shape(
    TimeOffset, keeps=("secs", "nanosecs"), secs=number(INT64), nanosecs=number(UINT32)
)
_PERSONALITY = Shape(Personality, domain=text(), flags=texts())
_NET_DEVICE = Shape(NetDevice, name=text())
_LINUX = Shape(
    Linux,
    keeps=("namespaces", "devices", "resources"),
    refuses=("intelRdt", "memoryPolicy"),
    namespaces=many(_NAMESPACE),
    devices=many(_DEVICE),
    cgroups_path=text(),
    resources=one(RESOURCES),
    sysctl=texts_by_name(),
    seccomp=one(SECCOMP),
    rootfs_propagation=text(),
    masked_paths=texts(),
    readonly_paths=texts(),
    mount_label=text(),
    uid_mappings=many(_ID_MAPPING),
    gid_mappings=many(_ID_MAPPING),
    time_offsets=by_name(_TIME_OFFSET),
    personality=one(_PERSONALITY),
    net_devices=by_name(_NET_DEVICE),
)
_HOOK = Shape(
    Hook, path=text(), args=texts(), env=texts(), timeout_s=number(_TIMEOUT_S, "timeout")
)
_HOOKS = Shape(
    Hooks,
    prestart=many(_HOOK),
    create_runtime=many(_HOOK),
    create_container=many(_HOOK),
    start_container=many(_HOOK),
    poststart=many(_HOOK),
    poststop=many(_HOOK),
)
_SPEC = Shape(
    RuntimeSpec,
    requires=("oci_version",),
    keeps=("root", "mounts", "linux"),
    refuses=("solaris", "windows", "vm", "zos", "freebsd"),
    oci_version=text(),
    process=one(PROCESS),
    root=one(_ROOT),
    mounts=many(_MOUNT),
    linux=one(_LINUX),
    hostname=text(),
    domainname=text(),
    hooks=one(_HOOKS),
    annotations=texts_by_name(),
)

# -- ours ------------------------------------------------------------------------------------

ROOTFS = Shape(
    RootfsMount,
    type=text(),
    directory=text(),
    lower=texts(),
    upper=text(),
    work=text(),
    source=text(),
    filesystem=text(),
    maps_owners=flag(),
)
"""How to mount a container's root, in messages between our own processes."""
