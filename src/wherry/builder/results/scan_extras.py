"""What a scanner looks at beside a result, as the Dockerfile's arguments say.

    ARG BUILDKIT_SBOM_SCAN_STAGE=true      in a stage that the result needs: that stage
    ARG BUILDKIT_SBOM_SCAN_CONTEXT=true    in the result's own stage: the build context

Before the first FROM they are for all stages; instead of `true` they may name those that they are
for (`=one,two`). https://docs.docker.com/build/metadata/attestations/sbom/
"""

from collections.abc import Mapping

from wherry.builder.planning import SCAN_CONTEXT, SCAN_STAGE
from wherry.builder.states import Built
from wherry.images import BuildState
from wherry.kit.values import dataclass, field

_SAID = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
"""A switch, as Go reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanExtras:
    """What is scanned beside one result."""

    stages: Mapping[str, BuildState] = field(default_factory=dict)
    has_context: bool = False


def scan_extras(name: str, target: Built, others: Mapping[str, Built]) -> ScanExtras:
    """What is scanned beside the last step of the stage `name`, which needs `others`."""
    stages = {
        other: built.state
        for other, built in others.items()
        if _is_wanted(built, SCAN_STAGE, other)
    }
    return ScanExtras(stages=stages, has_context=_is_wanted(target, SCAN_CONTEXT, name))


def _is_wanted(built: Built, argument: str, stage: str) -> bool:
    text = built.arguments.get(argument, built.globals.get(argument, ""))
    said = _SAID.get(text)
    return stage in text.split(",") if said is None else said
