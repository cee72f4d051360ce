"""Who asks for something: the process at the other end of a connection."""

from contextvars import ContextVar

from wherry.kit.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What the kernel says of the other end (SO_PEERCRED, unix(7)), or where it is."""

    uid: int | None = None
    pid: int | None = None
    """As this process's pid namespace numbers it; 0 for one that it can't see."""
    program: str = ""
    """The path of what it runs, when it could be read."""
    address: str = ""
    """Of a connection from elsewhere."""


CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""Who asked for what this task does; None for what the engine does by itself."""
