"""Ports: `80/tcp` texts, host bindings, and what is published."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from wherry.kit.numbers import parse_range
from wherry.model.errors import InvalidValue
from wherry.model.networks import Port, PortBinding, PortRemoval, PublishedPort
from wherry.wire.container_config import Empty, HostPort

_PROTOCOLS = ("tcp", "udp", "sctp")
_REMOVAL = re.compile(
    r"(?:(?P<address>\[[^]]+\]|[^:]*\.[^:]*):)?(?P<host>[0-9]+)(?::(?P<inner>[0-9]+))?"
)
"""An address is told from a port by its dots or brackets."""


def to_exposed(texts: Iterable[str]) -> tuple[Port, ...]:
    """ExposedPorts: `80/tcp`, `53/udp`, `8000-8010/tcp`. Raises: InvalidValue."""
    return tuple(port for text in texts for port in _ports(text))


def to_bindings(
    bindings: Mapping[str, Sequence[HostPort] | None],
) -> tuple[PortBinding, ...]:
    """PortBindings. Raises: InvalidValue, FeatureMissing."""
    return tuple(
        _binding(port, wish)
        for text, wishes in bindings.items()
        for port in _ports(text)
        for wish in wishes or ()
    )


def to_removal(text: str) -> PortRemoval:
    """`8080`, `127.0.0.1:8080`, `8080:80/udp`, `[::1]:8080:80`. Raises: InvalidValue."""
    whole, slash, protocol = text.partition("/")
    if slash and protocol not in _PROTOCOLS:
        raise InvalidValue(f"invalid proto: {protocol}")
    found = _REMOVAL.fullmatch(whole)
    if found is None:
        raise _invalid(text)
    host_port, last = _range(found["host"])
    port, last_inner = _range(found["inner"]) if found["inner"] else (0, 0)
    if not host_port or last != host_port or last_inner != port:
        raise _invalid(text)
    protocol = protocol or "tcp"
    return PortRemoval(
        host_port=host_port,
        host_address=_address((found["address"] or "").strip("[]")),
        port=Port(port, protocol) if port else None,
        protocol=protocol,
    )


def _ports(text: str) -> Iterator[Port]:
    numbers, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in _PROTOCOLS:
        raise InvalidValue(f"invalid proto: {protocol}")
    first, last = _range(numbers)
    if not first:
        raise _invalid(numbers)
    for number in range(first, last + 1):
        yield Port(number, protocol)


def _range(text: str) -> tuple[int, int]:
    try:
        return parse_range(text, bits=16)
    except ValueError:
        raise _invalid(text) from None


def _binding(port: Port, wish: HostPort) -> PortBinding:
    first, last = _range(wish.HostPort) if wish.HostPort else (0, 0)
    return PortBinding(
        port=port,
        host_address=_address(wish.HostIp),
        host_port=first,
        host_port_end=last if last != first else 0,
    )


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise InvalidValue(f"invalid IP address: {text}") from None
    return text


def _invalid(text: str) -> InvalidValue:
    return InvalidValue(f'invalid port specification: "{text}"')


# -- back ------------------------------------------------------------------------------------


def exposed_texts(ports: Iterable[Port]) -> dict[str, Empty]:
    """ExposedPorts."""
    return {str(port): Empty() for port in ports}


def binding_texts(bindings: Iterable[PortBinding]) -> dict[str, list[HostPort] | None]:
    """PortBindings."""
    shown: dict[str, list[HostPort] | None] = {}
    for binding in bindings:
        host = HostPort(HostIp=binding.host_address, HostPort=_host_text(binding))
        places = shown.setdefault(str(binding.port), [])
        assert places is not None
        places.append(host)
    return shown


def _host_text(binding: PortBinding) -> str:
    if binding.host_port_end:
        return f"{binding.host_port}-{binding.host_port_end}"
    return str(binding.host_port) if binding.host_port else ""


def published_texts(
    exposed: Iterable[Port], published: Iterable[PublishedPort]
) -> dict[str, list[HostPort] | None]:
    """NetworkSettings.Ports: exposed ports without a host side are there with null."""
    shown: dict[str, list[HostPort] | None] = {str(port): None for port in exposed}
    for each in published:
        places = shown.get(str(each.port)) or []
        host_port = str(each.host_port) if each.host_port else ""
        places.append(HostPort(HostIp=each.host_address, HostPort=host_port))
        shown[str(each.port)] = places
    return shown
