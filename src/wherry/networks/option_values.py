"""Values of networks' options, as Go reads them, and options that several drivers have."""

from collections.abc import Mapping
from typing import NoReturn

from wherry.model.errors import InvalidValue

MTU = "com.docker.network.driver.mtu"
VNI = "com.docker.network.driver.overlay.vxlanid_list"
LOCAL = "com.docker.network.driver.overlay.bind_address"
ENCRYPTED = "encrypted"
"""Of a network that spans hosts: its number on the wire, and this host's address there,
and whether what goes between hosts is sealed."""

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def flag(options: Mapping[str, str], name: str, *, default: bool) -> bool:
    """A boolean option as Go reads it. Raises: InvalidValue."""
    text = options.get(name)
    if text is None:
        return default
    if text not in _TRUE | _FALSE:
        refuse(name, text, f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return text in _TRUE


def number(options: Mapping[str, str], name: str, *, default: int) -> int:
    """A number option. Raises: InvalidValue."""
    text = options.get(name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        refuse(name, text, f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def refuse(name: str, text: str, why: str) -> NoReturn:
    """Raises: InvalidValue, which names option, value and reason."""
    raise InvalidValue(f"failed to parse {name} value: {text} ({why})")
