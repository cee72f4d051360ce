"""Results of steps in images: what `--cache-from` finds there, and `type=inline` leaves.

An image's history says of each step what it did, with the digest of what it copied, and which
layer came of it. So every image is a cache of its own build: where an image begins with the very
history and layers that a build has so far, its next line may be the step that comes next, and its
next layer is that step's result.
"""

from collections.abc import Sequence

from wherry.builder.cache.format import moment_ns
from wherry.images import BuildState, LayerBlob
from wherry.kit.values import dataclass


@dataclass(frozen=True, slots=True)
class FoundStep:
    """What a step made when an image was built."""

    layer: LayerBlob | None
    created_at_ns: int


class CacheImages:
    """The images that steps are looked for in."""

    def __init__(self, states: Sequence[BuildState]) -> None:
        self._states = states

    def find(self, below: BuildState, told: str) -> FoundStep | None:
        """The result of a step by its line of the history, on what is below."""
        history = below.document.history
        for state in self._states:
            lines = state.document.history
            if len(lines) <= len(history) or lines[: len(history)] != history:
                continue
            if state.document.diff_ids[: len(below.layers)] != below.document.diff_ids:
                continue
            line = lines[len(history)]
            if line.created_by != told or len(state.layers) < len(below.layers) + (
                not line.empty_layer
            ):
                continue
            layer = None if line.empty_layer else state.layers[len(below.layers)]
            try:
                return FoundStep(layer, moment_ns(line.created))
            except ValueError:
                continue  # It does not say when it was made, so its image can't be made again.
        return None
