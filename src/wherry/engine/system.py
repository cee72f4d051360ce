"""Facts of the engine and its host, for `info` and `version`."""

import asyncio
import os
import sys
from collections.abc import Mapping

from wherry.engine.events import EventLog
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.kit.clock import Clock
from wherry.kit.values import dataclass, field
from wherry.logs.options import DRIVERS
from wherry.model.lifecycle import ContainerState
from wherry.model.queries import EngineInfo
from wherry.plugins import LOG_DRIVER, NETWORK_DRIVER, PluginHost
from wherry.snapshots import Snapshots
from wherry.specgen import HostFacts
from wherry.store import Damages
from wherry.volumes import Volumes

_NETWORK_DRIVERS = ("bridge", "host", "ipvlan", "macvlan", "null", "overlay")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineIdentity:
    """What changes at most when the engine's settings are read again."""

    engine_id: str
    version: str
    git_commit: str
    build_time: str
    data_root: str
    log_driver: str
    labels: tuple[str, ...]
    is_debug: bool
    registry_mirrors: tuple[str, ...]
    insecure_registries: tuple[str, ...]
    init_path: str
    seccomp_profile: str = "builtin"
    """Of containers that name none: a path, `unconfined` or `builtin`."""
    no_new_privileges: bool = False
    default_runtime: str = "wherry"
    runtimes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    components: tuple[tuple[str, str], ...]
    is_experimental: bool = False
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""


class SystemQueries:
    """Answers about the engine as a whole."""

    def __init__(
        self,
        *,
        identity: EngineIdentity,
        records: ContainerRecords,
        images: ImageStore,
        snapshots: Snapshots,
        volumes: Volumes,
        plugins: PluginHost,
        damages: Damages,
        events: EventLog,
        host: HostFacts,
        clock: Clock,
    ) -> None:
        self._identity = identity
        self._records = records
        self._images = images
        self._snapshots = snapshots
        self._volumes = volumes
        self._plugins = plugins
        self._damages = damages
        self._events = events
        self._host = host
        self._clock = clock
        self._init_versions: dict[str, str] = {}

    def use_identity(self, identity: EngineIdentity) -> None:
        """The settings were read again."""
        self._identity = identity

    async def info(self) -> EngineInfo:
        """Read it all now."""
        identity = self._identity
        states = [each.status.state for each in self._records.all()]
        running = states.count(ContainerState.RUNNING)
        paused = states.count(ContainerState.PAUSED)
        limits = _limits()
        init_version = await self._init_version(identity.init_path)
        system = os.uname()
        release = _os_release()
        return EngineInfo(
            id=identity.engine_id,
            version=identity.version,
            git_commit=identity.git_commit,
            build_time=identity.build_time,
            host_name=system.nodename,
            operating_system=release.get("PRETTY_NAME", "Linux"),
            os_version=release.get("VERSION_ID", ""),
            kernel_version=system.release,
            architecture=system.machine,
            processors=len(os.sched_getaffinity(0)),
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            containers_running=running,
            containers_paused=paused,
            containers_stopped=len(states) - running - paused,
            images=len(self._images.list()),
            storage_driver=self._snapshots.name,
            storage_status=self._snapshots.status(),
            data_root=identity.data_root,
            log_driver=identity.log_driver,
            log_drivers=(*DRIVERS, *self._plugins.active(LOG_DRIVER)),
            volume_drivers=tuple(self._volumes.drivers()),
            network_drivers=(*_NETWORK_DRIVERS, *self._plugins.active(NETWORK_DRIVER)),
            cgroup_driver="cgroupfs",
            cgroup_version=str(self._host.cgroup_version),
            security_options=self._security_options(),
            default_runtime=identity.default_runtime,
            runtimes=identity.runtimes,
            labels=identity.labels,
            warnings=(
                *(f"WARNING: No {name} support" for name in _WARNED if not limits[_WARNED[name]]),
                *(f"WARNING: {each}" for each in self._damages.all()),
            ),
            is_debug=identity.is_debug,
            open_files=len(os.listdir("/proc/self/fd")),
            tasks=len(os.listdir("/proc/self/task")),
            event_listeners=self._events.listeners,
            system_time_ns=self._clock.now_ns(),
            limits=limits,
            registry_mirrors=identity.registry_mirrors,
            insecure_registries=identity.insecure_registries,
            components=(
                *identity.components,
                ("python", ".".join(map(str, sys.version_info[:3]))),
                ("wherry-runtime", identity.version),
            ),
            init_path=identity.init_path if init_version else "",
            init_version=init_version,
            is_experimental=identity.is_experimental,
            http_proxy=identity.http_proxy,
            https_proxy=identity.https_proxy,
            no_proxy=identity.no_proxy,
        )

    def _security_options(self) -> tuple[str, ...]:
        """In Docker's order."""
        host = self._host
        return (
            *(("name=apparmor",) if host.has_apparmor else ()),
            f"name=seccomp,profile={self._identity.seccomp_profile}",
            *(("name=userns",) if host.remapped else ()),
            *(("name=cgroupns",) if host.cgroup_version == 2 else ()),
            *(("name=no-new-privileges",) if self._identity.no_new_privileges else ()),
        )

    async def _init_version(self, path: str) -> str:
        """What the init program calls its version; asked once for each program."""
        if path not in self._init_versions:
            self._init_versions[path] = await _told_version(path)
        return self._init_versions[path]


async def _told_version(path: str) -> str:
    """`0.19.0` of `tini version 0.19.0`; empty when there is no such program."""
    try:
        asked = await asyncio.create_subprocess_exec(
            path,
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return ""
    words = (await asked.communicate())[0].decode(errors="replace").split()
    return words[2] if words[1:2] == ["version"] and len(words) > 2 else ""


_WARNED = {"memory limit": "memory", "swap limit": "swap", "cpu cfs quota": "cpu_quota"}


def _limits() -> dict[str, bool]:
    """Which limits the host's cgroups offer (cgroups(7)); both versions are looked at."""
    v1, v2 = "/sys/fs/cgroup", _unified_controllers()
    is_hybrid = os.path.isdir(f"{v1}/memory")

    def offered(v1_file: str, controller: str) -> bool:
        return os.path.exists(f"{v1}/{v1_file}") if is_hybrid else controller in v2

    return {
        "memory": offered("memory/memory.limit_in_bytes", "memory"),
        "swap": offered("memory/memory.memsw.limit_in_bytes", "memory"),
        "pids": offered("pids", "pids"),
        "cpu_shares": offered("cpu/cpu.shares", "cpu"),
        "cpu_quota": offered("cpu/cpu.cfs_quota_us", "cpu"),
        "cpuset": offered("cpuset/cpuset.cpus", "cpuset"),
        "oom_kill_disable": is_hybrid and os.path.exists(f"{v1}/memory/memory.oom_control"),
        "ipv4_forwarding": _read("/proc/sys/net/ipv4/ip_forward") == "1",
    }


def _unified_controllers() -> frozenset[str]:
    return frozenset(_read("/sys/fs/cgroup/cgroup.controllers").split())


def _os_release() -> dict[str, str]:
    pairs = (line.partition("=") for line in _read("/etc/os-release").splitlines())
    return {name: value.strip('"') for name, _separator, value in pairs}


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
