"""The JSON of the runtime configuration: `config.json` of a bundle.

`encode` writes what the specification's schema accepts, without members that say nothing.
`decode` reads it back, and other people's files too: unknown members are ignored, as the
specification demands, but members that it defines and that `RuntimeSpec` can't carry (hooks,
user namespace mappings, ...) are refused rather than lost.
"""

import json
from collections.abc import Mapping, Sequence

from wherry.oci import json_fields
from wherry.oci.json_fields import INT64, UINT32, UINT64, Fields
from wherry.oci.runtime_spec import (
    Capabilities,
    Cpu,
    Device,
    DeviceRule,
    Linux,
    Memory,
    Mount,
    Namespace,
    Process,
    Resources,
    Rlimit,
    Root,
    RootfsMount,
    RuntimeSpec,
    Seccomp,
    SeccompArgument,
    SeccompRule,
    User,
)

Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]
JsonObject = dict[str, Json]

_PERMISSIONS = (0, 0o7777)
_PROCESS_NOT_CARRIED = ("commandLine", "ioPriority", "scheduler", "execCPUAffinity")
_LINUX_NOT_CARRIED = (
    "uidMappings", "gidMappings", "netDevices", "intelRdt", "memoryPolicy", "personality",
    "timeOffsets",
)  # fmt: skip
_RESOURCES_NOT_CARRIED = ("blockIO", "hugepageLimits", "network", "rdma")
_MEMORY_NOT_CARRIED = ("kernel", "kernelTCP")
_CPU_NOT_CARRIED = ("burst", "realtimePeriod", "realtimeRuntime", "idle")


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
    top.refuse("hooks", "solaris", "windows", "vm", "zos", "freebsd")
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
        "user": _present(
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
    members |= _present(
        noNewPrivileges=process.no_new_privileges or None,
        oomScoreAdj=process.oom_score_adj,
        apparmorProfile=process.apparmor_profile or None,
        selinuxLabel=process.selinux_label or None,
    )
    return members


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
    )


# -- writing ---------------------------------------------------------------------------------


def _present(**members: Json) -> JsonObject:
    return {name: value for name, value in members.items() if value is not None}


def _spec_to_json(spec: RuntimeSpec) -> JsonObject:
    members: JsonObject = {
        "ociVersion": spec.oci_version,
        "process": process_to_json(spec.process),
        "root": {"path": spec.root.path, "readonly": spec.root.readonly},
        "mounts": [
            _present(
                destination=each.destination,
                type=each.type or None,
                source=each.source or None,
                options=each.options or None,
            )
            for each in spec.mounts
        ],
        "linux": _linux_to_json(spec.linux),
    }
    members |= _present(
        hostname=spec.hostname or None,
        domainname=spec.domainname or None,
        annotations=spec.annotations or None,
    )
    return members


def _linux_to_json(linux: Linux) -> JsonObject:
    return _present(
        namespaces=[_present(type=each.type, path=each.path or None) for each in linux.namespaces],
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
        resources=_resources_to_json(linux.resources),
        sysctl=linux.sysctl or None,
        seccomp=None if linux.seccomp is None else seccomp_to_json(linux.seccomp),
        rootfsPropagation=linux.rootfs_propagation or None,
        maskedPaths=linux.masked_paths or None,
        readonlyPaths=linux.readonly_paths or None,
        mountLabel=linux.mount_label or None,
    )


def _resources_to_json(resources: Resources) -> JsonObject:
    members: JsonObject = {"devices": [_rule_to_json(each) for each in resources.devices]}
    if resources.memory is not None:
        memory = resources.memory
        members["memory"] = _present(
            limit=memory.limit,
            reservation=memory.reservation,
            swap=memory.swap,
            swappiness=memory.swappiness,
            disableOOMKiller=memory.disable_oom_killer or None,
        )
    if resources.cpu is not None:
        cpu = resources.cpu
        members["cpu"] = _present(
            shares=cpu.shares,
            quota=cpu.quota,
            period=cpu.period,
            cpus=cpu.cpus or None,
            mems=cpu.mems or None,
        )
    if resources.pids_limit is not None:
        members["pids"] = {"limit": resources.pids_limit}
    if resources.unified:
        members["unified"] = resources.unified
    return members


def _rule_to_json(rule: DeviceRule) -> JsonObject:
    return _present(
        allow=rule.allow, type=rule.type, major=rule.major, minor=rule.minor, access=rule.access
    )


def seccomp_to_json(seccomp: Seccomp) -> JsonObject:
    """A system call filter as a member of a larger document."""
    return _present(
        defaultAction=seccomp.default_action,
        defaultErrnoRet=seccomp.default_errno_ret,
        architectures=seccomp.architectures or None,
        flags=seccomp.flags or None,
        listenerPath=seccomp.listener_path or None,
        listenerMetadata=seccomp.listener_metadata or None,
        syscalls=[
            _present(
                names=rule.names,
                action=rule.action,
                errnoRet=rule.errno_ret,
                args=[_argument_to_json(each) for each in rule.args] or None,
            )
            for rule in seccomp.syscalls
        ],
    )


def _argument_to_json(argument: SeccompArgument) -> JsonObject:
    return {
        "index": argument.index,
        "value": argument.value,
        "valueTwo": argument.value_two,
        "op": argument.op,
    }


# -- reading ---------------------------------------------------------------------------------


def _process(fields: Fields) -> Process:
    fields.require("cwd", "args")
    fields.refuse(*_PROCESS_NOT_CARRIED)
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
    )


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
    fields.refuse("uidMappings", "gidMappings")
    return Mount(
        destination=fields.text("destination"),
        type=fields.text("type"),
        source=fields.text("source"),
        options=fields.texts("options"),
    )


def _linux(fields: Fields, *, with_seccomp: bool) -> Linux:
    fields.refuse(*_LINUX_NOT_CARRIED)
    reads_seccomp = with_seccomp and fields.has("seccomp")
    return Linux(
        namespaces=tuple(_namespace(each) for each in fields.children("namespaces")),
        devices=tuple(_device(each) for each in fields.children("devices")),
        cgroups_path=fields.text("cgroupsPath"),
        resources=_resources(fields.child("resources")),
        sysctl=fields.texts_by_name("sysctl"),
        seccomp=_seccomp(fields.child("seccomp")) if reads_seccomp else None,
        rootfs_propagation=fields.text("rootfsPropagation"),
        masked_paths=fields.texts("maskedPaths"),
        readonly_paths=fields.texts("readonlyPaths"),
        mount_label=fields.text("mountLabel"),
    )


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


def _resources(fields: Fields) -> Resources:
    fields.refuse(*_RESOURCES_NOT_CARRIED)
    return Resources(
        devices=tuple(_device_rule(each) for each in fields.children("devices")),
        memory=_memory(fields.child("memory")) if fields.has("memory") else None,
        cpu=_cpu(fields.child("cpu")) if fields.has("cpu") else None,
        pids_limit=fields.child("pids").number_or_none("limit", INT64),
        unified=fields.texts_by_name("unified"),
    )


def _device_rule(fields: Fields) -> DeviceRule:
    fields.require("allow")
    return DeviceRule(
        allow=fields.flag("allow"),
        type=fields.text("type", "a"),
        major=fields.number_or_none("major", INT64),
        minor=fields.number_or_none("minor", INT64),
        access=fields.text("access", "rwm"),
    )


def _memory(fields: Fields) -> Memory:
    fields.refuse(*_MEMORY_NOT_CARRIED)
    return Memory(
        limit=fields.number_or_none("limit", INT64),
        reservation=fields.number_or_none("reservation", INT64),
        swap=fields.number_or_none("swap", INT64),
        swappiness=fields.number_or_none("swappiness", UINT64),
        disable_oom_killer=fields.flag("disableOOMKiller"),
    )


def _cpu(fields: Fields) -> Cpu:
    fields.refuse(*_CPU_NOT_CARRIED)
    return Cpu(
        shares=fields.number_or_none("shares", UINT64),
        quota=fields.number_or_none("quota", INT64),
        period=fields.number_or_none("period", UINT64),
        cpus=fields.text("cpus"),
        mems=fields.text("mems"),
    )


def _seccomp(fields: Fields) -> Seccomp:
    fields.require("defaultAction")
    return Seccomp(
        default_action=fields.text("defaultAction"),
        default_errno_ret=fields.number_or_none("defaultErrnoRet", UINT32),
        architectures=fields.texts("architectures"),
        flags=fields.texts("flags"),
        listener_path=fields.text("listenerPath"),
        listener_metadata=fields.text("listenerMetadata"),
        syscalls=tuple(_seccomp_rule(each) for each in fields.children("syscalls")),
    )


def _seccomp_rule(fields: Fields) -> SeccompRule:
    fields.require("names", "action")
    return SeccompRule(
        names=fields.texts("names"),
        action=fields.text("action"),
        errno_ret=fields.number_or_none("errnoRet", UINT32),
        args=tuple(_seccomp_argument(each) for each in fields.children("args")),
    )


def _seccomp_argument(fields: Fields) -> SeccompArgument:
    fields.require("index", "value", "op")
    return SeccompArgument(
        index=fields.number("index", UINT32),
        value=fields.number("value", UINT64),
        op=fields.text("op"),
        value_two=fields.number("valueTwo", UINT64),
    )
