"""Whether a packet arrives, and why not: the question, what was seen, the answer."""

from enum import Enum

from wherry.kit.values import dataclass
from wherry.model.networks import EndpointStatus, PublishedPort


class Origin(Enum):
    """Where a packet comes from."""

    CONTAINER = "container"
    HOST = "host"
    LAN = "lan"
    """Another machine that reaches this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachQuestion:
    """What a user wants to know."""

    target: str
    """A container, as its user or its neighbours call it."""
    port: int
    protocol: str = "tcp"
    origin: Origin = Origin.CONTAINER
    source: str = ""
    """The container that asks, where the origin is one."""
    is_static: bool = False
    """Only look: send no packet."""


# -- what was seen ---------------------------------------------------------------------------


class Isolation(Enum):
    """Whose network namespace a container is in."""

    OWN = "own"
    HOST = "host"
    NOTHING = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One end of the way."""

    name: str
    state: str
    is_alive: bool
    is_paused: bool = False
    isolation: Isolation = Isolation.OWN
    namespace_path: str = ""
    """Of its own network namespace, or of the container's that it shares; empty: the host's."""
    pid: int = 0
    endpoints: tuple[EndpointStatus, ...] = ()
    """Of whose namespace it is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameSeen:
    """What the asking container makes of a name."""

    name: str
    known_by: str = ""
    """`its hosts file` or `127.0.0.11`; empty: nobody."""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaySeen:
    """The kernel's route to an address."""

    interface: str = ""
    gateway: str = ""
    problem: str = ""
    """The kernel's words; empty: there is a route."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSeen:
    """An endpoint's veth pair as the kernel has it."""

    name: str
    bridge: str
    problem: str = ""
    is_isolated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSeen:
    """A socket that takes connections."""

    address: str
    port: int
    program: str = ""


class ProbeOutcome(Enum):
    """What became of a packet that was sent."""

    CONNECTED = "connected"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    FORBIDDEN = "forbidden"
    """The source's own packet filter did not let it out."""
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSeen:
    """A packet that was sent, and the rule of the host's packet filter that dropped it."""

    outcome: ProbeOutcome
    dropped_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachFacts:
    """All that was looked at; what makes no sense after an earlier finding is None or empty."""

    question: ReachQuestion
    source: Party | None
    """None for another machine."""
    target: Party
    address: str = ""
    """Where the target is, as seen from the source."""
    shared_network: str = ""
    crosses: str = ""
    """Without a shared network: what lets a packet from another one in."""
    name: NameSeen | None = None
    way: WaySeen | None = None
    links: tuple[LinkSeen, ...] = ()
    has_address: bool = True
    """Whether the target's namespace really has the address."""
    may_meet: bool = True
    """Whether containers of the shared network may talk (`enable_icc`)."""
    listeners: tuple[ListenerSeen, ...] = ()
    published: tuple[PublishedPort, ...] = ()
    """Host ports that lead to the port."""
    is_published_in_kernel: bool = True
    is_open_network: bool = False
    """Whether other machines may reach every port (gateway mode nat-unprotected)."""
    barriers: tuple[str, ...] = ()
    """Chains of others that drop what no rule of theirs allows."""
    user_networks_of_source: tuple[str, ...] = ()
    user_networks_of_target: tuple[str, ...] = ()
    probe: ProbeSeen | None = None


# -- the answer ------------------------------------------------------------------------------


class Standing(Enum):
    """Whether a packet gets past a hop."""

    HOLDS = "holds"
    FAILS = "fails"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One thing that a packet depends on."""

    place: str
    sentence: str
    standing: Standing = Standing.HOLDS


class ReachVerdict(Enum):
    """The whole answer."""

    REACHES = "reachable"
    BY_ADDRESS_ONLY = "by-address-only"
    """It does, but not under the name that was asked."""
    BLOCKED = "blocked"
    UNKNOWN = "unknown"
    """Nothing that was looked at is against it, and no packet was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The answer, hop by hop; after the first that fails there are no others."""

    question: ReachQuestion
    source: str
    target: str
    address: str
    verdict: ReachVerdict
    hops: tuple[Hop, ...]
    fixes: tuple[str, ...] = ()
    """Command lines, or a sentence where none helps: the smallest thing that makes it work."""
