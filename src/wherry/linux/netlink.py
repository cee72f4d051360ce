"""Links, addresses and routes: the dozen rtnetlink messages that we use.

Theory of operation. A netlink socket belongs for ever to the network namespace in which it was
opened, whoever holds its descriptor; so a process that never enters a container's namespace
can still configure it through a socket that was opened inside. `NetlinkSocket` therefore wraps
a descriptor and nothing else. A request is a header, a fixed structure, and attributes
(type-length-value, padded to four bytes); the kernel answers each with an acknowledgement that
carries zero or an errno (netlink(7), rtnetlink(7), linux/rtnetlink.h, linux/if_link.h).

Sources of the numbers: linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/veth.h.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)

from wherry.kit.values import dataclass
from wherry.linux.syscall import KernelError

NETLINK_ROUTE = 0
SO_SNDBUFFORCE = 32

NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400

NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE = 1, 2, 3

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_NET_NS_FD, IFLA_EXT_MASK = 18, 20, 28, 29
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED = 4, 33
VETH_INFO_PEER = 1
RTEXT_FILTER_SKIP_STATS = 1 << 3

IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFA_F_NODAD = 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_TABLE = 1, 4, 5, 15

RT_TABLE_MAIN = 254
RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST = 3, 0, 1
RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 253, 255
IFF_UP = 1

HEADER = struct.Struct("=IHHII")
IFINFOMSG = struct.Struct("=BxHiII")
IFADDRMSG = struct.Struct("=BBBBI")
RTMSG = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_U32 = struct.Struct("=I")
_ERROR = struct.Struct("=i")
_TYPE_MASK = 0x3FFF
"""The two upper bits of an attribute's type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER)."""
_RECEIVE_BYTES = 1 << 17


# -- attributes ------------------------------------------------------------------------------


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + bytes(-length % 4)


def text_attribute(kind: int, text: str) -> bytes:
    """An attribute that holds a string with its zero byte."""
    return attribute(kind, text.encode() + b"\0")


def number_attribute(kind: int, number: int) -> bytes:
    """An attribute that holds 32 bits in the machine's byte order."""
    return attribute(kind, _U32.pack(number))


def attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by type, flags of the type dropped."""
    found = {}
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[position + _ATTRIBUTE.size : position + length]
        position += (length + 3) & ~3
    return found


def nested_list(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Attributes in order, where one type comes several times."""
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size:
            break
        yield kind & _TYPE_MASK, data[position + _ATTRIBUTE.size : position + length]
        position += (length + 3) & ~3


def message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """A whole message with its header."""
    return HEADER.pack(HEADER.size + len(payload), kind, flags, sequence, 0) + payload


def messages(packet: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, sequence number and payload of each message in a packet."""
    position = 0
    while position + HEADER.size <= len(packet):
        length, kind, _flags, sequence, _port = HEADER.unpack_from(packet, position)
        if length < HEADER.size:
            break
        yield kind, sequence, packet[position + HEADER.size : position + length]
        position += (length + 3) & ~3


def error_of(payload: bytes) -> int:
    """The errno in an NLMSG_ERROR or NLMSG_DONE message; zero is an acknowledgement."""
    return -int(_ERROR.unpack_from(payload)[0]) if len(payload) >= _ERROR.size else 0


# -- the socket ------------------------------------------------------------------------------


def open_socket(protocol: int = NETLINK_ROUTE, *, send_bytes: int = 0) -> int:
    """A netlink socket of this thread's network namespace. Raises: OSError.

    `send_bytes` is how much one write may be, where the system's default is less.
    """
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    if send_bytes:
        opened.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, send_bytes)
    return opened.detach()


class NetlinkSocket:
    """Requests and answers over a descriptor that somebody else owns. Not thread-safe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sequence = 0

    def request(
        self, kind: int, flags: int, payload: bytes, *, name: str, operands: tuple[object, ...]
    ) -> None:
        """Send one change and wait for its acknowledgement.

        Raises: KernelError with the request's name and operands.
        """
        self._send(kind, NLM_F_REQUEST | NLM_F_ACK | flags, payload)
        for answer, body in self._answers():
            if answer == NLMSG_ERROR:
                code = error_of(body)
                if code:
                    raise KernelError(code, name, *operands)
                return

    def ask(self, kind: int, payload: bytes, *, name: str, operands: tuple[object, ...]) -> bytes:
        """Ask for one thing: the payload of the answer. Raises: KernelError."""
        self._send(kind, NLM_F_REQUEST, payload)
        for answer, body in self._answers():
            if answer == NLMSG_ERROR:
                raise KernelError(error_of(body), name, *operands)
            return body
        raise AssertionError("unreachable")

    def dump(self, kind: int, payload: bytes, *, name: str) -> list[bytes]:
        """Ask for a whole table: the payloads of its entries. Raises: KernelError."""
        self._send(kind, NLM_F_REQUEST | NLM_F_DUMP, payload)
        found = []
        for answer, body in self._answers():
            if answer in (NLMSG_ERROR, NLMSG_DONE):
                code = error_of(body)
                if code:
                    raise KernelError(code, name)
                break
            found.append(body)
        return found

    def _send(self, kind: int, flags: int, payload: bytes) -> None:
        self._sequence += 1
        os.write(self._descriptor, message(kind, flags, self._sequence, payload))

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        """Messages that answer the latest request; older ones are left-overs of an error."""
        while True:
            for kind, sequence, body in messages(os.read(self._descriptor, _RECEIVE_BYTES)):
                if sequence == self._sequence:
                    yield kind, body


# -- links -----------------------------------------------------------------------------------


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


# -- addresses and routes --------------------------------------------------------------------


Interface = IPv4Interface | IPv6Interface
Gateway = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of the main table."""

    destination: IPv4Network | IPv6Network
    link_index: int
    """Zero: none, as for an unreachable route."""


def add_address(route: NetlinkSocket, index: int, address: Interface) -> None:
    """`ip address add ADDRESS dev INDEX`; an IPv6 one `nodad`: it was leased, so it is ours.

    Raises: KernelError (EEXIST).
    """
    _change_address(route, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, address)


def delete_address(route: NetlinkSocket, index: int, address: Interface) -> None:
    """`ip address delete ADDRESS dev INDEX`. Raises: KernelError (EADDRNOTAVAIL)."""
    _change_address(route, RTM_DELADDR, 0, index, address)


def _change_address(
    route: NetlinkSocket, kind: int, flags: int, index: int, address: Interface
) -> None:
    network = address.network
    family = _FAMILIES[address.version]
    own_flags = IFA_F_NODAD if address.version == 6 else 0
    payload = IFADDRMSG.pack(family, network.prefixlen, own_flags, RT_SCOPE_UNIVERSE, index)
    payload += attribute(IFA_LOCAL, address.ip.packed) + attribute(IFA_ADDRESS, address.ip.packed)
    if address.version == 4 and network.prefixlen < 31:
        payload += attribute(IFA_BROADCAST, network.broadcast_address.packed)
    name = "RTM_NEWADDR" if kind == RTM_NEWADDR else "RTM_DELADDR"
    route.request(kind, flags, payload, name=name, operands=(str(address), index))


def addresses(route: NetlinkSocket, index: int, *, version: int = 4) -> list[Interface]:
    """The addresses of a device, of one family. Raises: KernelError."""
    found: list[Interface] = []
    wanted = IFADDRMSG.pack(_FAMILIES[version], 0, 0, 0, 0)
    for body in route.dump(RTM_GETADDR, wanted, name="RTM_GETADDR"):
        _family, prefix_length, _flags, _scope, link = IFADDRMSG.unpack_from(body)
        parts = attributes(body[IFADDRMSG.size :])
        local = parts.get(IFA_LOCAL, parts.get(IFA_ADDRESS))
        if link == index and local is not None:
            found.append(ip_interface((local, prefix_length)))
    return found


def add_default_route(route: NetlinkSocket, gateway: Gateway) -> None:
    """`ip route add default via GATEWAY`. Raises: KernelError (EEXIST, ENETUNREACH)."""
    _default_route(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, gateway)


def delete_default_route(route: NetlinkSocket, gateway: Gateway) -> None:
    """`ip route delete default via GATEWAY`. Raises: KernelError (ESRCH)."""
    _default_route(route, RTM_DELROUTE, 0, gateway)


def add_route(
    route: NetlinkSocket, destination: Subnet, *, gateway: Gateway | None, index: int
) -> None:
    """`ip route add DESTINATION [via GATEWAY] dev LINK`. Raises: KernelError (EEXIST, …)."""
    _route(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, destination, gateway, index)


def delete_route(route: NetlinkSocket, destination: Subnet, *, index: int) -> None:
    """`ip route delete DESTINATION dev LINK`. Raises: KernelError (ESRCH)."""
    _route(route, RTM_DELROUTE, 0, destination, None, index)


def _route(
    route: NetlinkSocket,
    kind: int,
    flags: int,
    destination: Subnet,
    gateway: Gateway | None,
    index: int,
) -> None:
    is_to_link = gateway is None and destination.version == 4
    scope = RT_SCOPE_LINK if is_to_link else RT_SCOPE_UNIVERSE
    if kind == RTM_DELROUTE:
        scope = RT_SCOPE_NOWHERE  # whichever it has (fib_table_delete)
    family, length = _FAMILIES[destination.version], destination.prefixlen
    payload = RTMSG.pack(family, length, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0)
    if length:
        payload += attribute(RTA_DST, destination.network_address.packed)
    if gateway is not None:
        payload += attribute(RTA_GATEWAY, gateway.packed)
    payload += number_attribute(RTA_OIF, index)
    name = "RTM_NEWROUTE" if kind == RTM_NEWROUTE else "RTM_DELROUTE"
    route.request(kind, flags, payload, name=name, operands=(str(destination), index))


def _default_route(route: NetlinkSocket, kind: int, flags: int, gateway: Gateway) -> None:
    payload = RTMSG.pack(
        _FAMILIES[gateway.version],
        0,
        0,
        0,
        RT_TABLE_MAIN,
        RTPROT_BOOT,
        RT_SCOPE_UNIVERSE,
        RTN_UNICAST,
        0,
    ) + attribute(RTA_GATEWAY, gateway.packed)
    name = "RTM_NEWROUTE" if kind == RTM_NEWROUTE else "RTM_DELROUTE"
    route.request(kind, flags, payload, name=name, operands=("default", str(gateway)))


def routes(route: NetlinkSocket, *, version: int = 4) -> list[Route]:
    """The routes of the main table, of one family. Raises: KernelError."""
    found = []
    wanted = RTMSG.pack(_FAMILIES[version], 0, 0, 0, 0, 0, 0, 0, 0)
    any_address = bytes(4 if version == 4 else 16)
    for body in route.dump(RTM_GETROUTE, wanted, name="RTM_GETROUTE"):
        prefix_length, table = body[1], body[4]
        parts = attributes(body[RTMSG.size :])
        if RTA_TABLE in parts:
            table = _U32.unpack(parts[RTA_TABLE])[0]
        if table != RT_TABLE_MAIN:
            continue
        destination = ip_network((parts.get(RTA_DST, any_address), prefix_length))
        index = _U32.unpack(parts[RTA_OIF])[0] if RTA_OIF in parts else 0
        found.append(Route(destination=destination, link_index=index))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The route that the kernel takes to one address."""

    link_index: int
    gateway: Gateway | None
    """None: the address is on the link itself."""


def way_to(route: NetlinkSocket, address: Gateway) -> Way:
    """`ip route get ADDRESS`. Raises: KernelError (ENETUNREACH, EHOSTUNREACH, EACCES)."""
    payload = RTMSG.pack(
        _FAMILIES[address.version], address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0
    ) + attribute(RTA_DST, address.packed)
    body = route.ask(RTM_GETROUTE, payload, name="RTM_GETROUTE", operands=(str(address),))
    parts = attributes(body[RTMSG.size :])
    return Way(
        link_index=_U32.unpack(parts[RTA_OIF])[0] if RTA_OIF in parts else 0,
        gateway=ip_address(parts[RTA_GATEWAY]) if RTA_GATEWAY in parts else None,
    )


def _mtu(mtu: int) -> bytes:
    return number_attribute(IFLA_MTU, mtu) if mtu else b""


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))
