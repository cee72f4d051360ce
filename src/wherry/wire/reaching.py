"""`reach` and `map`: the questions and answers of looking at networks."""

from msgspec import Struct


class ReachRequest(Struct, kw_only=True):
    """Whether a packet arrives."""

    Source: str = ""
    """A container, where the origin is one."""
    Origin: str = "container"
    """`container`, `host` or `lan`."""
    Target: str = ""
    Port: int = 0
    Protocol: str = "tcp"
    Static: bool = False


class HopAnswer(Struct, kw_only=True):
    """One thing that a packet depends on."""

    Place: str
    Sentence: str
    Standing: str
    """`holds`, `fails` or `unknown`."""


class ReachAnswer(Struct, kw_only=True):
    """Whether it arrives, hop by hop, and the smallest fix."""

    Source: str
    Target: str
    Address: str
    Port: int
    Protocol: str
    Verdict: str
    """`reachable`, `by-address-only`, `blocked` or `unknown`."""
    Hops: list[HopAnswer]
    Fixes: list[str]


class MappedNetwork(Struct, kw_only=True):
    """A network on the map."""

    Id: str
    Name: str
    Driver: str
    Subnets: list[str]
    Internal: bool
    Options: dict[str, str]


class MappedEndpoint(Struct, kw_only=True):
    """Where a container is on a network."""

    Network: str
    Interface: str
    Addresses: list[str]
    IsWayOut: bool


class MappedContainer(Struct, kw_only=True):
    """A container on the map."""

    Id: str
    Name: str
    Image: str
    State: str
    SharesNetworkOf: str
    """The id of the container whose network it has; empty: its own, or the host's."""
    Endpoints: list[MappedEndpoint]
    Published: list[str]
    """As `docker port` writes them: `80/tcp -> 0.0.0.0:8080`."""
    Volumes: list[str]


class MapAnswer(Struct, kw_only=True):
    """Everything that is connected, and how."""

    Host: str
    Networks: list[MappedNetwork]
    Containers: list[MappedContainer]
