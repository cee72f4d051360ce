"""`network create`, `rm`, `connect`, `disconnect`, `prune`."""

from wherry.cli.command import NONE, ONE, ONE_OR_MORE, TWO, Command
from wherry.cli.containers.verbs import for_each
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import (
    FILTER,
    INT,
    MAP,
    STRING,
    STRINGS,
    SWITCH,
    Flag,
    Parsed,
    filters_of,
    repeated,
)
from wherry.cli.networks.pools import NoSuchPool, pools_of
from wherry.cli.options.environment import LABELS
from wherry.cli.options.networking import read_link
from wherry.cli.session import Session
from wherry.cli.system.pruning import confirmed
from wherry.client.documents import Document, Json, as_json, text, texts
from wherry.client.errors import ApiError

_NOT_FOUND = 404


def create(session: Session, parsed: Parsed) -> int:
    """Make a network and print its id."""
    try:
        pools = pools_of(
            subnets=parsed.texts("subnet"),
            ranges=parsed.texts("ip-range"),
            gateways=parsed.texts("gateway"),
            auxiliary=_pairs(parsed.texts("aux-address")),
        )
    except NoSuchPool as problem:
        raise CommandFailed(str(problem)) from None
    wish: Document = {
        "Name": parsed.arguments[0],
        "Driver": parsed.text("driver") or "bridge",
        "Options": as_json(_pairs(parsed.texts("opt"))),
        "IPAM": {
            "Driver": parsed.text("ipam-driver") or "default",
            "Config": list[Json](pools),
            "Options": as_json(_pairs(parsed.texts("ipam-opt"))),
        },
        "Internal": parsed.is_on("internal"),
        "Attachable": parsed.is_on("attachable"),
        "Ingress": parsed.is_on("ingress"),
        "Scope": parsed.text("scope"),
        "ConfigOnly": parsed.is_on("config-only"),
        "Labels": as_json(_pairs(parsed.texts("label"))),
    }
    for flag, name in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if parsed.was_given(flag):
            wish[name] = parsed.is_on(flag)
    if parsed.text("config-from"):
        wish["ConfigFrom"] = {"Network": parsed.text("config-from")}
    session.say(text(session.client.networks.create(wish), "Id"))
    return 0


def remove(session: Session, parsed: Parsed) -> int:
    """Remove networks; with `--force` one that isn't there is no failure."""
    names = parsed.arguments
    if parsed.is_on("force"):
        names = [name for name in names if _is_there(session, name)]
    return for_each(session, names, session.client.networks.remove)


def _is_there(session: Session, name: str) -> bool:
    try:
        session.client.networks.inspect(name)
    except ApiError as problem:
        return problem.status != _NOT_FOUND
    return True


def connect(session: Session, parsed: Parsed) -> int:
    """Connect a container to a network."""
    network, container = parsed.arguments
    wish: Document = {
        "IPAMConfig": {
            "IPv4Address": parsed.text("ip"),
            "IPv6Address": parsed.text("ip6"),
            "LinkLocalIPs": as_json(parsed.texts("link-local-ip")),
        },
        "Links": as_json(parsed.texts("link")),
        "Aliases": as_json(parsed.texts("alias")),
        "DriverOpts": as_json(_driver_options(parsed.texts("driver-opt"))),
        "GwPriority": parsed.number("gw-priority"),
    }
    session.client.networks.connect(network, container, wish)
    return 0


def disconnect(session: Session, parsed: Parsed) -> int:
    """Take a container off a network."""
    network, container = parsed.arguments
    session.client.networks.disconnect(network, container, is_forced=parsed.is_on("force"))
    return 0


def prune(session: Session, parsed: Parsed) -> int:
    """Remove networks that no container is on."""
    warning = "WARNING! This will remove all custom networks not used by at least one container."
    if not parsed.is_on("force") and not confirmed(session, warning):
        return 0
    answer = session.client.system.prune("networks", filters_of(parsed))
    deleted = texts(answer, "NetworksDeleted")
    if deleted:
        session.say("\n".join(["Deleted Networks:", *deleted, ""]))
    return 0


def _pairs(words: list[str]) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in words)


def _driver_options(words: list[str]) -> dict[str, str]:
    for word in words:
        if not word.partition("=")[0] or "=" not in word:
            raise CommandFailed("invalid key/value pair format in driver options")
    return {key.strip().lower(): value.strip().lower() for key, value in _pairs(words).items()}


_LINK = repeated("list", read_link)

CREATE = Command(
    "NETWORK",
    "Create a network",
    ONE,
    create,
    (
        Flag("attachable", SWITCH, "Let containers be attached by hand (swarm)"),
        Flag("aux-address", MAP, "Addresses of a subnet that are never given out (NAME=IP)"),
        Flag("config-from", STRING, "The network that the configuration is copied from"),
        Flag("config-only", SWITCH, "Make a configuration for other networks"),
        Flag("driver", STRING, "Driver of the network", short="d", default='"bridge"'),
        Flag("gateway", STRINGS, "Gateway of a subnet, IPv4 or IPv6"),
        Flag("ingress", SWITCH, "The routing mesh of a swarm"),
        Flag("internal", SWITCH, "No way in or out"),
        Flag("ip-range", STRINGS, "Part of a subnet that addresses are chosen from"),
        Flag("ipam-driver", STRING, "Who gives out addresses", default='"default"'),
        Flag("ipam-opt", MAP, "Set an option of that driver"),
        Flag("ipv4", SWITCH, "Whether it has IPv4", default="true"),
        Flag("ipv6", SWITCH, "Whether it has IPv6"),
        Flag("label", LABELS, "Set metadata on a network"),
        Flag("opt", MAP, "Set an option of the driver", short="o"),
        Flag("scope", STRING, "How far the network reaches"),
        Flag("subnet", STRINGS, "Subnet in CIDR notation"),
    ),
)
REMOVE = Command(
    "NETWORK [NETWORK...]",
    "Remove one or more networks",
    ONE_OR_MORE,
    remove,
    (Flag("force", SWITCH, "A network that isn't there is no failure", short="f"),),
)
CONNECT = Command(
    "NETWORK CONTAINER",
    "Connect a container to a network",
    TWO,
    connect,
    (
        Flag("alias", STRINGS, "Another name of the container on this network"),
        Flag("driver-opt", STRINGS, "Set an option of the driver for this endpoint"),
        Flag("gw-priority", INT, "The highest has the default route"),
        Flag("ip", STRING, 'IPv4 address ("172.30.100.104")'),
        Flag("ip6", STRING, 'IPv6 address ("2001:db8::33")'),
        Flag("link", _LINK, "Give another container a name for this one"),
        Flag("link-local-ip", STRINGS, "Link-local address of the container"),
    ),
)
DISCONNECT = Command(
    "NETWORK CONTAINER",
    "Take a container off a network",
    TWO,
    disconnect,
    (Flag("force", SWITCH, "A container that is gone is no failure", short="f"),),
)
PRUNE = Command(
    "",
    "Remove all unused networks",
    NONE,
    prune,
    (
        Flag("filter", FILTER, 'Provide filter values ("until=<timestamp>")'),
        Flag("force", SWITCH, "Do not prompt for confirmation", short="f"),
    ),
)
