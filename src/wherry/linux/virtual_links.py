"""Links that stand on other links: VLANs, macvlan and ipvlan ports, VXLAN tunnels; dummies.

Each is one RTM_NEWLINK message with a kind and the kind's own attributes. A port that is made
with `namespace` is born there, with its name; the link that it stands on is looked up in the
namespace of the socket.

Sources of the numbers: linux/if_link.h, linux/neighbour.h.
"""

import errno
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

from wherry.kit.values import dataclass
from wherry.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NetlinkSocket,
    attribute,
    attributes,
    number_attribute,
    text_attribute,
)
from wherry.linux.network_links import (
    IFINFOMSG,
    IFLA_ADDRESS,
    IFLA_GROUP,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINKINFO,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    RTM_NEWLINK,
    set_alias,
)
from wherry.linux.syscall import KernelError

RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30

IFLA_VLAN_ID = 1
IFLA_MACVLAN_MODE = 1
IFLA_IPVLAN_MODE, IFLA_IPVLAN_FLAGS = 1, 2
IFLA_VXLAN_ID, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LEARNING = 1, 4, 7
IFLA_VXLAN_PROXY, IFLA_VXLAN_PORT, IFLA_VXLAN_LOCAL6 = 11, 15, 17

MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}

NDA_DST, NDA_LLADDR = 1, 2
NTF_SELF, NTF_MASTER, NTF_STICKY = 2, 4, 0x40
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
_AF_BRIDGE, _AF_INET, _AF_INET6 = 7, 2, 10

_NDMSG = struct.Struct("=BxHiHBB")
_U16 = struct.Struct("=H")
_BE16 = struct.Struct(">H")

Address = IPv4Address | IPv6Address


def knows_kind(route: NetlinkSocket, kind: str) -> bool:
    """Whether the kernel can make links of a kind. Raises: KernelError.

    A link of nothing is asked for: a kind that exists complains of what is missing, one that
    does not is "not supported". Dummies miss nothing, so they are asked for with a bad name.
    """
    payload = IFINFOMSG.pack(0, 0, 0, 0, 0) + text_attribute(IFLA_IFNAME, "a/b")
    payload += attribute(IFLA_LINKINFO, text_attribute(IFLA_INFO_KIND, kind))
    try:
        route.request(
            RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, name="RTM_NEWLINK", operands=(kind,)
        )
    except KernelError as error:
        if error.errno == errno.EPERM:
            raise
        return error.errno != errno.EOPNOTSUPP
    return True


def create_dummy(route: NetlinkSocket, name: str, *, alias: str) -> None:
    """`ip link add NAME type dummy`. Raises: KernelError."""
    _create(route, name, "dummy", b"")
    set_alias(route, name, alias)


def create_vlan(route: NetlinkSocket, name: str, *, parent: int, vlan_id: int, alias: str) -> None:
    """`ip link add NAME link PARENT type vlan id VLAN_ID`. Raises: KernelError."""
    data = attribute(IFLA_VLAN_ID, _U16.pack(vlan_id))
    _create(route, name, "vlan", data, parent=parent)
    set_alias(route, name, alias)


def create_macvlan(
    route: NetlinkSocket,
    name: str,
    *,
    parent: int,
    mode: str,
    mac_address: str,
    namespace: int,
    group: int,
) -> None:
    """`ip link add NAME link PARENT netns NAMESPACE group GROUP type macvlan mode MODE`.

    Raises: KernelError (EBUSY, EINVAL, EEXIST).
    """
    data = number_attribute(IFLA_MACVLAN_MODE, MACVLAN_MODES[mode])
    more = attribute(IFLA_ADDRESS, bytes.fromhex(mac_address.replace(":", "")))
    more += number_attribute(IFLA_GROUP, group)
    _create(route, name, "macvlan", data, parent=parent, namespace=namespace, more=more)


def create_ipvlan(
    route: NetlinkSocket,
    name: str,
    *,
    parent: int,
    mode: str,
    flag: str,
    namespace: int,
    group: int,
) -> None:
    """`ip link add NAME link PARENT netns NAMESPACE group GROUP type ipvlan mode MODE FLAG`.

    Raises: KernelError (EBUSY, EINVAL, EEXIST, EOPNOTSUPP).
    """
    data = attribute(IFLA_IPVLAN_MODE, _U16.pack(IPVLAN_MODES[mode]))
    data += attribute(IFLA_IPVLAN_FLAGS, _U16.pack(IPVLAN_FLAGS[flag]))
    more = number_attribute(IFLA_GROUP, group)
    _create(route, name, "ipvlan", data, parent=parent, namespace=namespace, more=more)


def create_vxlan(
    route: NetlinkSocket, name: str, *, vni: int, local: Address, port: int, mtu: int, alias: str
) -> None:
    """`ip link add NAME mtu MTU type vxlan id VNI local LOCAL dstport PORT nolearning proxy`.

    With `proxy` it answers ARP requests itself, from its neighbour table, and floods none.
    Raises: KernelError.
    """
    kind = IFLA_VXLAN_LOCAL if local.version == 4 else IFLA_VXLAN_LOCAL6
    data = (
        number_attribute(IFLA_VXLAN_ID, vni)
        + attribute(kind, local.packed)
        + attribute(IFLA_VXLAN_LEARNING, b"\0")
        + attribute(IFLA_VXLAN_PROXY, b"\1")
        + attribute(IFLA_VXLAN_PORT, _BE16.pack(port))
    )
    _create(route, name, "vxlan", data, more=number_attribute(IFLA_MTU, mtu))
    set_alias(route, name, alias)


def _create(
    route: NetlinkSocket,
    name: str,
    kind: str,
    data: bytes,
    *,
    parent: int = 0,
    namespace: int = -1,
    more: bytes = b"",
) -> None:
    info = text_attribute(IFLA_INFO_KIND, kind) + attribute(IFLA_INFO_DATA, data)
    payload = IFINFOMSG.pack(0, 0, 0, 0, 0) + text_attribute(IFLA_IFNAME, name) + more
    if parent:
        payload += number_attribute(IFLA_LINK, parent)
    if namespace >= 0:
        payload += number_attribute(IFLA_NET_NS_FD, namespace)
    payload += attribute(IFLA_LINKINFO, info)
    route.request(
        RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload, name="RTM_NEWLINK", operands=(name, kind)
    )


# -- who is behind a tunnel ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """An entry of a tunnel's forwarding table: frames for an address go to a host."""

    mac_address: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An entry of a link's neighbour table: who has an IP address."""

    address: str
    mac_address: str


def set_forwarding(route: NetlinkSocket, index: int, entry: Forwarding) -> None:
    """`bridge fdb replace MAC dev LINK dst HOST self permanent`. Raises: KernelError."""
    _neighbour(
        route, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, index, _AF_BRIDGE,
        ip_address(entry.host), entry.mac_address,
    )  # fmt: skip


def delete_forwarding(route: NetlinkSocket, index: int, entry: Forwarding) -> None:
    """`bridge fdb delete MAC dev LINK dst HOST`. Raises: KernelError (ENOENT)."""
    _neighbour(
        route, RTM_DELNEIGH, 0, index, _AF_BRIDGE, ip_address(entry.host), entry.mac_address
    )


def set_neighbour(route: NetlinkSocket, index: int, entry: Neighbour) -> None:
    """`ip neighbour replace ADDRESS lladdr MAC dev LINK nud permanent`. Raises: KernelError."""
    address = ip_address(entry.address)
    flags = NLM_F_CREATE | NLM_F_REPLACE
    family = _family(address)
    _neighbour(route, RTM_NEWNEIGH, flags, index, family, address, entry.mac_address)


def delete_neighbour(route: NetlinkSocket, index: int, entry: Neighbour) -> None:
    """`ip neighbour delete ADDRESS dev LINK`. Raises: KernelError (ENOENT)."""
    address = ip_address(entry.address)
    family = _family(address)
    _neighbour(route, RTM_DELNEIGH, 0, index, family, address, entry.mac_address)


def pin_mac_address(route: NetlinkSocket, port: int, mac_address: str) -> None:
    """`bridge fdb replace MAC dev PORT master static sticky`: frames for it go to no other port.

    The entry goes with the port. Raises: KernelError.
    """
    payload = _NDMSG.pack(_AF_BRIDGE, 0, port, NUD_NOARP, NTF_MASTER | NTF_STICKY, 0)
    payload += attribute(NDA_LLADDR, bytes.fromhex(mac_address.replace(":", "")))
    flags = NLM_F_CREATE | NLM_F_REPLACE
    route.request(RTM_NEWNEIGH, flags, payload, name="RTM_NEWNEIGH", operands=(port, mac_address))


def forwardings(route: NetlinkSocket, index: int) -> list[Forwarding]:
    """The forwarding table of a tunnel. Raises: KernelError."""
    return [
        Forwarding(mac_address=mac, host=str(address))
        for mac, address in _neighbours(route, index, _AF_BRIDGE)
    ]


def neighbours(route: NetlinkSocket, index: int, *, version: int = 4) -> list[Neighbour]:
    """The lasting entries of a link's neighbour table. Raises: KernelError."""
    family = _AF_INET if version == 4 else _AF_INET6
    return [
        Neighbour(address=str(address), mac_address=mac)
        for mac, address in _neighbours(route, index, family)
    ]


def _family(address: Address) -> int:
    return _AF_INET if address.version == 4 else _AF_INET6


def _neighbour(
    route: NetlinkSocket,
    kind: int,
    flags: int,
    index: int,
    family: int,
    address: Address,
    mac_address: str,
) -> None:
    own = NTF_SELF if family == _AF_BRIDGE else 0
    payload = (
        _NDMSG.pack(family, 0, index, NUD_PERMANENT, own, 0)
        + attribute(NDA_DST, address.packed)
        + attribute(NDA_LLADDR, bytes.fromhex(mac_address.replace(":", "")))
    )
    name = "RTM_NEWNEIGH" if kind == RTM_NEWNEIGH else "RTM_DELNEIGH"
    route.request(kind, flags, payload, name=name, operands=(index, str(address), mac_address))


def _neighbours(route: NetlinkSocket, index: int, family: int) -> list[tuple[str, Address]]:
    found = []
    wanted = _NDMSG.pack(family, 0, 0, 0, 0, 0)
    for body in route.dump(RTM_GETNEIGH, wanted, name="RTM_GETNEIGH"):
        _family, _pad, link, state, _flags, _type = _NDMSG.unpack_from(body)
        parts = attributes(body[_NDMSG.size :])
        if link == index and state & NUD_PERMANENT and NDA_DST in parts and NDA_LLADDR in parts:
            found.append((parts[NDA_LLADDR].hex(":"), ip_address(parts[NDA_DST])))
    return found


assert _NDMSG.size == 12, "struct ndmsg, linux/neighbour.h"
