"""Tools for asyncio: undo, keyed locks, and the one bridge to blocking work.

Never imported by a thin room.
"""

from wherry.kit.aio.background import own_task
from wherry.kit.aio.closing import closed_after
from wherry.kit.aio.from_thread import BlockingWriter, in_thread, written_in_thread
from wherry.kit.aio.groups import first_failure
from wherry.kit.aio.into_thread import BlockingReader
from wherry.kit.aio.locks import KeyedLock
from wherry.kit.aio.offload import OffloadPool
from wherry.kit.aio.undo import UndoStack

__all__ = [
    "BlockingReader",
    "BlockingWriter",
    "KeyedLock",
    "OffloadPool",
    "UndoStack",
    "closed_after",
    "first_failure",
    "in_thread",
    "own_task",
    "written_in_thread",
]
