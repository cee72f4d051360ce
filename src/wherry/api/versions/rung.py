"""What a rung of the ladder is made of."""

from collections.abc import Callable, Mapping
from typing import Any

from wherry.kit.values import dataclass, field
from wherry.wire.versions import ApiVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Behaviour that depends on the version."""

    names_multiplexed_streams: bool = True
    """Framed streams have a content type of their own."""
    stop_takes_signal: bool = True
    chooses_web_socket_streams: bool = True
    """Else attaching by WebSocket is to all three streams."""
    sends_binary_messages: bool = True
    """Else a WebSocket's output comes as text."""
    prunes_named_volumes: bool = False
    """A prune that says nothing of it takes volumes that somebody named, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """The differences that clients of `version` and older see."""

    version: ApiVersion
    downgrade_response: Mapping[str, Callable[[Any], None]] = field(default_factory=dict)
    """Endpoint, such as `GET /info`, to a function that changes its answer in place."""
    downgrade_traits: Callable[[Traits], Traits] = lambda traits: traits
