"""`inspect --format run`: the `docker run` line that makes such a container again.

It is the inverse of `options.container_config`, whose tables of fields it reads backwards. What
the image says, and what the engine would say by itself, is left out.
"""

import shlex
from collections.abc import Iterator

from wherry.cli.options.container_config import (
    CAPABILITY_FIELDS,
    LIST_FIELDS,
    MAP_FIELDS,
    NUMBER_FIELDS,
    SWITCH_FIELDS,
    TEXT_FIELDS,
)
from wherry.client.documents import (
    Document,
    child,
    children,
    flag,
    mapping,
    number,
    text,
    texts,
)
from wherry.kit.urls import with_port

_SHORT_ID = 12
_SHM_BYTES = 64 << 20
_RATES = {
    "BlkioDeviceReadBps": "device-read-bps",
    "BlkioDeviceWriteBps": "device-write-bps",
    "BlkioDeviceReadIOps": "device-read-iops",
    "BlkioDeviceWriteIOps": "device-write-iops",
}
_HEALTH = {
    "Interval": "health-interval",
    "Timeout": "health-timeout",
    "StartPeriod": "health-start-period",
    "StartInterval": "health-start-interval",
}
_DEFAULT_LOG = {"max-size": "20m", "max-file": "3"}
_PROFILE = "seccomp={"
"""A profile comes as a file and is kept as its content."""
PROFILE_FILE = "seccomp.json"
"""What a line calls a profile's file, which has to be written first."""
_ELSEWHERE = frozenset({"cpus", "cidfile", "shm-size", "memory-swap", "rm", "link", "ulimit"})
"""Flags of the tables that need more than their value."""


def run_line(container: Document, image: Document, info: Document) -> str:
    """The line, of a container's and its image's documents and of the engine's `info`."""
    arguments = list(_arguments(container, child(image, "Config"), info))
    return shlex.join(["docker", "run", *arguments])


def needs_profile(container: Document) -> bool:
    """Whether the line names `PROFILE_FILE`."""
    options = texts(child(container, "HostConfig"), "SecurityOpt")
    return any(option.startswith(_PROFILE) for option in options)


def _arguments(container: Document, image: Document, info: Document) -> Iterator[str]:
    config, host = child(container, "Config"), child(container, "HostConfig")
    yield f"--name={text(container, 'Name').removeprefix('/')}"
    yield from _streams(config)
    yield from _identity(container, config, host, image)
    yield from _environment(config, image)
    yield from _health(child(config, "Healthcheck"), child(image, "Healthcheck"))
    yield from _files(config, host, image)
    yield from _ports(config, host, image)
    yield from _networks(config, host)
    yield from _limits(host)
    yield from _plain(host, _engine_defaults(info))
    yield from _security(host)
    yield from _policies(host)
    entrypoint, command = _command(config, image)
    if entrypoint is not None:
        yield f"--entrypoint={entrypoint}"
    yield text(config, "Image")
    yield from command


# -- what the container is --------------------------------------------------------------------


def _streams(config: Document) -> Iterator[str]:
    if not flag(config, "AttachStdout") and not flag(config, "AttachStderr"):
        yield "--detach"
    if flag(config, "OpenStdin"):
        yield "--interactive"
    if flag(config, "Tty"):
        yield "--tty"


def _identity(
    container: Document, config: Document, host: Document, image: Document
) -> Iterator[str]:
    mode = text(host, "NetworkMode")
    is_own = mode != "host" and not mode.startswith("container:") and not text(host, "UTSMode")
    hostname = text(config, "Hostname")
    if is_own and hostname and hostname != text(container, "Id")[:_SHORT_ID]:
        yield f"--hostname={hostname}"
    if text(config, "Domainname"):
        yield f"--domainname={text(config, 'Domainname')}"
    for field, name in (
        ("User", "user"),
        ("WorkingDir", "workdir"),
        ("StopSignal", "stop-signal"),
    ):
        value = text(config, field)
        if value and value != text(image, field):
            yield f"--{name}={value}"
    if "StopTimeout" in config:
        yield f"--stop-timeout={number(config, 'StopTimeout')}"


def _environment(config: Document, image: Document) -> Iterator[str]:
    known = set(texts(image, "Env"))
    for entry in texts(config, "Env"):
        if entry not in known:
            yield f"--env={entry}"
    labels = mapping(image, "Labels")
    for key, value in mapping(config, "Labels").items():
        if labels.get(key) != value:
            yield f"--label={key}={value}"


def _health(check: Document, image: Document) -> Iterator[str]:
    test = texts(check, "Test")
    if test == ["NONE"]:
        yield "--no-healthcheck"
        return
    if test[:1] == ["CMD-SHELL"] and test != texts(image, "Test"):
        yield f"--health-cmd={test[1]}"
    for field, name in _HEALTH.items():
        if number(check, field) != number(image, field):
            yield f"--{name}={number(check, field)}ns"
    if number(check, "Retries") != number(image, "Retries"):
        yield f"--health-retries={number(check, 'Retries')}"


def _command(config: Document, image: Document) -> tuple[str | None, list[str]]:
    """`--entrypoint`, which takes one word and drops the image's command, and what follows."""
    entrypoint, command = texts(config, "Entrypoint"), texts(config, "Cmd")
    if entrypoint == texts(image, "Entrypoint"):
        return None, [] if command == texts(image, "Cmd") else command
    return (entrypoint[0] if entrypoint else ""), [*entrypoint[1:], *command]


# -- what it is connected to ------------------------------------------------------------------


def _files(config: Document, host: Document, image: Document) -> Iterator[str]:
    for bind in texts(host, "Binds"):
        yield f"--volume={bind}"
    for mount in children(host, "Mounts"):
        yield f"--mount={_mount(mount)}"
    taken = {bind.split(":")[1] for bind in texts(host, "Binds") if ":" in bind}
    for path in child(config, "Volumes"):
        if path not in child(image, "Volumes") and path not in taken:
            yield f"--volume={path}"
    for path, options in mapping(host, "Tmpfs").items():
        yield f"--tmpfs={path}:{options}" if options else f"--tmpfs={path}"
    for device in children(host, "Devices"):
        fields = (text(device, key) for key in ("PathOnHost", "PathInContainer"))
        yield f"--device={':'.join(fields)}:{text(device, 'CgroupPermissions')}"


def _mount(mount: Document) -> str:
    """Docker's `key=value,...`; a value with a comma is quoted as CSV wants it."""
    fields = [f"type={text(mount, 'Type')}", f"target={text(mount, 'Target')}"]
    if text(mount, "Source"):
        fields.insert(1, f"source={text(mount, 'Source')}")
    if flag(mount, "ReadOnly"):
        fields.append("readonly")
    bind, volume = child(mount, "BindOptions"), child(mount, "VolumeOptions")
    tmpfs = child(mount, "TmpfsOptions")
    if text(bind, "Propagation"):
        fields.append(f"bind-propagation={text(bind, 'Propagation')}")
    if flag(bind, "NonRecursive"):
        fields.append("bind-recursive=disabled")
    if flag(bind, "ReadOnlyNonRecursive"):
        fields.append("bind-recursive=writable")
    if flag(bind, "ReadOnlyForceRecursive"):
        fields.append("bind-recursive=readonly")
    if flag(volume, "NoCopy"):
        fields.append("volume-nocopy")
    if text(volume, "Subpath"):
        fields.append(f"volume-subpath={text(volume, 'Subpath')}")
    fields += [f"volume-label={key}={value}" for key, value in mapping(volume, "Labels").items()]
    if text(child(mount, "ImageOptions"), "Subpath"):
        fields.append(f"image-subpath={text(child(mount, 'ImageOptions'), 'Subpath')}")
    if number(tmpfs, "SizeBytes"):
        fields.append(f"tmpfs-size={number(tmpfs, 'SizeBytes')}")
    if number(tmpfs, "Mode"):
        fields.append(f"tmpfs-mode={number(tmpfs, 'Mode'):o}")
    return ",".join(f'"{each}"' if "," in each else each for each in fields)


def _ports(config: Document, host: Document, image: Document) -> Iterator[str]:
    bound = child(host, "PortBindings")
    for port in bound:
        for binding in children(bound, port):
            address, host_port = text(binding, "HostIp"), text(binding, "HostPort")
            outside = with_port(address, host_port) if address else host_port
            yield f"--publish={outside}:{port}" if outside else f"--publish={port}"
    for port in child(config, "ExposedPorts"):
        if port not in bound and port not in child(image, "ExposedPorts"):
            yield f"--expose={port}"


def _networks(config: Document, host: Document) -> Iterator[str]:
    mode = text(host, "NetworkMode")
    if mode not in ("", "default", "bridge"):
        yield f"--network={mode}"
    if text(config, "MacAddress"):
        yield f"--mac-address={text(config, 'MacAddress')}"
    for option in texts(host, "DnsOptions"):
        yield f"--dns-option={option}"
    for link in texts(host, "Links"):
        target, _, path = link.removeprefix("/").partition(":")
        yield f"--link={target}:{path.rpartition('/')[2]}"


# -- what it may ------------------------------------------------------------------------------


def _limits(host: Document) -> Iterator[str]:
    if cpus := number(host, "NanoCpus"):
        yield f"--cpus={cpus / 1e9:.9f}".rstrip("0").rstrip(".")
    memory, swap = number(host, "Memory"), number(host, "MemorySwap")
    if swap and swap != 2 * memory:
        yield f"--memory-swap={swap}"
    if number(host, "ShmSize") not in (0, _SHM_BYTES):
        yield f"--shm-size={number(host, 'ShmSize')}"
    if host.get("MemorySwappiness") not in (None, -1):
        yield f"--memory-swappiness={number(host, 'MemorySwappiness')}"
    for limit in children(host, "Ulimits"):
        yield f"--ulimit={text(limit, 'Name')}={number(limit, 'Soft')}:{number(limit, 'Hard')}"
    for field, name in _RATES.items():
        for rate in children(host, field):
            yield f"--{name}={text(rate, 'Path')}:{number(rate, 'Rate')}"
    for weight in children(host, "BlkioWeightDevice"):
        yield f"--blkio-weight-device={text(weight, 'Path')}:{number(weight, 'Weight')}"


def _engine_defaults(info: Document) -> dict[str, str]:
    """What the engine fills in by itself."""
    is_v2 = text(info, "CgroupVersion") == "2"
    return {
        "CgroupnsMode": "private" if is_v2 else "host",
        "IpcMode": "private",
        "Runtime": text(info, "DefaultRuntime"),
        "Isolation": "default",
        "VolumeDriver": "local",
    }


def _plain(host: Document, defaults: dict[str, str]) -> Iterator[str]:
    """The fields that are a flag's value as it is."""
    is_privileged = flag(host, "Privileged")
    for name, field in TEXT_FIELDS.items():
        value = text(host, field)
        if name not in _ELSEWHERE and value and value != defaults.get(field):
            yield f"--{name}={value}"
    for name, field in NUMBER_FIELDS.items():
        if name not in _ELSEWHERE and number(host, field):
            yield f"--{name}={number(host, field)}"
    for name, field in SWITCH_FIELDS.items():
        is_off = name == "init" and host.get(field) is False
        if name not in _ELSEWHERE and (flag(host, field) or is_off):
            yield f"--{name}=false" if is_off else f"--{name}"
    for name, field in (CAPABILITY_FIELDS | LIST_FIELDS).items():
        if name not in _ELSEWHERE and not (is_privileged and name == "security-opt"):
            yield from (f"--{name}={each}" for each in texts(host, field))
    for name, field in MAP_FIELDS.items():
        yield from (f"--{name}={key}={each}" for key, each in mapping(host, field).items())


def _security(host: Document) -> Iterator[str]:
    is_privileged = flag(host, "Privileged")
    for option in texts(host, "SecurityOpt"):
        # A privileged container has `label=disable` of itself.
        if is_privileged and option == "label=disable":
            continue
        is_profile = option.startswith(_PROFILE)
        yield f"--security-opt={f'seccomp={PROFILE_FILE}' if is_profile else option}"
    is_open = host.get("MaskedPaths") == [] and host.get("ReadonlyPaths") == []
    if is_open and not is_privileged:
        yield "--security-opt=systempaths=unconfined"


def _policies(host: Document) -> Iterator[str]:
    if flag(host, "AutoRemove"):
        yield "--rm"
    policy = child(host, "RestartPolicy")
    name, most = text(policy, "Name"), number(policy, "MaximumRetryCount")
    if name not in ("", "no"):
        yield f"--restart={name}:{most}" if most else f"--restart={name}"
    log = child(host, "LogConfig")
    driver, options = text(log, "Type"), mapping(log, "Config")
    if (driver, options) not in (("json-file", _DEFAULT_LOG), ("json-file", {}), ("", {})):
        yield f"--log-driver={driver}"
        yield from (f"--log-opt={key}={value}" for key, value in sorted(options.items()))
