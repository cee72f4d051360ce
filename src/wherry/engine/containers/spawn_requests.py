"""What a shim is told of a container: its specification, its root, where it logs."""

import os

from wherry.engine.containers.confinement import AppArmorProfiles
from wherry.engine.containers.log_feeding import log_target
from wherry.engine.containers.seccomp_programs import SeccompPrograms
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.engine.runtimes import RuntimeTable
from wherry.kit.values import dataclass, field, replace
from wherry.model.containers import BindMount, Container
from wherry.model.errors.containers import IpcNotShareable, JoinedContainerNotRunning
from wherry.model.ids import SnapshotKey
from wherry.networks import Sandbox
from wherry.snapshots import Snapshots
from wherry.specgen import (
    CGROUP_PARENT,
    HostFacts,
    JoinedPaths,
    SandboxPaths,
    find_devices,
    runtime_spec,
)
from wherry.tasks import SpawnRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeDefaults:
    """What the engine's settings say at each start."""

    cgroup_parent: str = ""
    """Of a container that says nothing; empty: Wherry's own."""
    runtimes: RuntimeTable = field(default_factory=RuntimeTable)


class SpawnRequests:
    """Makes them. Blocking: files are read and written on the way."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        snapshots: Snapshots,
        seccomp: SeccompPrograms,
        apparmor: AppArmorProfiles,
        paths: ContainerPaths,
        host: HostFacts,
        init_binary: str,
        defaults: RuntimeDefaults,
    ) -> None:
        """`init_binary` is what reaps in containers that asked for it."""
        self._records = records
        self._snapshots = snapshots
        self._seccomp = seccomp
        self._apparmor = apparmor
        self._paths = paths
        self._host = host
        self._init_binary = init_binary
        self._defaults = defaults

    def use(self, defaults: RuntimeDefaults) -> None:
        """From now on; containers that run keep what they were started with."""
        self._defaults = defaults

    def of(self, container: Container, sandbox: Sandbox) -> SpawnRequest:
        """The container in its sandbox.

        Raises: JoinedContainerNotRunning, IpcNotShareable, StartFailed, OSError, and what
        `runtime_spec` raises.
        """
        _make_missing_bind_sources(container)
        spec = runtime_spec(
            _with_environment_files(container),
            host=self._host,
            sandbox=_sandbox_paths(sandbox),
            joined=self._joined_paths(container),
            devices=find_devices(container.spec),
            cgroup_parent=self._defaults.cgroup_parent or CGROUP_PARENT,
        )
        self._apparmor.ensure(spec.process.apparmor_profile)
        return SpawnRequest(
            container_id=container.id,
            bundle=self._paths.bundle(container.id),
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


def _sandbox_paths(sandbox: Sandbox) -> SandboxPaths:
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


def _make_missing_bind_sources(container: Container) -> None:
    """`-v /missing:/x` makes a directory on the host, as Docker does."""
    for mount in container.spec.mounts:
        if not isinstance(mount, BindMount) or not mount.creates_source:
            continue
        if not os.path.exists(mount.source):
            os.makedirs(mount.source, mode=0o755, exist_ok=True)
