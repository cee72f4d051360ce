"""The daemon's side of shims: containers' processes as objects that one can await.

I own: the spawner's life, one connection per task, attached streams, the waiters for each end,
taking over after a restart of the daemon, and clearing up after a shim that was killed.
I never: know an image, a network or a container's record; block the event loop; run a thread
per container.
On disk I leave: `config.json` in each bundle; the shims leave the rest (see `shim`).
Called by: engine, builder; networks, for its jobs in namespaces.
Lock order: none is held across an await of another component.
"""

from wherry.logs.options import LogTarget
from wherry.shim.protocol import ForeignRuntimeChoice, LogOrder, ViewMount
from wherry.tasks.feeder import LogFeeder
from wherry.tasks.following import follow_log, read_log
from wherry.tasks.requests import ExecRequest, SpawnRequest
from wherry.tasks.service import Tasks
from wherry.tasks.stream import TaskStream
from wherry.tasks.task import Task

__all__ = [
    "ExecRequest",
    "ForeignRuntimeChoice",
    "LogFeeder",
    "LogOrder",
    "LogTarget",
    "SpawnRequest",
    "Task",
    "TaskStream",
    "Tasks",
    "ViewMount",
    "follow_log",
    "read_log",
]
