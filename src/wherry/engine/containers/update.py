"""Changing what a container may use: at once where it runs, and for every start to come.

An update is a plan: the files whose values differ between the old limits and the new, each
written by an operation that can be undone, so that a kernel that refuses the third of four
leaves the container as it was. The journal is kept beside that of the start.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wherry.engine.containers.cgroups import cgroup_directories
from wherry.engine.containers.publishing import PublishedPorts
from wherry.engine.events import EventLog
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import KeyedLock, OffloadPool, UndoStack
from wherry.kit.values import replace
from wherry.linux.cgroups import CgroupLayout
from wherry.model.containers import Container, RestartMode, RestartPolicy
from wherry.model.errors import StepFailed
from wherry.model.errors.containers import UpdateRefused
from wherry.model.ids import ContainerId
from wherry.model.lifecycle import ContainerState
from wherry.model.limits import Limits
from wherry.model.updates import ContainerChanges, changed_limits
from wherry.oci.runtime_spec import Resources
from wherry.operations.journal_files import read_journal, write_journal
from wherry.operations.plan import Hands, Journal, OperationFailed, Plan, execute, undo
from wherry.operations.processes.cgroup_changes import ChangeCgroupFile, latest
from wherry.specgen import HostFacts, admitted, find_block_devices, limit_resources

if TYPE_CHECKING:
    from wherry.runtime.cgroup_settings import Setting

_FIRST_WHEN_RAISED = ("memory.memsw.limit_in_bytes",)
"""Memory may never exceed memory and swap together: the sum grows first, and shrinks last."""


class UpdateContainer:
    """The verb `update`."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        locks: KeyedLock,
        events: EventLog,
        paths: ContainerPaths,
        host: HostFacts,
        layout: CgroupLayout,
        ports: PublishedPorts,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._locks = locks
        self._events = events
        self._paths = paths
        self._host = host
        self._layout = layout
        self._ports = ports
        self._offload = offload

    async def __call__(self, reference: str, changes: ContainerChanges) -> tuple[str, ...]:
        """Change limits, the restart policy and published ports; the warnings.

        Raises: ContainerNotFound, InvalidValue, UpdateRefused for what contradicts the limits
        that are there, StepFailed when the kernel refuses a value, PortInUse.
        """
        container_id = self._records.find(reference).id
        admission = admitted(changes.limits, self._host, is_update=True)
        wish = replace(changes, limits=admission.limits)
        async with self._locks.held(container_id), UndoStack() as undone:
            before = self._records.find(container_id)
            after = _updated(before, wish)
            if before.is_alive and after.spec.limits != before.spec.limits:
                journal = await self._offload(self._apply, before, after)
                undone.push(self._offload, undo, journal, Hands())
            after = await self._ports.changed(after, changes, undone)
            await self._records.replace(after)
            undone.keep()
        self._events.container("update", after)
        return admission.warnings

    def _apply(self, before: Container, after: Container) -> Journal:
        """Write what differs. Raises: StepFailed, with everything as it was; InvalidValue."""
        plan = self._plan(before, after)
        done: Journal = []
        try:
            execute(plan, Hands(), done)
        except OperationFailed as failure:
            raise StepFailed(f"Cannot update container {before.id}", str(failure)) from failure
        self._keep(before.id, done)
        return done

    def _plan(self, before: Container, after: Container) -> Plan:
        old = self._settings(before.spec.limits)
        known = {_file(each): each for each in old}
        new = self._settings(after.spec.limits, was=before.spec.limits)
        directories = cgroup_directories(before, self._layout)
        changed = [each for each in new if known.get(_file(each)) != each]
        if _raises_swap(before.spec.limits, after.spec.limits):
            changed.sort(key=lambda each: each.file not in _FIRST_WHEN_RAISED)
        return tuple(
            operation
            for each in changed
            if each.controller in directories
            for operation in _change(each, directories[each.controller])
        )

    def _settings(self, limits: Limits, was: Limits | None = None) -> "list[Setting]":
        from wherry.runtime.limits import limit_settings  # Loaded for who updates.

        resources = limit_resources(limits, self._host, find_block_devices(limits))
        return list(limit_settings(_with_lifted(resources, limits, was), self._layout))

    def _keep(self, container_id: ContainerId, done: Journal) -> None:
        path = self._paths.update_journal(container_id)
        write_journal(path, latest([*(read_journal(path) or []), *done]))


def _updated(container: Container, wish: ContainerChanges) -> Container:
    if container.status.state in (ContainerState.REMOVING, ContainerState.DEAD):
        raise UpdateRefused(container.id, 'container is marked for removal and cannot be "update"')
    problem, limits = changed_limits(container.spec.limits, wish)
    if problem:
        raise UpdateRefused(container.id, problem)
    spec = replace(container.spec, limits=limits, restart=_restart(container, wish.restart))
    return replace(container, spec=spec)


def _restart(container: Container, wish: RestartPolicy | None) -> RestartPolicy:
    if wish is None:
        return container.spec.restart
    if container.spec.removes_itself and wish.mode is not RestartMode.NO:
        raise UpdateRefused(
            container.id,
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        )
    return wish


def _with_lifted(resources: Resources, limits: Limits, was: Limits | None) -> Resources:
    """A limit that is no longer there must be said, or the old one would stay."""
    if was is not None and (was.pids or 0) > 0 and not limits.pids:
        return replace(resources, pids_limit=-1)
    return resources


def _raises_swap(before: Limits, after: Limits) -> bool:
    def most(limits: Limits) -> float:
        swap = limits.memory_swap_bytes or 2 * limits.memory_bytes
        return float("inf") if swap <= 0 else swap

    return most(after) > most(before)


def _change(setting: "Setting", directory: str) -> Iterator[ChangeCgroupFile]:
    """The operation of a setting; none where the kernel lacks a file that it may lack."""
    file, value = setting.file, setting.value
    if not os.path.exists(f"{directory}/{file}"):
        if setting.otherwise:
            file, value = setting.otherwise
        elif setting.is_optional:
            return
    yield ChangeCgroupFile(
        path=f"{directory}/{file}", value=value, why=f"docker update {setting.why}"
    )


def _file(setting: "Setting") -> tuple[str, str]:
    """Which line of which file a setting is."""
    device, blank, _ = setting.value.partition(" ")
    return setting.file, device if blank and ":" in device else ""
