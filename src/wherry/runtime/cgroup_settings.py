"""One setting of a cgroup controller, before it is known where the container's cgroups are."""

from collections.abc import Mapping
from typing import NamedTuple

from wherry.operations.plan import Operation
from wherry.operations.processes.cgroups import WriteCgroupFile
from wherry.runtime.mount_options import PlanRefused


class Setting(NamedTuple):
    """One file of a controller, and what it is to hold."""

    controller: str
    file: str
    value: str
    why: str
    """The option that asks for it."""
    is_optional: bool = False
    """Whether a kernel may lack the file, or refuse it."""
    otherwise: tuple[str, ...] = ()
    """File and value where that file is not there."""


def write_operation(setting: Setting, directories: Mapping[str, str]) -> Operation:
    """The write of one setting. Raises: PlanRefused where its controller is absent."""
    # Files such as cgroup.max.depth belong to the version 2 tree itself.
    name = "" if setting.controller == "cgroup" else setting.controller
    directory = directories.get(name)
    if directory is None:
        raise PlanRefused(
            f"{setting.file}: this host has no {setting.controller} cgroup controller"
            f" ({setting.why})"
        )
    otherwise = setting.otherwise
    return WriteCgroupFile(
        path=f"{directory}/{setting.file}",
        value=setting.value,
        is_optional=setting.is_optional,
        otherwise=(f"{directory}/{otherwise[0]}", otherwise[1]) if otherwise else (),
        why=setting.why,
    )
