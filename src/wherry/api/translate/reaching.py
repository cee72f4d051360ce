"""Looking at networks: questions from the wire, answers to it."""

from collections.abc import Sequence

from wherry.kit.urls import with_port
from wherry.model.containers import Container, VolumeMount
from wherry.model.errors import InvalidField
from wherry.model.networks import EndpointStatus, Network, NetworkModeKind
from wherry.model.reaching import Origin, Reach, ReachQuestion
from wherry.wire.reaching import (
    HopAnswer,
    MapAnswer,
    MappedContainer,
    MappedEndpoint,
    MappedNetwork,
    ReachAnswer,
    ReachRequest,
)


def to_reach_question(request: ReachRequest) -> ReachQuestion:
    """Raises: InvalidField."""
    try:
        origin = Origin(request.Origin)
    except ValueError as error:
        raise InvalidField("Origin", request.Origin, "must be container, host or lan") from error
    if origin is Origin.CONTAINER and not request.Source:
        raise InvalidField("Source", "", "must name the container that a packet comes from")
    if not request.Target:
        raise InvalidField("Target", "", "must name the container that a packet goes to")
    return ReachQuestion(
        source=request.Source,
        origin=origin,
        target=request.Target,
        port=request.Port,
        protocol=request.Protocol,
        is_static=request.Static,
    )


def to_reach_answer(reach: Reach) -> ReachAnswer:
    """All of it."""
    return ReachAnswer(
        Source=reach.source,
        Target=reach.target,
        Address=reach.address,
        Port=reach.question.port,
        Protocol=reach.question.protocol,
        Verdict=reach.verdict.value,
        Hops=[
            HopAnswer(Place=each.place, Sentence=each.sentence, Standing=each.standing.value)
            for each in reach.hops
        ],
        Fixes=list(reach.fixes),
    )


def to_map_answer(
    host: str, networks: Sequence[Network], containers: Sequence[Container]
) -> MapAnswer:
    """Networks in the order of `network ls`, containers by name."""
    return MapAnswer(
        Host=host,
        Networks=[
            MappedNetwork(
                Id=each.id,
                Name=each.name,
                Driver=each.driver,
                Subnets=[one.subnet for one in each.ranges],
                Internal=each.is_internal,
                Options=dict(each.options),
            )
            for each in networks
            if not each.is_configuration
        ],
        Containers=[_mapped(each) for each in sorted(containers, key=lambda each: each.name)],
    )


def _mapped(container: Container) -> MappedContainer:
    mode = container.spec.network.mode
    return MappedContainer(
        Id=container.id,
        Name=container.name,
        Image=container.spec.image,
        State=container.status.state.value,
        SharesNetworkOf=mode.reference if mode.kind is NetworkModeKind.CONTAINER else "",
        Endpoints=[
            MappedEndpoint(
                Network=each.network_name,
                Interface=each.interface,
                Addresses=list(filter(None, (each.address, each.ipv6_address))),
                IsWayOut=each.is_way_out,
            )
            for each in container.endpoints
        ],
        Published=[line for each in container.endpoints for line in _published(each)],
        Volumes=[each.name for each in container.spec.mounts if isinstance(each, VolumeMount)],
    )


def _published(endpoint: EndpointStatus) -> list[str]:
    return [
        f"{each.port} -> {with_port(each.host_address, each.host_port)}"
        for each in endpoint.published
    ]
