"""Putting a container together: snapshot, network, OCI configuration, shim.

Each part is pushed on the caller's UndoStack as soon as it stands.
"""

import contextlib
import hashlib
import os
import shutil
import threading
from contextlib import suppress

from wherry.engine.containers.confinement import AppArmorProfiles
from wherry.engine.containers.links import followers, linked
from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.log_feeding import log_target
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.engine.runtimes import RuntimeTable
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.atomic_files import write_atomically
from wherry.kit.values import dataclass, field, replace
from wherry.linux.id_maps import IdMap
from wherry.model.containers import BindMount, Container, NetworkSpec
from wherry.model.errors import WherryError
from wherry.model.errors.containers import IpcNotShareable, JoinedContainerNotRunning
from wherry.model.errors.networks import NetworkingFailed
from wherry.model.ids import ContainerId, SnapshotKey
from wherry.model.networks import NetworkModeKind
from wherry.networks import HOST_GATEWAY, AttachRequest, Networks, Sandbox, rename_host
from wherry.oci.runtime_spec import Seccomp
from wherry.operations.journal_files import write_journal
from wherry.operations.plan import journal_of
from wherry.snapshots import Snapshots
from wherry.specgen import (
    CGROUP_PARENT,
    HostFacts,
    JoinedPaths,
    SandboxPaths,
    compiled_seccomp,
    find_devices,
    is_remapped,
    runtime_spec,
)
from wherry.tasks import SpawnRequest, Task, Tasks


class SeccompPrograms:
    """Compiled system call filters as files that shims read, one for each distinct filter."""

    def __init__(self, paths: ContainerPaths) -> None:
        self._paths = paths
        self._written: set[str] = set()
        self._writing = threading.Lock()

    def path_of(self, profile: Seccomp | None) -> str:
        """The file of a profile's program; empty for no profile. Blocking."""
        if profile is None:
            return ""
        program = compiled_seccomp(profile)
        digest = hashlib.sha256(program).hexdigest()
        path = self._paths.seccomp_program(digest)
        with self._writing:  # Several starts may want the same new one.
            if digest not in self._written:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                write_atomically(path, program)
                self._written.add(digest)
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDefaults:
    """What the engine's settings say at each start where the container says nothing."""

    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    host_gateway: str = ""
    """The address behind `host-gateway`; empty: the gateway of the default bridge."""
    cgroup_parent: str = ""
    """Empty: Wherry's own."""
    runtimes: RuntimeTable = field(default_factory=RuntimeTable)

    def completed(self, wish: NetworkSpec) -> NetworkSpec:
        """The wish, completed."""
        hosts = wish.extra_hosts
        if self.host_gateway:
            hosts = tuple(
                f"{each.removesuffix(HOST_GATEWAY)}{self.host_gateway}"
                if each.endswith(f":{HOST_GATEWAY}")
                else each
                for each in hosts
            )
        return replace(
            wish,
            dns=wish.dns or self.dns,
            dns_options=wish.dns_options or self.dns_options,
            dns_search=wish.dns_search or self.dns_search,
            extra_hosts=hosts,
        )


class ContainerAssembly:
    """Makes what a start needs, up to a parked init."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        live: LiveContainers,
        snapshots: Snapshots,
        networks: Networks,
        tasks: Tasks,
        volumes: ContainerVolumes,
        seccomp: SeccompPrograms,
        apparmor: AppArmorProfiles,
        paths: ContainerPaths,
        host: HostFacts,
        init_binary: str,
        defaults: StartDefaults,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._live = live
        self._snapshots = snapshots
        self._networks = networks
        self._tasks = tasks
        self._volumes = volumes
        self._paths = paths
        self._host = host
        self._init_binary = init_binary
        self._defaults = defaults
        self._offload = offload
        self._seccomp = seccomp
        self._apparmor = apparmor

    def use_defaults(self, defaults: StartDefaults) -> None:
        """From now on; containers that run keep what they were started with."""
        self._defaults = defaults

    async def assemble(self, container: Container, undo: UndoStack) -> tuple[Task, Sandbox]:
        """Everything up to the moment before execve.

        Raises: StartFailed, CommandNotFound, CommandNotExecutable, UserNotFound,
        JoinedContainerNotRunning, LinkedContainerNotRunning, NetworkingFailed, VolumeNotFound,
        InvalidRequest kinds.
        """
        container = linked(await self._volumes.hold(container, undo), self._records)
        undo.push(self._networks.detach, container.id)
        wish = self.attach_request(container)
        try:
            sandbox = await self._networks.attach(wish)
        except WherryError as error:
            await self._offload(self._keep_failed_connection, container.id, error)
            raise NetworkingFailed(error) from error
        undo.push(self._offload, self.erase_bundle, container.id)
        request = await self._offload(self._spawn_request, container, sandbox)
        task = await self._tasks.spawn(request)
        undo.push(task.discard)
        return task, sandbox

    async def follow_links(self, target: Container) -> None:
        """Tell the containers that are linked to one where it is now."""
        for container, names, address in followers(target, self._records.all()):
            sandbox = self._live.sandbox(container.id)
            if sandbox is not None and address:
                await self._offload(rename_host, sandbox.hosts_path, names, address)

    def erase_bundle(self, container_id: ContainerId) -> None:
        """Remove the bundle of a container that ended. Blocking."""
        shutil.rmtree(self._paths.bundle(container_id), ignore_errors=True)

    # -- steps -------------------------------------------------------------------------------

    def _keep_failed_connection(self, container_id: ContainerId, error: BaseException) -> None:
        """Have `explain` tell of this start, as far as it came, and not of an earlier one."""
        write_journal(self._paths.network_journal(container_id), journal_of(error))
        self._forget_earlier_start(container_id)

    def _forget_earlier_start(self, container_id: ContainerId) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._paths.journal(container_id))

    def attach_request(self, container: Container) -> AttachRequest:
        """The container as networks know it. Raises: JoinedContainerNotRunning."""
        mode = container.spec.network.mode
        joined: Sandbox | None = None
        if mode.kind is NetworkModeKind.CONTAINER:
            other = self._records.find(mode.reference)
            joined = self._live.sandbox(other.id)
            if joined is None:
                raise JoinedContainerNotRunning(other.id)
        return replace(self.restore_request(container), joined=joined)

    def restore_request(self, container: Container) -> AttachRequest:
        """The same for one that runs already, in whichever namespace."""
        return AttachRequest(
            container_id=container.id,
            container_name=container.name,
            hostname=container.spec.hostname,
            domainname=container.spec.domainname,
            network=self._defaults.completed(container.spec.network),
            files_directory=self._paths.record_directory(container.id),
            id_maps=self._id_maps(container),
        )

    def _id_maps(self, container: Container) -> tuple[IdMap, IdMap]:
        ids = self._host.remapped
        if ids is None or not is_remapped(container.spec, ids):
            return (), ()
        users, groups = (
            tuple((each.container_id, each.host_id, each.size) for each in mappings)
            for mappings in (ids.uids, ids.gids)
        )
        return users, groups

    def _spawn_request(self, container: Container, sandbox: Sandbox) -> SpawnRequest:
        make_missing_bind_sources(container)
        bundle = self._paths.bundle(container.id)
        os.makedirs(bundle, mode=0o700, exist_ok=True)
        write_journal(self._paths.network_journal(container.id), sandbox.journal)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._paths.update_journal(container.id))
        self._forget_earlier_start(container.id)
        spec = runtime_spec(
            _with_environment_files(container),
            host=self._host,
            sandbox=sandbox_paths(sandbox),
            joined=self._joined_paths(container),
            devices=find_devices(container.spec),
            cgroup_parent=self._defaults.cgroup_parent or CGROUP_PARENT,
        )
        self._apparmor.ensure(spec.process.apparmor_profile)
        return SpawnRequest(
            container_id=container.id,
            bundle=bundle,
            record_directory=self._paths.record_directory(container.id),
            spec=spec,
            rootfs=replace(
                self._snapshots.rootfs(SnapshotKey(container.id)),
                maps_owners=bool(spec.linux.uid_mappings),
            ),
            user=container.spec.user,
            group_add=container.spec.security.group_add,
            seccomp_program=self._seccomp.path_of(spec.linux.seccomp),
            init_binary=self._init_binary if container.spec.runs_init else "",
            log=log_target(container, self._paths.log(container.id)),
            runtime=self._defaults.runtimes.choice(container.spec.runtime),
            opens_stdin=container.spec.terminal.opens_stdin,
            closes_stdin_after_first=container.spec.terminal.closes_stdin_after_first,
        )

    def _joined_paths(self, container: Container) -> JoinedPaths:
        """Where the namespaces are that the container shares with others."""
        namespaces = container.spec.namespaces
        ipc = self._process_of(namespaces.ipc)
        if ipc:
            self._require_shareable(namespaces.ipc)
        pid = self._process_of(namespaces.pid)
        return JoinedPaths(
            pid=f"{pid}/ns/pid" if pid else "",
            ipc=f"{ipc}/ns/ipc" if ipc else "",
            shm=f"{ipc}/root/dev/shm" if ipc else "",
        )

    def _require_shareable(self, mode: str) -> None:
        donor = self._records.find(mode.partition(":")[2])
        if donor.spec.namespaces.ipc in ("private", "none"):
            raise IpcNotShareable(donor.id)

    def _process_of(self, mode: str) -> str:
        """The /proc directory of the container that `container:ID` names; else empty."""
        kind, _separator, reference = mode.partition(":")
        if kind != "container":
            return ""
        other = self._records.find(reference)
        if not other.is_alive:
            raise JoinedContainerNotRunning(other.id)
        return f"/proc/{other.status.pid}"


def sandbox_paths(sandbox: Sandbox) -> SandboxPaths:
    """What the OCI configuration must know of a sandbox."""
    return SandboxPaths(
        namespace_path=sandbox.namespace_path,
        hosts=sandbox.hosts_path,
        resolv_conf=sandbox.resolv_conf_path,
        hostname=sandbox.hostname_path,
    )


def _with_environment_files(container: Container) -> Container:
    """The container with the values of variables that stand in files; it is never recorded."""
    if not container.spec.environment_files:
        return container
    read = []
    for name, path in container.spec.environment_files.items():
        with open(path, "rb") as file:
            read.append(f"{name}={file.read().decode(errors='surrogateescape')}")
    spec = replace(container.spec, environment=(*container.spec.environment, *read))
    return replace(container, spec=spec)


def make_missing_bind_sources(container: Container) -> None:
    """`-v /missing:/x` makes a directory on the host, as Docker does."""
    for mount in container.spec.mounts:
        if not isinstance(mount, BindMount) or not mount.creates_source:
            continue
        if not os.path.exists(mount.source):
            os.makedirs(mount.source, mode=0o755, exist_ok=True)
