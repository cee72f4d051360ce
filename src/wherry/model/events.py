"""What `docker events` tells: something happened to something."""

from collections.abc import Mapping

from wherry.kit.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of the event stream, in Docker's words for kinds and actions."""

    sequence: int
    """Strictly increasing; order survives clock jumps."""
    at_ns: int
    kind: str
    """`container`, `image`, `network`, `volume` or `daemon`."""
    action: str
    actor_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
