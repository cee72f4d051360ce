"""Texts with mistakes by chance: what a parser is not to fall over."""

import random
from collections.abc import Sequence


def mutated(
    dice: random.Random, text: bytes, marks: Sequence[bytes] = (), *, most_changes: int = 5
) -> bytes:
    """A text with some bytes changed, parts cut out or doubled, and marks put in."""
    changed = bytearray(text)
    for _change in range(dice.randrange(1, most_changes + 1)):
        place = dice.randrange(len(changed) or 1)
        match dice.randrange(4 if marks else 3):
            case 0:
                changed[place : place + 1] = bytes([dice.randrange(256)])
            case 1:
                del changed[place : place + dice.randrange(1, 20)]
            case 2:
                changed[place:place] = changed[place : place + dice.randrange(1, 60)]
            case _:
                changed[place:place] = dice.choice(marks)
    return bytes(changed)
