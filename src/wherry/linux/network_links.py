"""Links of the network: bridges and veth pairs are made, all are found, switched on and deleted.

Each is one RTM_*LINK message (rtnetlink(7)): a fixed structure and attributes. Sources of the
numbers: linux/rtnetlink.h, linux/if_link.h, linux/veth.h.
"""

import errno
import struct

from wherry.kit.values import dataclass
from wherry.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NetlinkSocket,
    attribute,
    attributes,
    number_attribute,
    text_attribute,
)
from wherry.linux.syscall import KernelError

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_GROUP, IFLA_NET_NS_FD, IFLA_EXT_MASK = 18, 20, 27, 28, 29
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED = 4, 33
VETH_INFO_PEER = 1
RTEXT_FILTER_SKIP_STATS = 1 << 3
IFF_UP = 1

IFINFOMSG = struct.Struct("=BxHiII")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network device as the kernel describes it."""

    index: int
    name: str
    kind: str
    """`bridge`, `veth`; empty for a physical one or loopback."""
    is_up: bool
    master: int
    """Index of the bridge it is a port of; zero: none."""
    mac_address: str
    alias: str
    group: int = 0
    is_isolated: bool = False
    """Whether, as a port of a bridge, it passes nothing to other isolated ports."""


def links(route: NetlinkSocket) -> list[Link]:
    """Every device of the socket's namespace. Raises: KernelError."""
    wanted = IFINFOMSG.pack(0, 0, 0, 0, 0)
    wanted += number_attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    return [_link(body) for body in route.dump(RTM_GETLINK, wanted, name="RTM_GETLINK")]


def find_link(route: NetlinkSocket, name: str) -> Link | None:
    """The device with a name, if there is one. Raises: KernelError."""
    wanted = IFINFOMSG.pack(0, 0, 0, 0, 0) + text_attribute(IFLA_IFNAME, name)
    wanted += number_attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    try:
        return _link(route.ask(RTM_GETLINK, wanted, name="RTM_GETLINK", operands=(name,)))
    except KernelError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def link_index(route: NetlinkSocket, name: str) -> int:
    """The index of a device. Raises: KernelError (ENODEV)."""
    found = find_link(route, name)
    if found is None:
        raise KernelError(errno.ENODEV, "RTM_GETLINK", name)
    return found.index


def _link(body: bytes) -> Link:
    _family, _type, index, flags, _change = IFINFOMSG.unpack_from(body)
    found = attributes(body[IFINFOMSG.size :])
    info = attributes(found.get(IFLA_LINKINFO, b""))
    port = attributes(info.get(IFLA_INFO_SLAVE_DATA, b""))
    kind = info.get(IFLA_INFO_KIND, b"")
    return Link(
        index=index,
        name=_text(found.get(IFLA_IFNAME, b"")),
        kind=_text(kind),
        is_up=bool(flags & IFF_UP),
        master=int.from_bytes(found.get(IFLA_MASTER, b""), "little"),
        mac_address=found.get(IFLA_ADDRESS, b"").hex(":"),
        alias=_text(found.get(IFLA_IFALIAS, b"")),
        group=int.from_bytes(found.get(IFLA_GROUP, b""), "little"),
        is_isolated=port.get(IFLA_BRPORT_ISOLATED) == b"\1",
    )


def create_bridge(
    route: NetlinkSocket, name: str, *, mac_address: str, alias: str, mtu: int = 0
) -> None:
    """`ip link add NAME type bridge`.

    A bridge without an address of its own takes the lowest of its ports' and so changes it
    when ports come and go; a given one stays.

    Raises: KernelError (EEXIST).
    """
    payload = (
        IFINFOMSG.pack(0, 0, 0, 0, 0)
        + text_attribute(IFLA_IFNAME, name)
        + attribute(IFLA_ADDRESS, _mac(mac_address))
        + _mtu(mtu)
        + attribute(IFLA_LINKINFO, text_attribute(IFLA_INFO_KIND, "bridge"))
    )
    route.request(
        RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, name="RTM_NEWLINK", operands=(name,)
    )
    set_alias(route, name, alias)


def create_veth(
    route: NetlinkSocket,
    name: str,
    *,
    peer_name: str,
    peer_mac_address: str,
    peer_namespace: int,
    master: int,
    mtu: int = 0,
) -> None:
    """A veth pair: one end here as a port of a bridge, the other in a namespace, at once.

    The peer is born in the namespace of the descriptor with its name and address, so that it
    is never seen here and never renamed.

    Raises: KernelError (EEXIST, EINVAL).
    """
    peer = (
        IFINFOMSG.pack(0, 0, 0, 0, 0)
        + text_attribute(IFLA_IFNAME, peer_name)
        + attribute(IFLA_ADDRESS, _mac(peer_mac_address))
        + number_attribute(IFLA_NET_NS_FD, peer_namespace)
        + _mtu(mtu)
    )
    info = text_attribute(IFLA_INFO_KIND, "veth") + attribute(
        IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer)
    )
    payload = (
        IFINFOMSG.pack(0, 0, 0, 0, 0)
        + text_attribute(IFLA_IFNAME, name)
        + (number_attribute(IFLA_MASTER, master) if master else b"")
        + _mtu(mtu)
        + attribute(IFLA_LINKINFO, info)
    )
    route.request(
        RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL,
        payload,
        name="RTM_NEWLINK",
        operands=(name, peer_name),
    )


def set_alias(route: NetlinkSocket, name: str, alias: str) -> None:
    """`ip link set NAME alias TEXT`. Raises: KernelError."""
    payload = IFINFOMSG.pack(0, 0, 0, 0, 0) + text_attribute(IFLA_IFNAME, name)
    payload += attribute(IFLA_IFALIAS, alias.encode())
    route.request(RTM_SETLINK, 0, payload, name="RTM_SETLINK", operands=(name, alias))


def set_master(route: NetlinkSocket, name: str, master: int) -> None:
    """`ip link set NAME master BRIDGE`, the bridge by index. Raises: KernelError."""
    payload = IFINFOMSG.pack(0, 0, 0, 0, 0) + text_attribute(IFLA_IFNAME, name)
    payload += number_attribute(IFLA_MASTER, master)
    route.request(RTM_SETLINK, 0, payload, name="RTM_SETLINK", operands=(name, "master", master))


def set_hairpin(route: NetlinkSocket, name: str) -> None:
    """`bridge link set dev NAME hairpin on`: frames may leave by the port they came in.

    Raises: KernelError.
    """
    _set_port_flag(route, name, IFLA_BRPORT_MODE, "hairpin")


def set_isolated(route: NetlinkSocket, name: str) -> None:
    """`bridge link set dev NAME isolated on`: no frame goes between two isolated ports.

    Raises: KernelError.
    """
    _set_port_flag(route, name, IFLA_BRPORT_ISOLATED, "isolated")


def _set_port_flag(route: NetlinkSocket, name: str, kind: int, shown: str) -> None:
    slave = text_attribute(IFLA_INFO_SLAVE_KIND, "bridge") + attribute(
        IFLA_INFO_SLAVE_DATA, attribute(kind, b"\1")
    )
    payload = (
        IFINFOMSG.pack(0, 0, 0, 0, 0)
        + text_attribute(IFLA_IFNAME, name)
        + attribute(IFLA_LINKINFO, slave)
    )
    route.request(RTM_NEWLINK, 0, payload, name="RTM_NEWLINK", operands=(name, shown))


def move_link(
    route: NetlinkSocket, index: int, *, name: str, namespace: int, mac_address: str = ""
) -> None:
    """`ip link set LINK netns NAMESPACE name NAME`; it arrives switched off.

    Raises: KernelError (EEXIST: the name is taken there).
    """
    payload = (
        IFINFOMSG.pack(0, 0, index, 0, 0)
        + text_attribute(IFLA_IFNAME, name)
        + number_attribute(IFLA_NET_NS_FD, namespace)
    )
    if mac_address:
        payload += attribute(IFLA_ADDRESS, _mac(mac_address))
    route.request(RTM_SETLINK, 0, payload, name="RTM_SETLINK", operands=(index, "netns", name))


def set_up(route: NetlinkSocket, name: str) -> None:
    """`ip link set NAME up`. Raises: KernelError."""
    payload = IFINFOMSG.pack(0, 0, 0, IFF_UP, IFF_UP) + text_attribute(IFLA_IFNAME, name)
    route.request(RTM_SETLINK, 0, payload, name="RTM_SETLINK", operands=(name, "up"))


def delete_link(route: NetlinkSocket, name: str) -> None:
    """`ip link delete NAME`; of a veth pair both ends go. Raises: KernelError (ENODEV)."""
    payload = IFINFOMSG.pack(0, 0, 0, 0, 0) + text_attribute(IFLA_IFNAME, name)
    route.request(RTM_DELLINK, 0, payload, name="RTM_DELLINK", operands=(name,))


def _mtu(mtu: int) -> bytes:
    return number_attribute(IFLA_MTU, mtu) if mtu else b""


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))
