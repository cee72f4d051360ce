"""Published and exposed ports: `8080:80`, `127.0.0.1::53/udp`, `[::1]:7000-7009:7000-7009`."""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wherry.cli.flags import read_unsigned
from wherry.client.documents import Document
from wherry.kit.numbers import parse_range

PROTOCOLS = ("tcp", "udp", "sctp")


class Binding(NamedTuple):
    """One port of a container, published; an empty host port means any that is free."""

    port: int
    protocol: str
    host_address: str
    host_port: str

    @property
    def key(self) -> str:
        """The container's port as the API names it: 80/tcp."""
        return f"{self.port}/{self.protocol}"


def parse_publish(text: str) -> list[Binding]:
    """The bindings of one `-p`. Raises: ValueError with Docker's text."""
    if "=" in text:
        text = _standard_form(text)
    address, host_ports, container = _split(text)
    container, _, protocol = container.partition("/")
    protocol = protocol.lower() or "tcp"
    if not container:
        raise ValueError(f"no port specified: {text}<empty>")
    first, last = _range(container, "containerPort")
    host_first, host_last = _range(host_ports, "hostPort") if host_ports else (0, 0)
    if host_ports and last - first != host_last - host_first and last != first:
        raise ValueError(
            f"invalid ranges specified for container and host Ports: {container} and {host_ports}"
        )
    if protocol not in PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    return [
        Binding(
            first + step,
            protocol,
            address,
            _host_port(host_ports, host_first, host_last, step, is_single=first == last),
        )
        for step in range(last - first + 1)
    ]


def parse_expose(text: str) -> list[str]:
    """The ports of one `--expose`, as the API names them. Raises: ValueError."""
    if ":" in text:
        raise ValueError(f"invalid port format for --expose: {text}")
    ports, _, protocol = text.partition("/")
    first_text, dash, last_text = ports.partition("-")
    try:
        first = read_unsigned(first_text, bits=16)
        last = read_unsigned(last_text, bits=16) if dash else first
        if last < first:
            raise ValueError(f"invalid range specified for port: {ports}")
    except ValueError as problem:
        raise ValueError(f"invalid range format for --expose: {text}, error: {problem}") from None
    return [f"{port}/{protocol or 'tcp'}" for port in range(first, last + 1)]


def exposed_ports(published: Sequence[Binding], exposed: Sequence[str]) -> Document:
    """The API's set of ports."""
    keys = [binding.key for binding in published]
    for text in exposed:
        keys += parse_expose(text)
    return {key: {} for key in keys}


def port_bindings(published: Sequence[Binding]) -> Document:
    """The API's map from port to bindings."""
    result: dict[str, list[Document]] = {}
    for binding in published:
        result.setdefault(binding.key, []).append(
            {"HostIp": binding.host_address, "HostPort": binding.host_port}
        )
    return {key: list(bindings) for key, bindings in result.items()}


def _split(text: str) -> tuple[str, str, str]:
    """Address, host ports and container ports, of which the first two may be empty."""
    *before, container = text.split(":")
    if len(before) < 2:
        return "", before[0] if before else "", container
    return _address(":".join(before[:-1])), before[-1], container


def _address(text: str) -> str:
    if not text:
        return ""
    if text.startswith("[") and not text.endswith("]"):
        raise ValueError(f"invalid IP address {text}: address {text}:: missing ']' in address")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f"invalid IP address: {bare}") from None
    return bare


def _range(text: str, name: str) -> tuple[int, int]:
    try:
        return parse_range(text, bits=16)
    except ValueError:
        raise ValueError(f"invalid {name}: {text}") from None


def _host_port(text: str, first: int, last: int, step: int, *, is_single: bool) -> str:
    if not text:
        return ""
    if is_single and first != last:
        return f"{first}-{last}"  # Any one of the range that is free.
    return str(first + step)


def _standard_form(text: str) -> str:
    """`published=8080,target=80,protocol=tcp` as the short form. Raises: ValueError."""
    fields = dict(_fields(text))
    protocol = fields.get("protocol", "tcp")
    target = fields.get("target", "")
    if not target:
        raise ValueError(f'missing required field "target": {text}')
    return f"{fields.get('published', '')}:{target}/{protocol}"


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for field in text.split(","):
        key, equals, value = field.partition("=")
        if not equals or not value:
            raise ValueError(f"invalid field: {field}")
        if key not in ("published", "target", "protocol", "mode"):
            raise ValueError(f"invalid field key: {key}")
        yield key, value
