"""One container that is to be made: of which service, in whose place, for whom."""

from collections.abc import Mapping

from wherry.compose.observing import SeenContainer
from wherry.kit.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """One container to be made of a service."""

    service: str
    name: str
    number: int = 0
    """Its place among the service's containers; 0 for one of `run`."""
    replaces: SeenContainer | None = None
    keeps_volumes: bool = True
    """Whether anonymous volumes of the replaced one go on."""
    has_aliases: bool = True
    """Whether the service's name leads to it."""
    one_off: "OneOff | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOff:
    """What is different about a container of `run`."""

    slug: str
    attaches_stdin: bool
    is_removed: bool
    labels: Mapping[str, str] = field(default_factory=dict)
