"""Ports, volumes and devices as one string, and the mapping that each means."""

import re

from wherry.client.documents import Document
from wherry.compose.errors import ComposeError
from wherry.kit.numbers import parse_range

_PROTOCOLS = ("tcp", "udp", "sctp")
_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")


def parse_ports(text: str) -> list[Document]:
    """The ports of one short form, as Docker's -p has it. Raises: ComposeError."""
    ports, _, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    address, published, target = _parts(ports)
    if not target:
        raise ComposeError(f"no port specified: {text}<empty>")
    if protocol not in _PROTOCOLS:
        raise ComposeError(f"invalid proto: {protocol}")
    first, last = _range(target, "containerPort")
    host_first, host_last = _range(published, "hostPort") if published else (0, 0)
    is_single = first == last
    if published and last - first != host_last - host_first and not is_single:
        raise ComposeError(
            f"invalid ranges specified for container and host Ports: {target} and {published}"
        )
    result: list[Document] = []
    for step in range(last - first + 1):
        port: Document = {"mode": "ingress", "target": first + step}
        if published:
            is_pool = is_single and host_first != host_last
            port["published"] = f"{host_first}-{host_last}" if is_pool else str(host_first + step)
        if address:
            port["host_ip"] = address
        result.append({**port, "protocol": protocol})
    return sorted(result, key=lambda each: f"{each['target']}/{protocol}")


def _parts(text: str) -> tuple[str, str, str]:
    *before, target = text.split(":")
    if len(before) < 2:
        return "", before[0] if before else "", target
    address = ":".join(before[:-1])
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if bare:
        import ipaddress

        try:
            ipaddress.ip_address(bare)
        except ValueError:
            raise ComposeError(f"invalid IP address: {bare}") from None
    return bare, before[-1], target


def _range(text: str, name: str) -> tuple[int, int]:
    try:
        return parse_range(text, bits=16)
    except ValueError:
        raise ComposeError(f"invalid {name}: {text}") from None


def parse_volume(text: str) -> Document:
    """The mount of one short form: `[SOURCE:]TARGET[:OPTIONS]`. Raises: ComposeError."""
    if not text:
        raise ComposeError("invalid empty volume spec")
    parts = _split(text)
    if any(not part for part in parts):
        raise ComposeError(f"empty section between colons: {text}" if "::" in text
                           else f"invalid spec: {text}: empty section between colons")  # fmt: skip
    if len(parts) > 3:
        raise ComposeError(f"invalid spec: {text}: too many colons")
    if len(parts) == 1:
        # Compose looks no further into a text this short.
        options: Document = {} if len(text) <= 2 else {"volume": {}}
        return {"type": "volume", "target": text, **options}
    volume: Document = {"source": parts[0], "target": parts[1]}
    options = {}
    for option in parts[2].split(",") if len(parts) == 3 else ():
        if option == "ro":
            volume["read_only"] = True
        elif option == "nocopy":
            options["nocopy"] = True
        elif option in ("z", "Z"):
            options["selinux"] = option
        elif option in _PROPAGATIONS:
            options["propagation"] = option
    if is_path(parts[0]):
        bind = {key: each for key, each in options.items() if key != "nocopy"}
        return {"type": "bind", **volume, "bind": {"create_host_path": True, **bind}}
    named = {key: each for key, each in options.items() if key == "nocopy"}
    return {"type": "volume", **volume, "volume": named}


def _split(text: str) -> list[str]:
    """At the colons, but for the one behind the letter of a Windows drive."""
    parts = text.split(":")
    result: list[str] = []
    while parts:
        part = parts.pop(0)
        if len(part) == 1 and part.isalpha() and parts:
            part = f"{part}:{parts.pop(0)}"
        result.append(part)
    return result


def is_path(source: str) -> bool:
    """Whether a volume's source is a path of the host and no volume's name."""
    return source[:1] in ("/", "~", ".") or re.match(r"[A-Za-z]:[\\/]|\\\\", source) is not None


def parse_device(text: str) -> Document:
    """One device: `HOST[:CONTAINER[:PERMISSIONS]]`. Raises: ComposeError."""
    parts = text.split(":")
    if len(parts) > 3:
        raise ComposeError(f"confusing device mapping, please use long syntax: {text}")
    return {
        "source": parts[0],
        "target": parts[1] if len(parts) > 1 else parts[0],
        "permissions": parts[2] if len(parts) > 2 else "rwm",
    }
