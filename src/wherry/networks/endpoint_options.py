"""Options of an endpoint (`--network name=x,driver-opt=...`): its interface, and sysctls there.

    com.docker.network.endpoint.ifname   what the interface is called inside
    com.docker.network.endpoint.sysctls  net.ipv4.conf.IFNAME.log_martians=1,...

Sysctls are named with the word IFNAME, since the interface's name is not known before a start.
"""

import re

from wherry.model.errors import InvalidValue
from wherry.model.networks import EndpointWish

_PREFIX = "com.docker.network.endpoint"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_SYSCTL = re.compile(r"net\.(?:ipv4|ipv6|mpls)\.[a-z0-9_]+\.IFNAME\.[A-Za-z0-9_]+", re.IGNORECASE)
_VALUE = re.compile(r"[ -~]{1,64}")
_PLACE = re.compile("IFNAME", re.IGNORECASE)
_REFUSED = "invalid endpoint settings:\n"


def interface_of(wish: EndpointWish) -> str:
    """What the endpoint's interface is to be called; empty: the next. Raises: InvalidValue."""
    name = wish.driver_options.get(f"{_PREFIX}.ifname", "")
    if name and (not _NAME.fullmatch(name) or name in (".", "..", "lo", "all", "default")):
        raise InvalidValue(f"{_REFUSED}invalid interface name: {name!r}")
    return name


def sysctls_of(wish: EndpointWish, interface: str) -> tuple[tuple[str, str], ...]:
    """Names below /proc/sys and values that the endpoint's interface gets.

    Raises: InvalidValue for one that is not of an interface.
    """
    text = wish.driver_options.get(f"{_PREFIX}.sysctls", "")
    found = []
    for pair in filter(None, text.split(",")):
        name, equals, value = pair.partition("=")
        if not (_SYSCTL.fullmatch(name) and equals and _VALUE.fullmatch(value)):
            raise InvalidValue(
                f"{_REFUSED}unrecognised network interface sysctl '{pair}'; "
                "represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', "
                "'ipv6' or 'mpls'"
            )
        parts = name.split(".")
        place = [interface if _PLACE.fullmatch(part) else part for part in parts]
        found.append(("/".join(place), value))
    return tuple(found)
