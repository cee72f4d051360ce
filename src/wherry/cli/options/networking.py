"""Networks of a container: `--network` in both forms, hosts, name servers."""

import csv
import ipaddress
import re

from wherry.client.documents import Document, Json

_MAC_ADDRESS = re.compile(
    r"[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}",
    re.IGNORECASE,
)
_DOMAIN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\.")


def is_mac_address(text: str) -> bool:
    """Whether it is one of an Ethernet, in one of the forms that Go reads."""
    return _MAC_ADDRESS.fullmatch(text) is not None


def read_network(text: str) -> Document:
    """A network's name and the options of its endpoint. Raises: ValueError.

    The answer has `Target`, and what `name=net,alias=a,ip=10.0.0.2` says besides.
    """
    if "=" not in text:
        return {"Target": text}
    result: Document = {}
    aliases: list[Json] = []
    links: list[Json] = []
    options: Document = {}
    for field in next(csv.reader([text], strict=True)):
        key, equals, value = field.partition("=")
        if not equals or not key:
            raise ValueError(f"invalid field {field}")
        match key.strip().lower():
            case "name":
                result["Target"] = value
            case "alias":
                aliases.append(value)
            case "driver-opt":
                name, has_value, setting = value.partition("=")
                if not has_value:
                    raise ValueError("invalid key value pair format in driver options")
                options[name.strip().lower()] = setting.strip().lower()
            case "ip":
                result["IPv4Address"] = _address(value)
            case "ip6":
                result["IPv6Address"] = _address(value)
            case "mac-address":
                result["MacAddress"] = value
            case "link-local-ip":
                links.append(_address(value))
            case "gw-priority":
                if not value.lstrip("-").isdigit():
                    raise ValueError(f"invalid gw-priority: {value}")
                result["GwPriority"] = int(value)
            case unknown:
                raise ValueError(f"invalid field key {unknown}")
    if not result.get("Target"):
        raise ValueError("network name/id is not specified")
    if aliases:
        result["Aliases"] = aliases
    if links:
        result["LinkLocalIPs"] = links
    if options:
        result["DriverOpts"] = options
    return result


def read_extra_host(text: str) -> str:
    """`host:ip` or `host=ip`, in the API's form. Raises: ValueError."""
    name, separator, address = text.partition("=")
    if not separator:
        name, separator, address = text.partition(":")
    if not separator or not name:
        raise ValueError(f'bad format for add-host: "{text}"')
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address == "host-gateway":
        return f"{name}:{address}"
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(f'invalid IP address in add-host: "{address}"') from None
    return f"{name}:{address}"


def read_name_server(text: str) -> str:
    """An address. Raises: ValueError."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f"IP address is not correctly formatted: {text}") from None


def read_search_domain(text: str) -> str:
    """A domain to search, or `.` for none. Raises: ValueError."""
    domain = text.strip()
    has_letter = any(each.isascii() and each.isalpha() for each in domain)
    if domain != "." and not (has_letter and _DOMAIN.fullmatch(domain)):
        raise ValueError(f"{domain} is not a valid domain")
    return domain.rstrip(".") or domain


def read_link(text: str) -> str:
    """`container:alias` or `container`. Raises: ValueError."""
    if not text:
        raise ValueError("empty string specified for links")
    if text.count(":") > 1:
        raise ValueError(f"bad format for links: {text}")
    return text


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"invalid ip address: {text}") from None
    return text
