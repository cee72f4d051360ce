"""The process of a container, and processes that join it: arguments, environment, identity."""

from collections.abc import Sequence

from wherry.kit.numbers import parse_unsigned
from wherry.model.containers import Container, ContainerSpec, ExecSpec
from wherry.model.errors import InvalidValue
from wherry.model.networks import NetworkModeKind
from wherry.oci.runtime_spec import Capabilities, ConsoleSize, Process, User
from wherry.specgen import defaults
from wherry.specgen.apparmor_profile import container_apparmor
from wherry.specgen.capabilities import container_capabilities
from wherry.specgen.host import HostFacts
from wherry.specgen.limits import rlimits
from wherry.specgen.selinux_label import selinux_label

SHORT_ID_LENGTH = 12
_UID_BITS = 31
"""The C library and Docker take larger numbers for names, or refuse them."""


def container_process(container: Container, host: HostFacts) -> Process:
    """The container's first process; a user given by name stays with the caller.

    Raises: InvalidValue.
    """
    spec = container.spec
    return Process(
        args=container.arguments,
        cwd=spec.working_directory or "/",
        env=environment(container, host, is_tty=spec.terminal.is_tty, extra=spec.environment),
        terminal=spec.terminal.is_tty,
        console_size=ConsoleSize(height=spec.terminal.rows, width=spec.terminal.columns),
        user=literal_user(spec.user),
        capabilities=_sets(container_capabilities(spec.security, host)),
        rlimits=rlimits(spec.limits.ulimits),
        no_new_privileges=spec.security.no_new_privileges,
        apparmor_profile=container_apparmor(spec.security, host),
        oom_score_adj=spec.oom_score_adjust,
        selinux_label=selinux_label(spec.security, host),
    )


def exec_process(container: Container, wanted: ExecSpec, *, host: HostFacts) -> Process:
    """A process that joins a running container, with the container's environment below its own.

    The caller resolves `wanted.user`, or where that is empty the container's, against the
    image; here it counts only where it is numbers.

    Raises: InvalidValue.
    """
    spec = container.spec
    if wanted.is_privileged:
        capabilities = host.capabilities
    else:
        capabilities = container_capabilities(spec.security, host)
    return Process(
        args=wanted.command,
        cwd=wanted.working_directory or spec.working_directory or "/",
        env=environment(
            container,
            host,
            is_tty=wanted.is_tty,
            extra=(*spec.environment, *wanted.environment),
        ),
        terminal=wanted.is_tty,
        console_size=ConsoleSize(height=wanted.rows, width=wanted.columns),
        user=literal_user(wanted.user or spec.user),
        capabilities=_sets(capabilities),
        rlimits=rlimits(spec.limits.ulimits),
        no_new_privileges=spec.security.no_new_privileges,
        apparmor_profile=container_apparmor(spec.security, host),
        oom_score_adj=spec.oom_score_adjust,
        selinux_label=selinux_label(spec.security, host),
    )


def hostname(container: Container, host: HostFacts) -> str:
    """The container's name for itself: asked for, or the host's, or the start of its id."""
    spec = container.spec
    if spec.hostname:
        return spec.hostname
    shares_host = spec.network.mode.kind is NetworkModeKind.HOST or spec.namespaces.uts == "host"
    return host.hostname if shares_host else container.id[:SHORT_ID_LENGTH]


def environment(
    container: Container, host: HostFacts, *, is_tty: bool, extra: Sequence[str]
) -> tuple[str, ...]:
    """The defaults, overridden in place by later values; a name without `=` takes one away."""
    chosen = {"PATH": defaults.SEARCH_PATH, "HOSTNAME": hostname(container, host)}
    if is_tty:
        chosen["TERM"] = "xterm"
    for entry in extra:
        name, equals, value = entry.partition("=")
        if equals:
            chosen[name] = value
        else:
            chosen.pop(name, None)
    return tuple(f"{name}={value}" for name, value in chosen.items())


def literal_user(text: str) -> User:
    """The numbers of `uid` or `uid:gid`; zeros for anything that needs the image's files."""
    uid, colon, gid = text.partition(":")
    try:
        return User(
            uid=parse_unsigned(uid, bits=_UID_BITS),
            gid=parse_unsigned(gid, bits=_UID_BITS) if colon else 0,
        )
    except ValueError:
        return User()


def check_process(spec: ContainerSpec) -> None:
    """Refuse what no process can have. Raises: InvalidValue with Docker's text."""
    directory = spec.working_directory
    if directory and not directory.startswith("/"):
        raise InvalidValue(
            f"the working directory '{directory}' is invalid, it needs to be an absolute path"
        )
    for entry in spec.environment:
        if not entry or entry.startswith("="):
            raise InvalidValue(f"invalid environment variable: {entry}")
    score = spec.oom_score_adjust
    if not -1000 <= score <= 1000:
        raise InvalidValue(f"Invalid value {score}, range for oom score adj is [-1000, 1000]")
    texts = (*spec.environment, *(spec.entrypoint or ()), *(spec.command or ()), directory)
    if any("\0" in text for text in texts):
        raise InvalidValue("arguments, environment and paths can't contain a zero byte")


def _sets(capabilities: tuple[str, ...]) -> Capabilities:
    """Bounding, effective and permitted; inheritable stays empty (CVE-2022-24769)."""
    return Capabilities(bounding=capabilities, effective=capabilities, permitted=capabilities)
