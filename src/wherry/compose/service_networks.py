"""How a container of a service is on its networks: which first, with which names and addresses."""

from wherry.client.documents import Document, Json, child, document, number, text, texts
from wherry.compose.application import Application
from wherry.compose.making import Making


def networks_by_priority(service: Document) -> list[str]:
    """The keys of its networks; the first is the one that the container is made on."""
    networks = child(service, "networks")
    return sorted(networks, key=lambda key: (-number(document(networks[key]), "priority"), key))


def network_names(made: Application, service: Document) -> list[str]:
    """The engine's names of its networks, in the same order."""
    return [
        text(child(made.networks, key), "name") or key for key in networks_by_priority(service)
    ]


def endpoint(
    made: Application, making: Making, service: Document, key: str, links: list[str]
) -> Document:
    """The settings of a container on one network."""
    wanted = document(child(service, "networks").get(key))
    is_first = networks_by_priority(service)[0] == key
    result: Document = {
        "Aliases": _aliases(made, making, wanted),
        "Links": list(links) or None,
        "MacAddress": text(wanted, "mac_address")
        or (text(service, "mac_address") if is_first else ""),
        "DriverOpts": driver_options(wanted),
        "GwPriority": number(wanted, "gw_priority"),
    }
    if wanted:
        result["IPAMConfig"] = {
            "IPv4Address": text(wanted, "ipv4_address"),
            "IPv6Address": text(wanted, "ipv6_address"),
            "LinkLocalIPs": list(texts(wanted, "link_local_ips")) or None,
        }
    return result


def driver_options(wanted: Document) -> Document | None:
    """The driver's options, the name of the interface among them."""
    options = dict(child(wanted, "driver_opts"))
    if name := text(wanted, "interface_name"):
        options["com.docker.network.endpoint.ifname"] = name
    return options or None


def _aliases(made: Application, making: Making, wanted: Document) -> list[Json]:
    own = making.name
    if making.replaces is not None:  # It has a name of its own until the old one is gone.
        own = made.container_name(making.service, making.number)
    if not making.has_aliases:
        return [own]
    return [own, making.service, *texts(wanted, "aliases")]
