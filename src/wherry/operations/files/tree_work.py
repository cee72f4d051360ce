"""Bulk work on a tree of files: one operation, whatever its size.

The room that owns the tree brings the work itself; the value says what is done, takes it back,
and looks afterwards whether it still holds. A value that was read back from a journal has no
work in it: it can be described, checked and undone, never done again.
"""

from collections.abc import Callable
from typing import ClassVar

from wherry.kit.values import dataclass, field
from wherry.operations.plan import Argument, Aspect, Evidence, Hands, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeWork(Operation):
    """Work on a tree that the room which owns it performs."""

    aspect: ClassVar[Aspect] = Aspect.IMAGE

    work: Callable[[], Evidence] | None = field(default=None, compare=False, repr=False)

    def do(self, hands: Hands) -> Evidence:
        """Let the owner do its work; the evidence is its counts. Raises: what the work raises."""
        if self.work is None:
            raise TypeError(f"{self.kind} from a journal can't be done again")
        return self.work()

    def arguments(self) -> dict[str, Argument]:
        """The operands; the work is no part of the value."""
        # Not super(): a class made again with slots is another one than its methods know.
        operands = Operation.arguments(self)
        del operands["work"]
        return operands
