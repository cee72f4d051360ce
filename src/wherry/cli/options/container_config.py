"""From the flags of `create` and `run` to the API's request."""

import json
from collections.abc import Sequence

from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Parsed
from wherry.cli.options import limits, mounts, ports
from wherry.cli.options.endpoints import endpoints, network_mode
from wherry.cli.options.environment import environment, labels
from wherry.cli.terminal import size
from wherry.client.documents import Document, Json, as_json, document

_REFUSED = {
    "use-api-socket": "mounting the API's socket",
}
_SWAPPINESS = range(-1, 101)
_UNCONFINED = "systempaths=unconfined"


def create_request(parsed: Parsed) -> Document:
    """The body of `POST /containers/create`. Raises: ValueError with Docker's text."""
    _refuse(parsed)
    published = [
        binding for text in parsed.texts("publish") for binding in ports.parse_publish(text)
    ]
    binds, anonymous = mounts.split_volumes(parsed.texts("volume"))
    config = _config(parsed, published, anonymous)
    config["HostConfig"] = _host_config(parsed, published, binds)
    config["NetworkingConfig"] = {"EndpointsConfig": endpoints(parsed)}
    return config


def streams_of(parsed: Parsed) -> tuple[bool, bool, bool]:
    """Which of stdin, stdout and stderr are attached."""
    chosen = parsed.texts("attach")
    if chosen:
        return "stdin" in chosen, "stdout" in chosen, "stderr" in chosen
    return parsed.is_on("interactive"), True, True


_OF_WINDOWS = ("cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops")


def _refuse(parsed: Parsed) -> None:
    for name in _OF_WINDOWS:
        if parsed.was_given(name):
            raise CommandFailed(
                f'"--{name}" is only supported on a Docker daemon running on windows, but the'
                " Docker daemon is running on linux"
            )
    for name, meaning in _REFUSED.items():
        if parsed.was_given(name):
            raise ValueError(f"--{name} is not there yet: {meaning}")
    if parsed.values.get("disable-content-trust") is False:
        raise ValueError("--disable-content-trust=false is not there yet: image verification")


def _config(parsed: Parsed, published: Sequence[ports.Binding], anonymous: Document) -> Document:
    stdin, stdout, stderr = streams_of(parsed)
    is_interactive = parsed.is_on("interactive")
    image, *command = parsed.arguments
    exposed = ports.exposed_ports(published, parsed.texts("expose"))
    result: Document = {
        "Hostname": parsed.text("hostname"),
        "Domainname": parsed.text("domainname"),
        "User": parsed.text("user"),
        "AttachStdin": stdin,
        "AttachStdout": stdout,
        "AttachStderr": stderr,
        "Tty": parsed.is_on("tty"),
        "OpenStdin": is_interactive,
        "StdinOnce": is_interactive and stdin,
        "Env": as_json(list(environment(parsed.texts("env-file"), parsed.texts("env")))),
        "Cmd": as_json(command) if command else None,
        "Image": image,
        "Volumes": anonymous or None,
        "WorkingDir": parsed.text("workdir"),
        "Labels": as_json(labels(parsed.texts("label-file"), parsed.texts("label"))),
    }
    if exposed:
        result["ExposedPorts"] = exposed
    if parsed.was_given("entrypoint"):
        # An empty one takes the image's away.
        result["Entrypoint"] = [parsed.text("entrypoint")]
    if parsed.was_given("stop-signal"):
        result["StopSignal"] = parsed.text("stop-signal")
    if parsed.was_given("stop-timeout"):
        result["StopTimeout"] = parsed.number("stop-timeout")
    if (check := _healthcheck(parsed)) is not None:
        result["Healthcheck"] = check
    return result


def _healthcheck(parsed: Parsed) -> Document | None:
    names = {
        "health-interval": "Interval",
        "health-timeout": "Timeout",
        "health-start-period": "StartPeriod",
        "health-start-interval": "StartInterval",
        "health-retries": "Retries",
    }
    given = {flag: field for flag, field in names.items() if parsed.number(flag)}
    command = parsed.text("health-cmd")
    if parsed.is_on("no-healthcheck"):
        if command or given:
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    if not command and not given:
        return None
    for flag in given:
        if parsed.number(flag) < 0:
            raise ValueError(f"--{flag} cannot be negative")
    check: Document = {field: parsed.number(flag) for flag, field in given.items()}
    if command:
        check["Test"] = ["CMD-SHELL", command]
    return check


TEXT_FIELDS = {
    "cgroup-parent": "CgroupParent",
    "cgroupns": "CgroupnsMode",
    "cidfile": "ContainerIDFile",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "ipc": "IpcMode",
    "isolation": "Isolation",
    "pid": "PidMode",
    "runtime": "Runtime",
    "userns": "UsernsMode",
    "uts": "UTSMode",
    "volume-driver": "VolumeDriver",
}
NUMBER_FIELDS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "kernel-memory": "KernelMemory",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "oom-score-adj": "OomScoreAdj",
    "pids-limit": "PidsLimit",
    "shm-size": "ShmSize",
}
SWITCH_FIELDS = {
    "init": "Init",
    "oom-kill-disable": "OomKillDisable",
    "privileged": "Privileged",
    "publish-all": "PublishAllPorts",
    "read-only": "ReadonlyRootfs",
    "rm": "AutoRemove",
}
LIST_FIELDS = {
    "add-host": "ExtraHosts",
    "device-cgroup-rule": "DeviceCgroupRules",
    "dns": "Dns",
    "dns-search": "DnsSearch",
    "group-add": "GroupAdd",
    "link": "Links",
    "volumes-from": "VolumesFrom",
}
CAPABILITY_FIELDS = {"cap-add": "CapAdd", "cap-drop": "CapDrop"}
_OBJECT_FIELDS = {
    "blkio-weight-device": "BlkioWeightDevice",
    "device-read-bps": "BlkioDeviceReadBps",
    "device-read-iops": "BlkioDeviceReadIOps",
    "device-write-bps": "BlkioDeviceWriteBps",
    "device-write-iops": "BlkioDeviceWriteIOps",
    "mount": "Mounts",
    "ulimit": "Ulimits",
}
MAP_FIELDS = {"annotation": "Annotations", "storage-opt": "StorageOpt", "sysctl": "Sysctls"}


def _host_config(
    parsed: Parsed, published: Sequence[ports.Binding], binds: Sequence[str]
) -> Document:
    _check_modes(parsed)
    result: Document = {
        "Binds": as_json(binds) if binds else None,
        "PortBindings": ports.port_bindings(published),
        "RestartPolicy": limits.restart_policy(parsed.text("restart", "no")),
        "NetworkMode": network_mode(parsed),
        "LogConfig": _log_config(parsed),
        "ConsoleSize": list(size(1) or (0, 0)),
        "MemorySwappiness": parsed.number("memory-swappiness", -1),
    }
    result |= given_limits(parsed)
    for flag, field in SWITCH_FIELDS.items():
        if parsed.was_given(flag):
            result[field] = parsed.is_on(flag)
    for flag, field in LIST_FIELDS.items():
        if parsed.was_given(flag):
            result[field] = as_json(parsed.texts(flag))
    for flag, field in CAPABILITY_FIELDS.items():
        if parsed.was_given(flag):
            result[field] = as_json(_capabilities(parsed.texts(flag)))
    if any("=" not in each for each in parsed.texts("storage-opt")):
        raise ValueError("invalid storage option")
    for flag, field in MAP_FIELDS.items():
        if parsed.was_given(flag):
            result[field] = _map(parsed.texts(flag))
    if options := parsed.texts("dns-option") + parsed.texts("dns-opt"):
        result["DnsOptions"] = as_json(options)
    if parsed.was_given("tmpfs"):
        result["Tmpfs"] = mounts.split_tmpfs(parsed.texts("tmpfs"))
    _add_devices(result, parsed.texts("device"), _documents(parsed, "gpus"))
    _add_security(result, parsed.texts("security-opt"))
    return result


def given_limits(parsed: Parsed) -> Document:
    """The limits that were given, as an update sends them."""
    result: Document = {}
    for flag, field in TEXT_FIELDS.items():
        if parsed.text(flag):
            result[field] = parsed.text(flag)
    for flag, field in NUMBER_FIELDS.items():
        if parsed.was_given(flag):
            result[field] = parsed.number(flag)
    for flag, field in _OBJECT_FIELDS.items():
        if parsed.was_given(flag):
            result[field] = [document(each) for each in _documents(parsed, flag)]
    return result


def _check_modes(parsed: Parsed) -> None:
    if parsed.number("memory-swappiness", -1) not in _SWAPPINESS:
        raise ValueError(
            f"invalid value: {parsed.number('memory-swappiness')}. "
            "Valid memory swappiness range is 0-100"
        )
    for flag, word, allowed in (
        ("pid", "PID", ("", "host")), ("uts", "UTS", ("", "host")),
        ("userns", "USER", ("", "host")), ("cgroupns", "CGROUP", ("", "host", "private")),
    ):  # fmt: skip
        mode = parsed.text(flag)
        names_container = flag == "pid" and mode.startswith("container:") and len(mode) > 10
        if mode not in allowed and not names_container:
            raise ValueError(f"--{flag}: invalid {word} mode")
    if parsed.is_on("rm") and parsed.text("restart", "no") not in ("", "no"):
        raise ValueError("conflicting options: cannot specify both --restart and --rm")


def _log_config(parsed: Parsed) -> Document:
    driver, options = parsed.text("log-driver"), parsed.texts("log-opt")
    if driver == "none" and options:
        raise ValueError("invalid logging opts for driver none")
    return {"Type": driver, "Config": _map(options)}


def _capabilities(given: Sequence[str]) -> list[str]:
    """Each once and by its whole name, or `ALL` alone."""
    named = {each.strip().upper() for each in given}
    if "ALL" in named:
        return ["ALL"]
    return sorted(each if each.startswith("CAP_") else f"CAP_{each}" for each in named)


def _add_devices(
    host_config: Document, given: Sequence[str], requests: Sequence[Document]
) -> None:
    plain = [device for device in given if not limits.is_cdi_device(device)]
    named = [device for device in given if limits.is_cdi_device(device)]
    if plain:
        host_config["Devices"] = [limits.device_mapping(device) for device in plain]
    if named:
        requests = [*requests, {"Driver": "cdi", "DeviceIDs": as_json(named)}]
    if requests:
        host_config["DeviceRequests"] = list[Json](requests)


def _add_security(host_config: Document, given: Sequence[str]) -> None:
    kept = [_security_option(option) for option in given if option != _UNCONFINED]
    if _UNCONFINED in given:
        host_config["MaskedPaths"] = []
        host_config["ReadonlyPaths"] = []
    if kept:
        host_config["SecurityOpt"] = as_json(kept)


def _security_option(option: str) -> str:
    """A profile of seccomp is sent as its content, since the engine may be elsewhere."""
    name, equals, value = option.partition("=")
    if not equals:
        if option != "no-new-privileges":
            name, equals, value = option.partition(":")
        if not equals and option != "no-new-privileges":
            raise ValueError(f'Invalid --security-opt: "{option}"')
    if name != "seccomp" or value in ("unconfined", "builtin"):
        return option
    try:
        with open(value, "rb") as file:
            profile: Json = json.load(file)
    except OSError as problem:
        reason = (problem.strerror or "").lower()
        raise ValueError(
            f"opening seccomp profile ({value}) failed: open {value}: {reason}"
        ) from None
    except ValueError as problem:
        raise ValueError(
            f"compacting json for seccomp profile ({value}) failed: {problem}"
        ) from None
    return "seccomp=" + json.dumps(profile, separators=(",", ":"))


def _documents(parsed: Parsed, flag: str) -> list[Document]:
    return [each for each in parsed.objects(flag) if isinstance(each, dict)]


def _map(pairs: Sequence[str]) -> Document:
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
