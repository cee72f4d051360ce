"""The endpoints of a container: its networks, and what it is told about each.

Each network has options of its own (`--network name=n1,ip=10.0.0.2`). Those that name no network
(`--ip`, `--network-alias`) are of the first one, and are not said twice.
"""

from collections.abc import Sequence

from wherry.cli.flags import Parsed
from wherry.cli.options.networking import is_mac_address
from wherry.client.documents import Document, as_json, document

_BUILT_IN = ("default", "bridge", "host", "none")


def network_mode(parsed: Parsed) -> str:
    """The name of the first network, which is the container's mode."""
    return str(_networks(parsed)[0]["Target"])


def endpoints(parsed: Parsed) -> Document:
    """One endpoint per network that is told more than its name, and for each of several.

    Raises: ValueError with Docker's text.
    """
    networks = _networks(parsed)
    names = [str(network["Target"]) for network in networks]
    if "" in names:
        raise ValueError("no name set for network")
    result: Document = {}
    for position, (name, network) in enumerate(zip(names, networks, strict=True)):
        if name in result:
            raise ValueError(f'network "{name}" is specified multiple times')
        endpoint = _own_options(network)
        if position == 0:
            _add_shared_options(endpoint, parsed)
        if "Aliases" in endpoint and not is_user_defined(name):
            raise ValueError("network-scoped aliases are only supported for user-defined networks")
        result[name] = endpoint
    if len({is_user_defined(name) for name in names}) > 1:
        raise ValueError(
            "conflicting options: cannot attach both user-defined and non-user-defined "
            "network-modes"
        )
    return {name: told for name, told in result.items() if told or len(names) > 1}


def is_user_defined(mode: str) -> bool:
    """Whether somebody made the network, so that its links are its own affair."""
    return mode not in _BUILT_IN and not mode.startswith("container:")


def _networks(parsed: Parsed) -> list[Document]:
    given = parsed.objects("network") + parsed.objects("net")
    return [document(each) for each in given if isinstance(each, dict)] or [{"Target": "default"}]


def _own_options(network: Document) -> Document:
    endpoint = _picked(network, ("Aliases", "DriverOpts", "MacAddress", "GwPriority"))
    if addresses := _picked(network, ("IPv4Address", "IPv6Address", "LinkLocalIPs")):
        endpoint["IPAMConfig"] = addresses
    return endpoint


def _picked(members: Document, names: Sequence[str]) -> Document:
    return {name: members[name] for name in names if name in members}


def _add_shared_options(endpoint: Document, parsed: Parsed) -> None:
    addresses = document(endpoint.get("IPAMConfig"))
    mac_address = parsed.text("mac-address")
    if mac_address and not is_mac_address(mac_address):
        raise ValueError(f"{mac_address} is not a valid mac address")
    aliases = parsed.texts("network-alias") + parsed.texts("net-alias")
    for flag, of, field, value, words in (
        ("network-alias", endpoint, "Aliases", as_json(aliases), "alias"),
        ("ip", addresses, "IPv4Address", parsed.text("ip"), "IPv4 address"),
        ("ip6", addresses, "IPv6Address", parsed.text("ip6"), "IPv6 address"),
        ("mac-address", endpoint, "MacAddress", mac_address, "MAC address"),
        ("link-local-ip", addresses, "LinkLocalIPs", as_json(parsed.texts("link-local-ip")),
         "link-local IP addresses"),
    ):  # fmt: skip
        if not value:
            continue
        if field in of:
            raise ValueError(
                f"conflicting options: cannot specify both --{flag} and per-network {words}"
            )
        of[field] = value
    if addresses:
        endpoint["IPAMConfig"] = addresses
    if parsed.texts("link") and is_user_defined(network_mode(parsed)):
        endpoint["Links"] = as_json(parsed.texts("link"))
