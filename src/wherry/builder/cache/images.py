"""Results of steps in images: what `--cache-from` finds there, and `type=inline` leaves.

Each line of the history of an image that was built here carries the key of its step, and says
whether a layer came of it. So every image is a cache of its own build. Only one that is to be the
same wherever it is built (SOURCE_DATE_EPOCH) has no keys.
"""

import contextlib
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

    def find(self, key: str) -> FoundStep | None:
        """The result of a step."""
        for state in self._states:
            layers = iter(state.layers)
            for line in state.document.history:
                layer = None if line.empty_layer else next(layers, None)
                if line.step_key != key or (layer is None and not line.empty_layer):
                    continue
                with contextlib.suppress(ValueError):
                    # One that does not say when it was made can't be made again.
                    return FoundStep(layer, moment_ns(line.created))
        return None
