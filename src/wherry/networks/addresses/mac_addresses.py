"""MAC addresses as people write them."""

import re

from wherry.model.errors import InvalidField

_MAC_ADDRESS = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}")
_MULTICAST = 1


def parse_mac_address(text: str) -> str:
    """A unicast Ethernet address in the kernel's spelling; empty stays empty.

    Raises: InvalidField.
    """
    if not text:
        return ""
    lowered = text.lower()
    if not _MAC_ADDRESS.fullmatch(lowered):
        raise InvalidField("MacAddress", text, "must be six pairs of hexadecimal digits")
    if int(lowered[:2], 16) & _MULTICAST:
        raise InvalidField("MacAddress", text, "must not be a multicast address")
    return lowered.replace("-", ":")
