"""What a process keeps in memory, once it has imported everything and is going to be long idle.

glibc gives each thread an arena of its own and keeps in each what was freed (mallopt(3)). Threads
of Python take turns, so they need one arena. Reading modules or layers leaves holes between what
stays; `malloc_trim(3)` gives their pages back. Both together are 4 MiB of an idle daemon, and
2 MiB more when it has made an image.
"""

import ctypes
import gc

_M_ARENA_MAX = -8
"""malloc.h."""

_libc = ctypes.CDLL(None)


def share_one_arena() -> None:
    """Let all threads allocate from the same arena; for before there are threads."""
    _libc.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return the pages that hold nothing; after work that moved much. Takes about 1 ms."""
    _libc.malloc_trim(0)


def settle() -> None:
    """Take what exists now for good: never look at it for garbage, give back what is free.

    Not looking at objects also keeps their pages shared with processes that are forked.
    """
    gc.collect()
    gc.freeze()
    give_back()
