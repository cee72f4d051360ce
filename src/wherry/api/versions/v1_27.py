"""1.27 and older: what a WebSocket showed of a container came as text."""

from wherry.api.versions.rung import Rung
from wherry.kit.values import replace
from wherry.wire.versions import ApiVersion

RUNG = Rung(
    version=ApiVersion(1, 27),
    downgrade_traits=lambda traits: replace(traits, sends_binary_messages=False),
)
