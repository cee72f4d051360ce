"""How far a new container is kept from the host: security options and shared namespaces."""

from wherry.kit.values import dataclass, field
from wherry.model.containers import Namespaces, Security
from wherry.model.errors import InvalidValue
from wherry.wire.container_config import HostShape


@dataclass(slots=True)
class _Options:
    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    labels: list[str] = field(default_factory=list)
    has_writable_cgroups: bool | None = None


def to_security(host: HostShape) -> Security:
    """Raises: InvalidValue."""
    options = _read_options(host.SecurityOpt or [])
    return Security(
        is_privileged=host.Privileged,
        capabilities_added=tuple(host.CapAdd or ()),
        capabilities_dropped=tuple(host.CapDrop or ()),
        no_new_privileges=options.no_new_privileges,
        seccomp=options.seccomp,
        apparmor=options.apparmor,
        masked_paths=None if host.MaskedPaths is None else tuple(host.MaskedPaths),
        read_only_paths=None if host.ReadonlyPaths is None else tuple(host.ReadonlyPaths),
        group_add=tuple(host.GroupAdd or ()),
        labels=tuple(options.labels),
        has_writable_cgroups=options.has_writable_cgroups,
        options=tuple(host.SecurityOpt or ()),
    )


def _read_options(texts: list[str]) -> _Options:
    """`--security-opt` as Docker's daemon reads it: `key=value`, once `key:value`."""
    options = _Options()
    for text in texts:
        if text == "no-new-privileges":
            options.no_new_privileges = True
            continue
        if text == "disable":
            options.labels.append(text)
            continue
        separator = "=" if "=" in text else ":"
        key, found, value = text.partition(separator)
        if not found:
            raise InvalidValue(f'invalid --security-opt 1: "{text}"')
        match key:
            case "no-new-privileges":
                options.no_new_privileges = _as_claim(text, value)
            case "seccomp":
                options.seccomp = value
            case "label":
                options.labels.append(value)
            case "apparmor":
                options.apparmor = value
            case "writable-cgroups":
                options.has_writable_cgroups = _as_claim(text, value)
            case _:
                raise InvalidValue(f'invalid --security-opt 2: "{text}"')
    return options


def _as_claim(text: str, value: str) -> bool:
    match value.lower():
        case "1" | "t" | "true":
            return True
        case "0" | "f" | "false":
            return False
        case _:
            raise InvalidValue(f'invalid --security-opt 2: "{text}"')


def to_namespaces(host: HostShape) -> Namespaces:
    """Raises: InvalidValue."""
    _check_mode("PID", host.PidMode, ("", "host"), joins=True)
    _check_mode("IPC", host.IpcMode, ("", "none", "private", "shareable", "host"), joins=True)
    _check_mode("UTS", host.UTSMode, ("", "host"))
    _check_mode("USER", host.UsernsMode, ("", "host"))
    if host.CgroupnsMode not in ("", "private", "host"):
        raise InvalidValue(f"invalid cgroup namespace mode: {host.CgroupnsMode}")
    return Namespaces(
        pid=host.PidMode,
        ipc=host.IpcMode,
        uts=host.UTSMode,
        cgroup=host.CgroupnsMode,
        user=host.UsernsMode,
    )


def _check_mode(kind: str, mode: str, known: tuple[str, ...], *, joins: bool = False) -> None:
    if joins and mode.startswith("container:") and mode != "container:":
        return
    if mode not in known:
        raise InvalidValue(f"invalid {kind} mode: {mode}")
