"""A container's OCI configuration, from its record and facts about the host.

Theory of operation. `check_spec` refuses at creation what could never start, in Docker's words;
`runtime_spec` puts the configuration together at each start, part by part, from the modules
beside this one. Neither reads or changes anything: the same arguments give the same result,
which is what the golden files of the tests hold on to.
"""

import posixpath

from wherry.kit.values import dataclass, replace
from wherry.model.containers import BindMount, Container, ContainerSpec
from wherry.model.errors import InvalidValue
from wherry.model.networks import NetworkModeKind
from wherry.oci.runtime_spec import (
    DeviceRule,
    Linux,
    Resources,
    Root,
    RuntimeSpec,
)
from wherry.specgen import defaults, limits
from wherry.specgen.apparmor_profile import check_apparmor
from wherry.specgen.cgroup_annotations import cgroup_files
from wherry.specgen.device_rules import device_rules
from wherry.specgen.host import HostFacts
from wherry.specgen.host_devices import HostDevices
from wherry.specgen.mounts import container_mounts, rootfs_propagation
from wherry.specgen.namespaces import JoinedPaths, check_modes, container_namespaces
from wherry.specgen.process import check_process, container_process, hostname
from wherry.specgen.remapping import check_remapping, is_remapped
from wherry.specgen.seccomp_profile import container_seccomp
from wherry.specgen.selinux_label import selinux_label
from wherry.specgen.sysctls import container_sysctls

_HOST_SHM = "/dev/shm"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPaths:
    """What the network made for the container; an empty path means there is none."""

    namespace_path: str = ""
    hosts: str = ""
    resolv_conf: str = ""
    hostname: str = ""


def check_spec(spec: ContainerSpec, *, host: HostFacts) -> None:
    """Refuse what could never start. Raises: InvalidValue with Docker's text."""
    check_process(spec)
    check_modes(spec)
    check_remapping(spec, host.remapped)
    device_rules(spec)
    cgroup_files(spec.annotations, host)
    if spec.shm_bytes < 0:
        raise InvalidValue("SHM size can not be less than 0")
    container_mounts(spec, (), "", host)
    container_seccomp(spec.security, host)
    check_apparmor(spec.security)
    selinux_label(spec.security, host)
    _sysctls(spec, host)


def runtime_spec(
    container: Container,
    *,
    host: HostFacts,
    sandbox: SandboxPaths,
    joined: JoinedPaths | None = None,
    cgroup_parent: str = defaults.CGROUP_PARENT,
    devices: HostDevices | None = None,
) -> RuntimeSpec:
    """The configuration of a container that is about to start.

    `joined` says where the namespaces of the modes `container:ID` are, `devices` what was found
    of the devices that the container asks for (`find_devices`). The user's name, and whether an
    init goes before the command, are the caller's to hand on beside this.

    Raises: InvalidValue with Docker's text.
    """
    spec = container.spec
    process = container_process(container, host)
    paths = joined or JoinedPaths()
    found = devices or HostDevices()
    ids = host.remapped if is_remapped(spec, host.remapped) else None
    parent = spec.cgroup_parent or cgroup_parent
    owns_uts = spec.namespaces.uts != "host"
    return RuntimeSpec(
        process=process,
        root=Root(readonly=spec.is_rootfs_read_only),
        hostname=hostname(container, host) if owns_uts else "",
        domainname=spec.domainname if owns_uts else "",
        mounts=container_mounts(spec, _engine_files(sandbox), _shm_source(spec, paths), host),
        linux=Linux(
            namespaces=container_namespaces(
                spec, network_path=sandbox.namespace_path, joined=paths, host=host
            ),
            uid_mappings=ids.uids if ids else (),
            gid_mappings=ids.gids if ids else (),
            devices=found.nodes,
            cgroups_path=posixpath.normpath(f"/{parent.lstrip('/')}/{container.id}"),
            resources=_resources(spec, host, found),
            sysctl=_sysctls(spec, host),
            seccomp=container_seccomp(spec.security, host),
            rootfs_propagation=rootfs_propagation(spec.mounts),
            masked_paths=_masked_paths(spec, host),
            readonly_paths=_read_only_paths(spec),
        ),
        annotations=dict(spec.annotations),
    )


def _engine_files(sandbox: SandboxPaths) -> tuple[BindMount, ...]:
    places = (
        (sandbox.resolv_conf, "/etc/resolv.conf"),
        (sandbox.hostname, "/etc/hostname"),
        (sandbox.hosts, "/etc/hosts"),
    )
    return tuple(BindMount(source=source, target=target) for source, target in places if source)


def _shm_source(spec: ContainerSpec, joined: JoinedPaths) -> str:
    return _HOST_SHM if spec.namespaces.ipc == "host" else joined.shm


def _resources(spec: ContainerSpec, host: HostFacts, found: HostDevices) -> Resources:
    if spec.security.is_privileged:
        rules: tuple[DeviceRule, ...] = (DeviceRule(allow=True),)
    else:
        rules = (*defaults.DEVICE_RULES, *found.rules, *device_rules(spec))
    return replace(
        limits.resources(spec.limits, host, found.numbers),
        devices=rules,
        unified=cgroup_files(spec.annotations, host),
    )


def _sysctls(spec: ContainerSpec, host: HostFacts) -> dict[str, str]:
    kind = spec.network.mode.kind
    return container_sysctls(
        spec.sysctls,
        owns_network=kind is not NetworkModeKind.HOST,
        joins_network=kind is NetworkModeKind.CONTAINER,
        owns_ipc=spec.namespaces.ipc != "host",
        owns_uts=spec.namespaces.uts != "host",
        host=host,
    )


def _masked_paths(spec: ContainerSpec, host: HostFacts) -> tuple[str, ...]:
    if spec.security.is_privileged:
        return ()
    if spec.security.masked_paths is not None:
        return spec.security.masked_paths
    return defaults.MASKED_PATHS + host.thermal_throttle


def _read_only_paths(spec: ContainerSpec) -> tuple[str, ...]:
    if spec.security.is_privileged:
        return ()
    if spec.security.read_only_paths is not None:
        return spec.security.read_only_paths
    return defaults.READ_ONLY_PATHS
