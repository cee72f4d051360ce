"""From a container to its line in a list."""

from collections.abc import Sequence

from msgspec import UNSET

from wherry.api.translate.inspection import to_endpoints
from wherry.api.translate.mounts import mount_points
from wherry.api.translate.networking import network_mode_text
from wherry.kit.durations import human_duration
from wherry.kit.timestamps import NANOSECONDS
from wherry.model.containers import Container, ContainerStatus
from wherry.model.health import Health, HealthState
from wherry.model.lifecycle import ContainerState
from wherry.model.queries import ContainerSizes
from wherry.wire.containers import (
    Summary,
    SummaryHostConfig,
    SummaryNetworkSettings,
    SummaryPort,
)


def to_summary(
    container: Container,
    *,
    now_ns: int,
    sizes: ContainerSizes | None = None,
    linked: Sequence[str] = (),
) -> Summary:
    """One line of the list; a container that wrote nothing has no SizeRw, as in Docker.

    `linked` are its names by the links of others.
    """
    spec = container.spec
    return Summary(
        Id=container.id,
        Names=sorted(f"/{name}" for name in (container.name, *linked)),
        Image=spec.image,
        ImageID=container.image_id,
        Command=command_line(container.arguments),
        Created=container.created_at_ns // NANOSECONDS,
        Ports=_ports(container),
        SizeRw=(sizes and sizes.written_bytes) or UNSET,
        SizeRootFs=(sizes and sizes.total_bytes) or UNSET,
        Labels=dict(spec.labels),
        State=container.status.state.value,
        Status=status_text(container.status, now_ns=now_ns),
        HostConfig=SummaryHostConfig(
            NetworkMode=network_mode_text(spec.network.mode),
            Annotations=dict(spec.annotations) or UNSET,
        ),
        NetworkSettings=SummaryNetworkSettings(Networks=to_endpoints(container)),
        Mounts=mount_points(spec.mounts),
    )


def status_text(status: ContainerStatus, *, now_ns: int) -> str:
    """`Up 5 minutes`, `Exited (0) 3 hours ago`, `Created` ..."""
    match status.state:
        case ContainerState.CREATED:
            return "Created"
        case ContainerState.RUNNING:
            return f"Up {_since(status.started_at_ns, now_ns)}{_health_text(status.health)}"
        case ContainerState.PAUSED:
            return f"Up {_since(status.started_at_ns, now_ns)} (Paused)"
        case ContainerState.RESTARTING:
            since = _since(status.finished_at_ns, now_ns)
            return f"Restarting ({status.exit_code}) {since} ago"
        case ContainerState.EXITED:
            return f"Exited ({status.exit_code}) {_since(status.finished_at_ns, now_ns)} ago"
        case ContainerState.REMOVING:
            return "Removal In Progress"
        case ContainerState.DEAD:
            return "Dead"


def _health_text(health: Health | None) -> str:
    if health is None:
        return ""
    is_open = health.state is HealthState.STARTING
    return f" ({'health: ' * is_open}{health.state.value})"


def _since(moment_ns: int | None, now_ns: int) -> str:
    return human_duration(max(0, now_ns - (moment_ns or now_ns)) / NANOSECONDS)


def command_line(arguments: tuple[str, ...]) -> str:
    """The command in one line; words with blanks are quoted, the first one never."""
    quoted = [f"'{each}'" if " " in each else each for each in arguments[1:]]
    return " ".join((*arguments[:1], *quoted))


def _ports(container: Container) -> list[SummaryPort]:
    if container.status.state not in (ContainerState.RUNNING, ContainerState.PAUSED):
        return []
    published = [each for endpoint in container.endpoints for each in endpoint.published]
    shown = [
        SummaryPort(
            IP=each.host_address,
            PrivatePort=each.port.number,
            PublicPort=each.host_port,
            Type=each.port.protocol,
        )
        for each in published
    ]
    taken = {each.port for each in published}
    shown += [
        SummaryPort(PrivatePort=port.number, Type=port.protocol)
        for port in container.spec.network.exposed
        if port not in taken
    ]
    return shown
