"""A service as the Engine API takes it: the body of `POST /containers/create`, and its labels.

A `Making` names one container. Everything else follows from the application, so that a container
is the same whoever makes it, and its configuration's hash says whether it still is.
"""

from collections.abc import Mapping

from wherry.client.documents import Document, Json, child, children, document, flag, text, texts
from wherry.compose import labels
from wherry.compose.application import Application
from wherry.compose.config_hashes import service_hash
from wherry.compose.durations import parse_duration
from wherry.compose.errors import ComposeError
from wherry.compose.making import Making
from wherry.compose.observing import SeenImage
from wherry.compose.service_limits import resources, size_of
from wherry.compose.service_mounts import Warn, mounts_of
from wherry.compose.service_networks import endpoint, network_names, networks_by_priority

_NAMESPACES = ("network_mode", "ipc", "pid")
_SECOND = 10**9


def with_references(service: Document, identifiers: Mapping[str, str]) -> Document:
    """The service with container ids in place of services whose namespaces or volumes it shares.

    Raises: ComposeError when there is no container to share with.
    """
    result = dict(service)
    for key in _NAMESPACES:
        kind, _, name = text(service, key).partition(":")
        if kind == "service":
            shown = {"network_mode": "network", "ipc": "IPC", "pid": "PID"}[key]
            if name not in identifiers:
                raise ComposeError(
                    f"cannot share {shown} namespace with service {name}: container missing"
                )
            result[key] = f"container:{identifiers[name]}"
    if sources := texts(service, "volumes_from"):
        result["volumes_from"] = [_volume_source(each, identifiers) for each in sources]
    return result


def _volume_source(source: str, identifiers: Mapping[str, str]) -> str:
    name, _, rest = source.partition(":")
    if name == "container":
        return rest.partition(":")[0]
    if name not in identifiers:
        raise ComposeError(f"cannot share volume with service {name}: container missing")
    return identifiers[name]


def referred_services(service: Document) -> set[str]:
    """The services whose containers' ids are in this one's configuration."""
    result = {
        text(service, key).partition(":")[2]
        for key in _NAMESPACES
        if text(service, key).startswith("service:")
    }
    for source in texts(service, "volumes_from"):
        if not source.startswith("container:"):
            result.add(source.partition(":")[0])
    return result


def creation(
    made: Application,
    making: Making,
    service: Document,
    image: SeenImage | None,
    *,
    linked: Mapping[str, list[str]],
    takes_all_networks: bool,
    warn: Warn,
) -> Document:
    """The body of a request that makes the container.

    `service` has its references resolved; `linked` are the names of the containers of the
    services that it links to; `takes_all_networks` is true from version 1.44 of the API on.

    Raises: ComposeError.
    """
    links = _links(made, making, service, linked)
    body = _program(made, making, service)
    body["Labels"] = dict(container_labels(made, making, service, image))
    if not takes_all_networks and (address := _mac_address(service)):
        body["MacAddress"] = address
    body["HostConfig"] = {
        **_host_config(made, service),
        **_mounted(made, making, service, image, warn),
        **resources(service),
        "AutoRemove": bool(making.one_off and making.one_off.is_removed),
        "NetworkMode": _network_mode(made, service),
        "Links": list(links),
    }
    if not text(service, "network_mode"):
        names = networks_by_priority(service)
        endpoints = {
            text(child(made.networks, key), "name"): endpoint(made, making, service, key, links)
            for key in (names if takes_all_networks else names[:1])
        }
        body["NetworkingConfig"] = {"EndpointsConfig": dict(endpoints)}
    return body


def _program(made: Application, making: Making, service: Document) -> Document:
    """What runs, with which streams and around it."""
    one_off = making.one_off
    opens_stdin = flag(service, "stdin_open")
    attaches_stdin = one_off.attaches_stdin if one_off else False
    return {
        "Hostname": text(service, "hostname"),
        "Domainname": text(service, "domainname"),
        "User": text(service, "user"),
        "ExposedPorts": _exposed(service),
        "Tty": flag(service, "tty"),
        "OpenStdin": opens_stdin,
        "StdinOnce": attaches_stdin and opens_stdin,
        "AttachStdin": attaches_stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "Cmd": service.get("command"),
        "Entrypoint": service.get("entrypoint"),
        "Image": made.image_of(making.service),
        "WorkingDir": text(service, "working_dir"),
        "NetworkDisabled": text(service, "network_mode") == "disabled",
        "StopSignal": text(service, "stop_signal"),
        "StopTimeout": _seconds(service, "stop_grace_period"),
        "Env": [
            name if value is None else f"{name}={value}"
            for name, value in {**made.proxies, **child(service, "environment")}.items()
        ],
        "Healthcheck": _health_check(child(service, "healthcheck")),
    }


def container_labels(
    made: Application, making: Making, service: Document, image: SeenImage | None
) -> dict[str, str]:
    """The labels of a container: the service's own, and those by which Compose knows it."""
    own = {key: str(each) for key, each in child(service, "labels").items()}
    result = {
        **own,
        labels.PROJECT: made.name,
        labels.SERVICE: making.service,
        labels.VERSION: labels.COMPOSE_VERSION,
        labels.WORKING_DIRECTORY: made.directory,
        labels.CONFIG_FILES: ",".join(made.files),
        labels.ONE_OFF: "True" if making.one_off else "False",
        labels.CONFIG_HASH: service_hash(service),
        labels.DEPENDENCIES: _told_dependencies(service),
    }
    if made.env_files:
        result[labels.ENVIRONMENT_FILE] = ",".join(made.env_files)
    if image is not None:
        result[labels.IMAGE] = image.identifier
    if making.number:
        result[labels.NUMBER] = str(making.number)
    if making.replaces is not None:
        result[labels.REPLACES] = making.replaces.identifier
    if making.one_off is not None:
        result |= {**making.one_off.labels, labels.SLUG: making.one_off.slug}
    return result


def _told_dependencies(service: Document) -> str:
    told = []
    for name, each in child(service, "depends_on").items():
        wanted = document(each)
        restarts = "true" if flag(wanted, "restart") else "false"
        told.append(f"{name}:{text(wanted, 'condition')}:{restarts}")
    return ",".join(told)


def _host_config(made: Application, service: Document) -> Document:
    logging = child(service, "logging")
    options, is_open = _security_options(made, service)
    result: Document = {
        "Annotations": child(service, "annotations") or None,
        "CapAdd": capabilities(texts(service, "cap_add")),
        "CapDrop": capabilities(texts(service, "cap_drop")),
        "Init": service.get("init"),
        "IpcMode": text(service, "ipc"),
        "CgroupnsMode": text(service, "cgroup"),
        "ReadonlyRootfs": flag(service, "read_only"),
        "RestartPolicy": restart_policy(service),
        "ShmSize": size_of(service, "shm_size"),
        "Sysctls": child(service, "sysctls") or None,
        "PortBindings": _bindings(service),
        "VolumeDriver": text(service, "volume_driver"),
        "VolumesFrom": list(texts(service, "volumes_from")) or None,
        "Dns": list(texts(service, "dns")),
        "DnsSearch": list(texts(service, "dns_search")),
        "DnsOptions": list(texts(service, "dns_opt")),
        "ExtraHosts": [each.replace("=", ":", 1) for each in texts(service, "extra_hosts")],
        "SecurityOpt": list(options),
        "StorageOpt": child(service, "storage_opt") or None,
        "UsernsMode": text(service, "userns_mode"),
        "UTSMode": text(service, "uts"),
        "Privileged": flag(service, "privileged"),
        "PidMode": text(service, "pid"),
        "Isolation": text(service, "isolation"),
        "Runtime": text(service, "runtime"),
        "LogConfig": {"Type": text(logging, "driver"), "Config": child(logging, "options")},
        "GroupAdd": list(texts(service, "group_add")),
        "OomScoreAdj": service.get("oom_score_adj", 0),
    }
    if is_open:
        result |= {"MaskedPaths": [], "ReadonlyPaths": []}
    return {key: each for key, each in result.items() if each not in (None, "")}


def capabilities(names: list[str]) -> list[Json]:
    """As Docker's client sends them: by their whole names, sorted, or ALL."""
    whole = {name if name.startswith("CAP_") else f"CAP_{name}" for name in map(str.upper, names)}
    return ["ALL"] if "CAP_ALL" in whole else [*sorted(whole)]


def _mounted(
    made: Application, making: Making, service: Document, image: SeenImage | None, warn: Warn
) -> Document:
    replaced = making.replaces if making.keeps_volumes else None
    binds, mounts = mounts_of(made, service, image, replaced, warn)
    tmpfs = {path: options for path, _, options in (
        each.partition(":") for each in texts(service, "tmpfs")
    )}  # fmt: skip
    return {"Binds": list(binds), "Mounts": list(mounts), "Tmpfs": dict(tmpfs)}


def _network_mode(made: Application, service: Document) -> str:
    if mode := text(service, "network_mode"):
        return mode
    names = network_names(made, service)
    return names[0] if names else "none"


def _mac_address(service: Document) -> str:
    """The one address that an engine before 1.44 can give."""
    attached = (document(each) for each in child(service, "networks").values())
    return next(filter(None, (text(each, "mac_address") for each in attached)), "") or text(
        service, "mac_address"
    )


def _exposed(service: Document) -> Document:
    ports = [each if "/" in each else f"{each}/tcp" for each in texts(service, "expose")]
    return {port: {} for port in [*ports, *(_port(each) for each in children(service, "ports"))]}


def _port(port: Document) -> str:
    return f"{port.get('target')}/{text(port, 'protocol') or 'tcp'}"


def _bindings(service: Document) -> Document:
    result: dict[str, list[Json]] = {}
    for each in children(service, "ports"):
        binding: Document = {"HostIp": text(each, "host_ip"), "HostPort": text(each, "published")}
        result.setdefault(_port(each), []).append(binding)
    return dict(result)


def restart_policy(service: Document) -> Document | None:
    """`deploy.restart_policy`, or `restart`; None says nothing."""
    deploy = child(service, "deploy")
    if "restart_policy" in deploy:
        policy = child(deploy, "restart_policy")
        return {
            "Name": _policy(text(policy, "condition")),
            "MaximumRetryCount": policy.get("max_attempts", 0),
        }
    name, _, attempts = text(service, "restart").partition(":")
    if not name:
        return None
    count = int(attempts) if attempts.isdigit() else 0
    return {"Name": _policy(name), "MaximumRetryCount": count}


def _policy(condition: str) -> str:
    return {"none": "no", "any": "always"}.get(condition, condition)


def _health_check(check: Document) -> Document | None:
    if not check:
        return None
    if flag(check, "disable"):
        return {"Test": ["NONE"]}
    return {
        "Test": list(texts(check, "test")),
        "Interval": _nanoseconds(check, "interval"),
        "Timeout": _nanoseconds(check, "timeout"),
        "StartPeriod": _nanoseconds(check, "start_period"),
        "StartInterval": _nanoseconds(check, "start_interval"),
        "Retries": check.get("retries", 0),
    }


def _nanoseconds(of: Document, key: str) -> int:
    return parse_duration(text(of, key)) if text(of, key) else 0


def _seconds(of: Document, key: str) -> int | None:
    return _nanoseconds(of, key) // _SECOND if text(of, key) else None


def _security_options(made: Application, service: Document) -> tuple[list[str], bool]:
    """Options as the engine takes them, profiles as text; whether the system's paths are open."""
    result: list[str] = []
    is_open = False
    for option in texts(service, "security_opt"):
        if option == "systempaths=unconfined":
            is_open = True
            continue
        mark = "=" if "=" in option else ":"
        name, separator, value = option.partition(mark)
        if not separator and name != "no-new-privileges":
            raise ComposeError(f'Invalid security-opt: "{option}"')
        if name == "seccomp" and value not in ("unconfined", "builtin"):
            option = f"seccomp={_profile(made, value)}"
        result.append(option)
    return result, is_open


def _profile(made: Application, path: str) -> str:
    import json
    import os

    try:
        with open(os.path.join(made.directory, path), encoding="utf-8") as file:
            return json.dumps(json.load(file), separators=(",", ":"))
    except OSError as problem:
        reason = (problem.strerror or "").lower()
        raise ComposeError(
            f"opening seccomp profile ({path}) failed: open {path}: {reason}"
        ) from None
    except ValueError as problem:
        raise ComposeError(
            f"compacting json for seccomp profile ({path}) failed: {problem}"
        ) from None


def _links(
    made: Application,
    making: Making,
    service: Document,
    linked: Mapping[str, list[str]],
) -> list[str]:
    """`container:alias` for each container that the service links to, by all its names."""
    result: list[str] = []
    for link in texts(service, "links"):
        name, _, alias = link.partition(":")
        place = str(making.number)
        for each in linked.get(name, []):
            result += [
                f"{each}:{alias or name}",
                f"{each}:{made.joined(name, place)}",
                f"{each}:{made.joined(made.name, name, place)}",
            ]
    for link in texts(service, "external_links"):
        name, _, alias = link.partition(":")
        result.append(f"{name}:{alias or name}")
    return result
