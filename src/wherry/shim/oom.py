"""A container's memory limit: being told when it runs into it, and whether the kernel killed."""

import os
from collections.abc import Callable
from contextlib import suppress

from wherry.kit.event_loop import PRIORITY, READ, EventLoop
from wherry.linux import cgroups


class MemoryLimit:
    """The limit of one container, as whoever supervises it needs it."""

    def __init__(
        self, loop: EventLoop, directory: str, limit: int | None, on_oom: Callable[[], None]
    ) -> None:
        """`directory` is `memory_directory`'s; a limit that is None or not positive is none."""
        self.directory = directory
        self.limit = limit
        self._watch: OomWatch | None = None
        if directory and limit and limit > 0:
            with suppress(OSError):  # Then nobody is told; `has_killed` is known all the same.
                self._watch = OomWatch(loop, directory, on_oom)

    @property
    def is_watched(self) -> bool:
        """Whether there is something to be told of."""
        return self._watch is not None

    def end(self) -> bool:
        """Stop watching, while the cgroup is there; whether the kernel has killed for it."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        return count_kills(self.directory) > 0


def memory_directory(cgroup_directories: tuple[str, ...]) -> str:
    """The container's cgroup that accounts its memory; empty when there is none."""
    for directory in cgroup_directories:
        for file in ("memory.oom_control", "memory.events"):
            if os.path.exists(f"{directory}/{file}"):
                return directory
    return ""


def count_kills(directory: str) -> int:
    """How many processes the kernel killed there for want of memory; 0 when it can't be read."""
    if not directory:
        return 0
    try:
        return cgroups.oom_kills(directory)
    except (OSError, ValueError):
        return 0


class OomWatch:
    """Calls back whenever the memory cgroup runs out.

    Version 1 signals an eventfd that is registered in `cgroup.event_control` (cgroup-v1
    memory.rst, "OOM Control"); version 2 makes `memory.events` ready for POLLPRI when one of
    its counters changes (cgroup-v2.rst).
    """

    def __init__(self, loop: EventLoop, directory: str, on_oom: Callable[[], None]) -> None:
        """Raises: OSError."""
        self._loop = loop
        self._directory = directory
        self._on_oom = on_oom
        self._seen = count_kills(directory)
        self._is_legacy = os.path.exists(f"{directory}/memory.oom_control")
        if self._is_legacy:
            self._descriptor = self._register_eventfd()
            loop.watch(self._descriptor, READ, self._on_event)
        else:
            self._descriptor = os.open(f"{directory}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
            loop.watch(self._descriptor, PRIORITY, self._on_change)

    def close(self) -> None:
        """Stop watching; before the cgroup is removed, which would look like an event."""
        self._loop.forget(self._descriptor)
        os.close(self._descriptor)

    def _register_eventfd(self) -> int:
        event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        control = os.open(f"{self._directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        registry = os.open(f"{self._directory}/cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(registry, f"{event} {control}".encode())
        finally:
            os.close(registry)
            os.close(control)
        return event

    def _on_event(self, _events: int) -> None:
        os.eventfd_read(self._descriptor)
        self._on_oom()

    def _on_change(self, _events: int) -> None:
        os.pread(self._descriptor, 4096, 0)
        kills = count_kills(self._directory)
        if kills > self._seen:
            self._seen = kills
            self._on_oom()
