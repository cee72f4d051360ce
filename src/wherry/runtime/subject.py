"""What plans are made from, and where its cgroups are."""

import os

from wherry.kit.values import dataclass
from wherry.linux.cgroups import CgroupLayout, Hierarchy
from wherry.oci.runtime_spec import RootfsMount, RuntimeSpec
from wherry.runtime.mount_options import PlanRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a container's plans are made from."""

    container_id: str
    bundle: str
    spec: RuntimeSpec
    rootfs: RootfsMount | None
    init_binary: str
    seccomp_program: bytes
    """Empty: unconfined."""
    makes_terminal: bool
    moves_root: bool = False
    has_own_keyring: bool = True


def cgroup_directories_of(
    spec: RuntimeSpec, container_id: str, layout: CgroupLayout
) -> tuple[tuple[Hierarchy, str], ...]:
    """A container's directory in each hierarchy. Raises: PlanRefused."""
    path = "/" + os.path.normpath(f"/{spec.linux.cgroups_path or container_id}").lstrip("/")
    if path == "/":
        raise PlanRefused("cgroupsPath must not be the root of the hierarchies")
    return tuple((each, f"{each.mount_point}{path}") for each in layout.hierarchies())


def root_source(subject: Subject) -> str:
    """The directory that is the container's root, when it is not a stack of layers."""
    rootfs = subject.rootfs
    if rootfs is None:
        return os.path.normpath(os.path.join(subject.bundle, subject.spec.root.path))
    return os.path.join(rootfs.directory, rootfs.source)


def root_target(subject: Subject) -> str:
    """Where the root is mounted until it is `/`: a bundle's own root is bound onto itself."""
    return root_source(subject) if subject.rootfs is None else f"{subject.bundle}/rootfs"
