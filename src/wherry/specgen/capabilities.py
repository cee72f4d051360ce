"""Which capabilities a container gets (capabilities(7))."""

from collections.abc import Sequence

from wherry.linux.capabilities import NAMES
from wherry.model.containers import Security
from wherry.model.errors import InvalidValue
from wherry.specgen.host import HostFacts

DEFAULT_CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
)  # fmt: skip
"""Docker's fourteen: bit mask a80425fb."""

_ALL = "ALL"


def container_capabilities(security: Security, host: HostFacts) -> tuple[str, ...]:
    """The capabilities of a container's root: the defaults, less drops, plus additions.

    `ALL` among the additions starts from everything that the host has; among the drops, from
    nothing.

    Raises: InvalidValue for names that are unknown, or that the host does not have.
    """
    if security.is_privileged:
        return host.capabilities
    dropped = _normalized(security.capabilities_dropped, "CapDrop", host)
    added = _normalized(security.capabilities_added, "CapAdd", host)
    if _ALL in added:
        chosen = [name for name in host.capabilities if name not in dropped]
    elif _ALL in dropped:
        chosen = list(added)
    else:
        chosen = [name for name in DEFAULT_CAPABILITIES if name not in dropped]
        chosen += added
    return tuple(dict.fromkeys(chosen))


def _normalized(names: Sequence[str], field: str, host: HostFacts) -> tuple[str, ...]:
    return tuple(_normalized_name(name, field, host) for name in names)


def _normalized_name(text: str, field: str, host: HostFacts) -> str:
    name = text.upper()
    if name == _ALL:
        return name
    if not name.startswith("CAP_"):
        name = f"CAP_{name}"
    if name in host.capabilities:
        return name
    if name in NAMES:
        problem = "capability not supported by your kernel or not available in the current "
        problem += "environment"
    else:
        problem = "unknown capability"
    raise InvalidValue(f'invalid {field}: {problem}: "{name}"')
