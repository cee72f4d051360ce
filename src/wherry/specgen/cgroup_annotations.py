"""Knobs that no option names: `--annotation wherry.cgroup.memory.high=512m` sets memory.high.

The kernel has more files than Docker has options, and each release brings others; the file's
first word is its controller (cgroup-v2.rst, "Conventions"). Files by which a container would
be moved, ended, or given devices stay out of reach.
"""

import re
from collections.abc import Mapping

from wherry.model.errors import InvalidValue
from wherry.specgen.host import HostFacts

PREFIX = "wherry.cgroup."
_FILE = re.compile(r"([a-z][a-z_]*)(?:\.[A-Za-z0-9_]+)+")
_VALUE = re.compile(r"[ -~]{1,256}")
_OF_THE_ENGINE = frozenset({"devices", "freezer", "notify_on_release", "release_agent"})
_OF_THE_TREE = frozenset({"cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"})
"""The files of version 2's own that are limits."""


def cgroup_files(annotations: Mapping[str, str], host: HostFacts) -> dict[str, str]:
    """Values by file. Raises: InvalidValue, naming an absent controller."""
    return {
        name.removeprefix(PREFIX): _checked(name, value, host)
        for name, value in annotations.items()
        if name.startswith(PREFIX)
    }


def _checked(name: str, value: str, host: HostFacts) -> str:
    file = name.removeprefix(PREFIX)
    match = _FILE.fullmatch(file)
    if match is None:
        raise InvalidValue(f'invalid annotation "{name}": "{file}" is no file of a cgroup')
    controller = match[1]
    is_reserved = controller == "cgroup" and file not in _OF_THE_TREE
    if controller in _OF_THE_ENGINE or is_reserved:
        raise InvalidValue(f'invalid annotation "{name}": {file} is the engine\'s own')
    if controller != "cgroup" and controller not in host.controllers:
        raise InvalidValue(
            f'invalid annotation "{name}": this host has no {controller} cgroup controller'
        )
    if not _VALUE.fullmatch(value):
        raise InvalidValue(f'invalid annotation "{name}": "{value}" is no value of a cgroup file')
    return value
