"""The JSON of the runtime configuration: `config.json` of a bundle.

`encode` writes what the specification's schema accepts, without members that say nothing.
`decode` reads it back, and other people's files too: unknown members are ignored, as the
specification demands, but members that it defines and that `RuntimeSpec` can't carry (Intel's
cache allocation, ...) are refused rather than lost.
"""

import json

from wherry.oci import json_fields
from wherry.oci.json_fields import (
    INT64,
    UINT32,
    UINT64,
    Fields,
    JsonObject,
    present,
)
from wherry.oci.resources_json import resources_from_json, resources_to_json
from wherry.oci.runtime_spec import (
    Capabilities,
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
from wherry.oci.seccomp_json import seccomp_from_json, seccomp_to_json

_PERMISSIONS = (0, 0o7777)
_INT32 = (-(1 << 31), (1 << 31) - 1)
_LINUX_NOT_CARRIED = ("intelRdt", "memoryPolicy")
_HOOK_KINDS = (
    ("prestart", "prestart"),
    ("create_runtime", "createRuntime"),
    ("create_container", "createContainer"),
    ("start_container", "startContainer"),
    ("poststart", "poststart"),
    ("poststop", "poststop"),
)


# -- whole documents -------------------------------------------------------------------------


def encode(spec: RuntimeSpec) -> bytes:
    """The document of a configuration, on one line."""
    return json.dumps(_spec_to_json(spec), separators=(",", ":")).encode()


def decode(data: bytes | str, *, with_seccomp: bool = True) -> RuntimeSpec:
    """Read a configuration; without its filter where that has been compiled already.

    Raises: ValueError, naming the field and the value.
    """
    top = json_fields.parse(data)
    top.require("ociVersion", "process")
    top.refuse("solaris", "windows", "vm", "zos", "freebsd")
    root = top.child("root")
    if top.has("root"):
        root.require("path")
    return RuntimeSpec(
        oci_version=top.text("ociVersion"),
        process=_process(top.child("process")),
        root=Root(path=root.text("path", "rootfs"), readonly=root.flag("readonly")),
        hostname=top.text("hostname"),
        domainname=top.text("domainname"),
        mounts=tuple(_mount(each) for each in top.children("mounts")),
        hooks=_hooks(top.child("hooks")),
        linux=_linux(top.child("linux"), with_seccomp=with_seccomp),
        annotations=top.texts_by_name("annotations"),
    )


# -- parts that travel alone -----------------------------------------------------------------


def process_to_json(process: Process) -> JsonObject:
    """A process as a member of a larger document, for an exec request."""
    members: JsonObject = {
        "args": process.args,
        "cwd": process.cwd,
        "env": process.env,
        "user": present(
            uid=process.user.uid,
            gid=process.user.gid,
            umask=process.user.umask,
            additionalGids=process.user.additional_gids or None,
        ),
    }
    if process.terminal:
        members["terminal"] = True
    if process.console_height or process.console_width:
        size = {"height": process.console_height, "width": process.console_width}
        members["consoleSize"] = size
    if process.capabilities is not None:
        sets = process.capabilities
        members["capabilities"] = {
            "bounding": sets.bounding,
            "effective": sets.effective,
            "inheritable": sets.inheritable,
            "permitted": sets.permitted,
            "ambient": sets.ambient,
        }
    if process.rlimits:
        members["rlimits"] = [
            {"type": each.type, "hard": each.hard, "soft": each.soft} for each in process.rlimits
        ]
    members |= present(
        noNewPrivileges=process.no_new_privileges or None,
        oomScoreAdj=process.oom_score_adj,
        apparmorProfile=process.apparmor_profile or None,
        selinuxLabel=process.selinux_label or None,
    )
    if process.io_priority is not None:
        priority = process.io_priority
        members["ioPriority"] = {"class": priority.class_, "priority": priority.priority}
    if process.scheduler is not None:
        members["scheduler"] = _scheduler_to_json(process.scheduler)
    if process.exec_cpu_affinity is not None:
        affinity = process.exec_cpu_affinity
        members["execCPUAffinity"] = present(
            initial=affinity.initial or None, final=affinity.final or None
        )
    return members


def _scheduler_to_json(scheduler: Scheduler) -> JsonObject:
    return present(
        policy=scheduler.policy,
        nice=scheduler.nice or None,
        priority=scheduler.priority or None,
        flags=scheduler.flags or None,
        runtime=scheduler.runtime or None,
        deadline=scheduler.deadline or None,
        period=scheduler.period or None,
    )


def process_from_json(value: object) -> Process:
    """The reverse of `process_to_json`. Raises: ValueError."""
    return _process(json_fields.of(value, "process"))


def rootfs_to_json(rootfs: RootfsMount) -> JsonObject:
    """How to mount a container's root, as a member of a larger document."""
    return {
        "type": rootfs.type,
        "directory": rootfs.directory,
        "lower": rootfs.lower,
        "upper": rootfs.upper,
        "work": rootfs.work,
        "source": rootfs.source,
        "filesystem": rootfs.filesystem,
        "mapsOwners": rootfs.maps_owners,
    }


def rootfs_from_json(value: object) -> RootfsMount:
    """The reverse of `rootfs_to_json`. Raises: ValueError."""
    fields = json_fields.of(value, "rootfs")
    fields.require("type", "directory")
    return RootfsMount(
        type=fields.text("type"),
        directory=fields.text("directory"),
        lower=fields.texts("lower"),
        upper=fields.text("upper"),
        work=fields.text("work"),
        source=fields.text("source"),
        filesystem=fields.text("filesystem"),
        maps_owners=fields.flag("mapsOwners"),
    )


# -- writing ---------------------------------------------------------------------------------


def _spec_to_json(spec: RuntimeSpec) -> JsonObject:
    members: JsonObject = {
        "ociVersion": spec.oci_version,
        "process": process_to_json(spec.process),
        "root": {"path": spec.root.path, "readonly": spec.root.readonly},
        "mounts": [
            present(
                destination=each.destination,
                type=each.type or None,
                source=each.source or None,
                options=each.options or None,
                uidMappings=_mappings_to_json(each.uid_mappings),
                gidMappings=_mappings_to_json(each.gid_mappings),
            )
            for each in spec.mounts
        ],
        "linux": _linux_to_json(spec.linux),
    }
    members |= present(
        hostname=spec.hostname or None,
        domainname=spec.domainname or None,
        hooks=_hooks_to_json(spec.hooks) or None,
        annotations=spec.annotations or None,
    )
    return members


def _hooks_to_json(hooks: Hooks) -> JsonObject:
    kinds: dict[str, tuple[Hook, ...]] = {
        name: getattr(hooks, attribute) for attribute, name in _HOOK_KINDS
    }
    return {
        name: [
            present(
                path=each.path,
                args=each.args or None,
                env=each.env or None,
                timeout=each.timeout_s,
            )
            for each in hooks_of_kind
        ]
        for name, hooks_of_kind in kinds.items()
        if hooks_of_kind
    }


def _mappings_to_json(mappings: tuple[IdMapping, ...]) -> list[JsonObject] | None:
    return [
        {"containerID": each.container_id, "hostID": each.host_id, "size": each.size}
        for each in mappings
    ] or None


def _linux_to_json(linux: Linux) -> JsonObject:
    return present(
        namespaces=[present(type=each.type, path=each.path or None) for each in linux.namespaces],
        devices=[
            {
                "path": each.path,
                "type": each.type,
                "major": each.major,
                "minor": each.minor,
                "fileMode": each.file_mode,
                "uid": each.uid,
                "gid": each.gid,
            }
            for each in linux.devices
        ],
        cgroupsPath=linux.cgroups_path or None,
        resources=resources_to_json(linux.resources),
        sysctl=linux.sysctl or None,
        seccomp=None if linux.seccomp is None else seccomp_to_json(linux.seccomp),
        rootfsPropagation=linux.rootfs_propagation or None,
        maskedPaths=linux.masked_paths or None,
        readonlyPaths=linux.readonly_paths or None,
        mountLabel=linux.mount_label or None,
        uidMappings=_mappings_to_json(linux.uid_mappings),
        gidMappings=_mappings_to_json(linux.gid_mappings),
        timeOffsets={
            clock: {"secs": each.secs, "nanosecs": each.nanosecs}
            for clock, each in linux.time_offsets.items()
        }
        or None,
        personality=None
        if linux.personality is None
        else present(domain=linux.personality.domain, flags=linux.personality.flags or None),
        netDevices={
            host_name: present(name=each.name or None)
            for host_name, each in linux.net_devices.items()
        }
        or None,
    )


# -- reading ---------------------------------------------------------------------------------


def _process(fields: Fields) -> Process:
    fields.require("cwd", "args")
    fields.refuse("commandLine")
    user = fields.child("user")
    user.refuse("username")
    size = fields.child("consoleSize")
    sets = fields.child("capabilities")
    return Process(
        args=fields.texts("args"),
        cwd=fields.text("cwd"),
        env=fields.texts("env"),
        terminal=fields.flag("terminal"),
        console_height=size.number("height", UINT64),
        console_width=size.number("width", UINT64),
        user=User(
            uid=user.number("uid", UINT32),
            gid=user.number("gid", UINT32),
            umask=user.number_or_none("umask", UINT32),
            additional_gids=user.numbers("additionalGids", UINT32),
        ),
        capabilities=_capabilities(sets) if fields.has("capabilities") else None,
        rlimits=tuple(_rlimit(each) for each in fields.children("rlimits")),
        no_new_privileges=fields.flag("noNewPrivileges"),
        oom_score_adj=fields.number_or_none("oomScoreAdj", (-1000, 1000)),
        apparmor_profile=fields.text("apparmorProfile"),
        selinux_label=fields.text("selinuxLabel"),
        io_priority=_io_priority(fields.child("ioPriority")) if fields.has("ioPriority") else None,
        scheduler=_scheduler(fields.child("scheduler")) if fields.has("scheduler") else None,
        exec_cpu_affinity=_exec_cpu_affinity(fields.child("execCPUAffinity"))
        if fields.has("execCPUAffinity")
        else None,
    )


def _io_priority(fields: Fields) -> IoPriority:
    fields.require("class")
    return IoPriority(class_=fields.text("class"), priority=fields.number("priority", _INT32))


def _scheduler(fields: Fields) -> Scheduler:
    fields.require("policy")
    return Scheduler(
        policy=fields.text("policy"),
        nice=fields.number("nice", _INT32),
        priority=fields.number("priority", _INT32),
        flags=fields.texts("flags"),
        runtime=fields.number("runtime", UINT64),
        deadline=fields.number("deadline", UINT64),
        period=fields.number("period", UINT64),
    )


def _exec_cpu_affinity(fields: Fields) -> ExecCpuAffinity:
    return ExecCpuAffinity(initial=fields.text("initial"), final=fields.text("final"))


def _capabilities(fields: Fields) -> Capabilities:
    return Capabilities(
        bounding=fields.texts("bounding"),
        effective=fields.texts("effective"),
        inheritable=fields.texts("inheritable"),
        permitted=fields.texts("permitted"),
        ambient=fields.texts("ambient"),
    )


def _rlimit(fields: Fields) -> Rlimit:
    fields.require("type", "soft", "hard")
    return Rlimit(
        type=fields.text("type"),
        soft=fields.number("soft", UINT64),
        hard=fields.number("hard", UINT64),
    )


def _mount(fields: Fields) -> Mount:
    fields.require("destination")
    return Mount(
        destination=fields.text("destination"),
        type=fields.text("type"),
        source=fields.text("source"),
        options=fields.texts("options"),
        uid_mappings=_mappings(fields, "uidMappings"),
        gid_mappings=_mappings(fields, "gidMappings"),
    )


def _mappings(fields: Fields, name: str) -> tuple[IdMapping, ...]:
    return tuple(_mapping(each) for each in fields.children(name))


def _mapping(fields: Fields) -> IdMapping:
    fields.require("containerID", "hostID", "size")
    return IdMapping(
        container_id=fields.number("containerID", UINT32),
        host_id=fields.number("hostID", UINT32),
        size=fields.number("size", UINT32),
    )


def _hooks(fields: Fields) -> Hooks:
    return Hooks(
        **{
            attribute: tuple(_hook(each) for each in fields.children(name))
            for attribute, name in _HOOK_KINDS
        }
    )


def _hook(fields: Fields) -> Hook:
    fields.require("path")
    return Hook(
        path=fields.text("path"),
        args=fields.texts("args"),
        env=fields.texts("env"),
        timeout_s=fields.number_or_none("timeout", (1, INT64[1])),
    )


def _linux(fields: Fields, *, with_seccomp: bool) -> Linux:
    fields.refuse(*_LINUX_NOT_CARRIED)
    reads_seccomp = with_seccomp and fields.has("seccomp")
    return Linux(
        namespaces=tuple(_namespace(each) for each in fields.children("namespaces")),
        devices=tuple(_device(each) for each in fields.children("devices")),
        cgroups_path=fields.text("cgroupsPath"),
        resources=resources_from_json(fields.child("resources")),
        sysctl=fields.texts_by_name("sysctl"),
        seccomp=seccomp_from_json(fields.child("seccomp")) if reads_seccomp else None,
        rootfs_propagation=fields.text("rootfsPropagation"),
        masked_paths=fields.texts("maskedPaths"),
        readonly_paths=fields.texts("readonlyPaths"),
        mount_label=fields.text("mountLabel"),
        uid_mappings=_mappings(fields, "uidMappings"),
        gid_mappings=_mappings(fields, "gidMappings"),
        time_offsets={
            clock: TimeOffset(
                secs=each.number("secs", INT64), nanosecs=each.number("nanosecs", UINT32)
            )
            for clock, each in fields.children_by_name("timeOffsets")
        },
        personality=_personality(fields.child("personality"))
        if fields.has("personality")
        else None,
        net_devices={
            host_name: NetDevice(name=each.text("name"))
            for host_name, each in fields.children_by_name("netDevices")
        },
    )


def _personality(fields: Fields) -> Personality:
    fields.require("domain")
    return Personality(domain=fields.text("domain"), flags=fields.texts("flags"))


def _namespace(fields: Fields) -> Namespace:
    fields.require("type")
    return Namespace(type=fields.text("type"), path=fields.text("path"))


def _device(fields: Fields) -> Device:
    fields.require("path", "type")
    return Device(
        path=fields.text("path"),
        type=fields.text("type"),
        major=fields.number("major", INT64),
        minor=fields.number("minor", INT64),
        file_mode=fields.number("fileMode", _PERMISSIONS, 0o666),
        uid=fields.number("uid", UINT32),
        gid=fields.number("gid", UINT32),
    )
