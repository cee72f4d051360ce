"""What layers carry and the result does not show: files that a step above has written again, or
removed. Whoever pulls the image gets them all the same.
"""

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO

from wherry.kit.values import dataclass, field
from wherry.model.builds import ResultMeasured
from wherry.snapshots import DIRECTORY, REGULAR, TarReader, decompressed

_REMOVED, _OPAQUE = b".wh.", b".wh..wh..opq"


@dataclass(slots=True)
class Cover:
    """What layers above hide of those below."""

    paths: set[bytes] = field(default_factory=set)
    """With all that is below them: files, and what was removed."""
    contents: set[bytes] = field(default_factory=set)
    """Directories whose contents are hidden, and which are there themselves."""

    def hides(self, path: bytes) -> bool:
        """Whether a file of a layer below is not seen."""
        return path in self.paths or any(
            each in self.paths or each in self.contents for each in _above(path)
        )

    def add(self, other: "Cover") -> None:
        """One layer more is above."""
        self.paths |= other.paths
        self.contents |= other.contents


def hidden_bytes(layers: Sequence[Callable[[], BinaryIO]]) -> Sequence[int]:
    """Of each layer, from the bottom, the bytes of files that are not seen; blocks.

    `layers`: opens each one's tar, compressed or not. Raises: ArchiveRefused, StateUnreadable.
    """
    cover, hidden = Cover(), list[int]()
    for opened in reversed(layers):
        own, total = Cover(), 0
        with opened() as packed:
            for entry in TarReader(decompressed(packed)[1]):
                path = posixpath.normpath(entry.path)
                parent, name = posixpath.split(path)
                if name == _OPAQUE:
                    own.contents.add(parent)
                elif name.startswith(_REMOVED):
                    own.paths.add(posixpath.join(parent, name.removeprefix(_REMOVED)))
                elif entry.kind != DIRECTORY:
                    own.paths.add(path)
                    if entry.kind == REGULAR and cover.hides(path):
                        total += entry.size
        hidden.append(total)
        cover.add(own)
    return hidden[::-1]


def wasted(hidden: Sequence[int], heights: Mapping[int, int], base_height: int) -> ResultMeasured:
    """Whose bytes are hidden.

    `heights`: by the number of each step, the last one first, the layers below with its own. Of
    several steps of one height the first has added the layer.
    """
    owners = {height - 1: step for step, height in heights.items()}
    steps = {owners[place]: count for place, count in enumerate(hidden) if place >= base_height}
    return ResultMeasured(
        steps={step: count for step, count in steps.items() if count},
        base_bytes=sum(hidden[:base_height]),
    )


def _above(path: bytes) -> Iterator[bytes]:
    """The directories that a path is in."""
    while path := posixpath.dirname(path):
        yield path
