"""From what a user asked to what the runtime does: the OCI configuration of a container.

I own: Docker's defaults (mounts, devices, masks, capabilities, seccomp) and the pure functions
that turn a container and facts about the host into a `RuntimeSpec`.
I never: change anything; the host is read in `host` and `host_devices` alone.
On disk and in the kernel I leave: nothing.
Called by: engine.
"""

from wherry.specgen.apparmor_profile import (
    DEFAULT_PROFILE,
    apparmor_warnings,
    container_apparmor,
    default_profile_text,
)
from wherry.specgen.defaults import CGROUP_PARENT, MASKED_PATHS, READ_ONLY_PATHS
from wherry.specgen.host import HostFacts, read_host_facts
from wherry.specgen.host_devices import (
    HostDevices,
    find_block_devices,
    find_devices,
    read_host_devices,
)
from wherry.specgen.knobs import Knob
from wherry.specgen.limit_rules import Admission, admitted
from wherry.specgen.limits import resources as limit_resources
from wherry.specgen.namespaces import JoinedPaths
from wherry.specgen.process import exec_process
from wherry.specgen.remapping import RemappedIds, is_remapped
from wherry.specgen.runtime_spec import SandboxPaths, check_spec, runtime_spec
from wherry.specgen.seccomp_profile import compiled_seccomp, container_seccomp, seccomp_profile
from wherry.specgen.selinux_label import label_warnings

__all__ = [
    "CGROUP_PARENT",
    "DEFAULT_PROFILE",
    "MASKED_PATHS",
    "READ_ONLY_PATHS",
    "Admission",
    "HostDevices",
    "HostFacts",
    "JoinedPaths",
    "Knob",
    "RemappedIds",
    "SandboxPaths",
    "admitted",
    "apparmor_warnings",
    "check_spec",
    "compiled_seccomp",
    "container_apparmor",
    "container_seccomp",
    "default_profile_text",
    "exec_process",
    "find_block_devices",
    "find_devices",
    "is_remapped",
    "label_warnings",
    "limit_resources",
    "read_host_devices",
    "read_host_facts",
    "runtime_spec",
    "seccomp_profile",
]
