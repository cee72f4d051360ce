"""SELinux labels: parts that the user names take the place of the defaults.

As with Docker a container starts on a host without SELinux; here its user is told that the wish
went nowhere.
"""

from wherry.model.containers import Security
from wherry.model.errors import InvalidValue
from wherry.specgen.host import HostFacts

_DISABLE = "disable"
_PARTS = ("user", "role", "type", "level")
_DEFAULTS = {"user": "system_u", "role": "system_r", "type": "container_t", "level": "s0"}
_FILE_TYPE = "filetype"


def selinux_label(security: Security, host: HostFacts) -> str:
    """The label of the container's processes; empty for the host's own choice.

    Raises: InvalidValue for an option that names no part of a label.
    """
    chosen = dict(_DEFAULTS)
    for each in security.labels:
        name, colon, value = each.partition(":")
        if each != _DISABLE and not (colon and value and name in (*_PARTS, _FILE_TYPE)):
            raise InvalidValue(
                f"bad label option {each!r}, valid options 'disable' or 'user, role, level, type,"
                " filetype' followed by ':' and a value"
            )
        chosen[name] = value
    if not host.has_selinux or not security.labels or _DISABLE in security.labels:
        return ""
    return ":".join(chosen[part] for part in _PARTS)


def label_warnings(security: Security, host: HostFacts) -> tuple[str, ...]:
    """What a user is told whose label no module of the kernel keeps."""
    if host.has_selinux or all(each == _DISABLE for each in security.labels):
        return ()
    return ("Your kernel does not support SELinux or it is disabled. Label discarded.",)
