"""What a line of the table says."""

from collections.abc import Callable, Mapping
from typing import Any

from wherry.kit.values import dataclass
from wherry.model.errors import WherryError

Sentence = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a kind of failure is told."""

    status: int
    sentence: Sentence


Rules = Mapping[type[WherryError], Rule]
