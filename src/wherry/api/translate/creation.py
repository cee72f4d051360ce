"""From a creation request to what the engine is asked for."""

import re
from collections.abc import Mapping

from msgspec import UNSET, structs

from wherry.api.translate.absences import refuse_absent_features
from wherry.api.translate.health import to_health_check
from wherry.api.translate.limits import to_devices, to_limits
from wherry.api.translate.mount_texts import to_declared_volumes
from wherry.api.translate.mounts import to_mounts
from wherry.api.translate.networking import to_network_spec
from wherry.api.translate.ports import to_exposed
from wherry.api.translate.restarts import to_restart_policy
from wherry.api.translate.security import to_namespaces, to_security
from wherry.logs import options as log_options
from wherry.model.containers import ContainerSpec, LogSpec, RestartMode, Terminal
from wherry.model.errors import InvalidValue
from wherry.model.images import ImageConfig
from wherry.model.signals import parse_signal
from wherry.wire.container_config import Config, CreateRequest, HostShape, LogShape

_HOSTNAME = re.compile(r"[^\s/#\x00-\x1f\x7f]{1,64}")
"""Docker takes nearly anything; what sethostname(2) or a line of /etc/hosts can't, we refuse."""


def to_container_spec(request: CreateRequest | None) -> ContainerSpec:
    """What the user asked for.

    Raises: InvalidValue with Docker's sentences, FeatureMissing.
    """
    if request is None or _is_empty(request):
        raise InvalidValue("config cannot be empty in order to create a container")
    host = request.HostConfig or HostShape()
    refuse_absent_features(request, host)
    restart = to_restart_policy(host.RestartPolicy)
    if host.AutoRemove and restart.mode is not RestartMode.NO:
        raise InvalidValue("can't create 'AutoRemove' container with restart policy")
    _check_plain_values(request, host)
    return ContainerSpec(
        image=request.Image,
        entrypoint=_words(request.Entrypoint),
        command=_words(request.Cmd),
        environment=tuple(request.Env or ()),
        working_directory=request.WorkingDir,
        user=request.User,
        hostname=request.Hostname,
        domainname=request.Domainname,
        labels=request.Labels or {},
        annotations=host.Annotations or {},
        terminal=_terminal(request, host),
        stop_signal=request.StopSignal or "",
        stop_timeout_s=None if request.StopTimeout is UNSET else request.StopTimeout,
        runs_init=None if host.Init is UNSET else host.Init,
        is_rootfs_read_only=host.ReadonlyRootfs,
        removes_itself=host.AutoRemove,
        shm_bytes=host.ShmSize,
        storage_options=host.StorageOpt or {},
        sysctls=host.Sysctls or {},
        oom_score_adjust=host.OomScoreAdj,
        cgroup_parent=host.CgroupParent,
        runtime=host.Runtime,
        isolation=host.Isolation,
        cid_file=host.ContainerIDFile,
        mounts=to_mounts(host),
        limits=to_limits(host),
        devices=to_devices(host),
        declared_volumes=to_declared_volumes(request),
        volumes_from=tuple(host.VolumesFrom or ()),
        volume_driver=host.VolumeDriver,
        security=to_security(host),
        namespaces=to_namespaces(host),
        network=to_network_spec(request, host),
        log=_log(host.LogConfig),
        restart=restart,
        health=to_health_check(request.Healthcheck) if request.Healthcheck else None,
    )


def to_image_config(config: Config | None) -> ImageConfig | None:
    """What a commit is told of the image's configuration; None when it is told nothing.

    Raises: InvalidValue.
    """
    if config is None or config == Config():
        return None
    if config.StopSignal:
        parse_signal(config.StopSignal)
    return ImageConfig(
        entrypoint=_words(config.Entrypoint),
        command=_words(config.Cmd),
        environment=tuple(config.Env or ()),
        working_directory=config.WorkingDir,
        user=config.User,
        exposed_ports=to_exposed(config.ExposedPorts or ()),
        volumes=to_declared_volumes(config),
        labels=config.Labels or {},
        stop_signal=config.StopSignal or "",
        health=to_health_check(config.Healthcheck) if config.Healthcheck else None,
        shell=tuple(config.Shell or ()),
        on_build=tuple(config.OnBuild or ()),
    )


def _is_empty(request: CreateRequest) -> bool:
    """Whether the body said nothing about the container itself."""
    if request.Image:
        return False
    return structs.replace(request, HostConfig=None, NetworkingConfig=None) == CreateRequest()


def _words(words: list[str] | str | None) -> tuple[str, ...] | None:
    """A command line; Docker takes a single string for a list of one."""
    if words is None:
        return None
    return (words,) if isinstance(words, str) else tuple(words)


def _terminal(config: Config, host: HostShape) -> Terminal:
    rows, columns = console_size(host.ConsoleSize)
    return Terminal(
        is_tty=config.Tty,
        opens_stdin=config.OpenStdin,
        closes_stdin_after_first=config.StdinOnce,
        attaches_stdin=config.AttachStdin,
        attaches_stdout=config.AttachStdout,
        attaches_stderr=config.AttachStderr,
        rows=rows,
        columns=columns,
    )


def console_size(size: list[int] | None) -> tuple[int, int]:
    """Rows and columns. Raises: InvalidValue."""
    rows, columns = (size or [0, 0]) if len(size or [0, 0]) == 2 else (-1, -1)
    if not (0 <= rows <= 65535 and 0 <= columns <= 65535):
        raise InvalidValue(f"invalid console size: {size}")
    return rows, columns


def _check_plain_values(config: Config, host: HostShape) -> None:
    if config.WorkingDir and not config.WorkingDir.startswith("/"):
        raise InvalidValue(
            f"the working directory '{config.WorkingDir}' is invalid, "
            "it needs to be an absolute path"
        )
    for name in (config.Hostname, config.Domainname):
        if name and not _HOSTNAME.fullmatch(name):
            raise InvalidValue(f"invalid hostname format: {name}")
    if config.StopSignal:
        parse_signal(config.StopSignal)
    if host.ShmSize < 0:
        raise InvalidValue("SHM size can not be less than 0")
    if not -1000 <= host.OomScoreAdj <= 1000:
        raise InvalidValue(
            f"Invalid value {host.OomScoreAdj}, range for oom score adj is [-1000, 1000]"
        )


def _log(wish: LogShape) -> LogSpec:
    options: Mapping[str, str] = wish.Config or {}
    # Those of the default driver and of plugins are known to the engine, which checks them.
    if wish.Type in log_options.DRIVERS:
        try:
            log_options.validate(wish.Type, options)
        except ValueError as error:
            raise InvalidValue(str(error)) from error
    return LogSpec(driver=wish.Type, options=options)
