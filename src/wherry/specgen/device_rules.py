"""Rules of the device controller that the user wrote: `--device-cgroup-rule 'c 1:3 rwm'`."""

import re

from wherry.model.containers import ContainerSpec
from wherry.model.errors import InvalidValue
from wherry.oci.runtime_spec import DeviceRule

_RULE = re.compile(r"([acb]) ([0-9]{1,10}|\*):([0-9]{1,10}|\*) ([rwm]{1,3})")
_ACCESS = re.compile(r"(?!.*(.).*\1)[rwm]{1,3}")
"""Each letter once."""


def device_rules(spec: ContainerSpec) -> tuple[DeviceRule, ...]:
    """The rules, read. Raises: InvalidValue for one, or for a device's access, that is none."""
    for each in spec.devices.mappings:
        if not _ACCESS.fullmatch(each.access):
            raise InvalidValue(f"bad mode specified: {each.access}")
    return tuple(_rule(text) for text in spec.devices.rules)


def _rule(text: str) -> DeviceRule:
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidValue(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    return DeviceRule(
        allow=True,
        type=kind,
        major=None if major == "*" else int(major),
        minor=None if minor == "*" else int(minor),
        access=access,
    )
