"""Network namespaces, links, addresses and routes.

Operations on a container's namespace go through a netlink socket that was opened inside it;
the process that performs them never enters. They find it in `Hands`:

    netlink             a socket of the host's namespace
    container-netlink   a socket of the container's namespace
    network-namespace   the namespace itself
"""

import errno
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import addressing, mounts, netlink, network_links
from wherry.operations.network import inside
from wherry.operations.plan import (
    Aspect,
    Call,
    Evidence,
    Finding,
    Hands,
    Operation,
    Verdict,
)

HOST_NETLINK = "netlink"
CONTAINER_NETLINK = "container-netlink"
NAMESPACE = "network-namespace"


@dataclass(frozen=True, slots=True, kw_only=True)
class PinNetworkNamespace(Operation):
    """Give the caller's network namespace a name in the file system, so that it stays."""

    kind: ClassVar[str] = "pin-network-namespace"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    path: str

    def do(self, hands: Hands) -> Evidence:
        # A file that an undo could not remove is as good as a new one.
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
        os.close(os.open(self.path, flags, 0o444))
        try:
            mounts.mount("/proc/thread-self/ns/net", self.path, "", mounts.MS_BIND)
        except OSError:
            os.unlink(self.path)
            raise
        return {"inode": os.stat(self.path).st_ino}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        # EINVAL: nothing is mounted there (any more).
        with tolerating(errno.ENOENT, errno.EINVAL):
            mounts.umount2(self.path, mounts.MNT_DETACH)
        with tolerating(errno.ENOENT):
            os.unlink(self.path)

    def check(self, evidence: Evidence) -> Finding:
        try:
            inode = os.stat(self.path).st_ino
        except FileNotFoundError:
            return Finding(Verdict.GONE, f"no {self.path}")
        same = evidence.get("inode") in (None, inode)
        return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, f"net:[{inode}]")

    def describe(self) -> str:
        return f"keep the network namespace as {self.path}"

    def shell(self) -> str:
        path = shlex.quote(self.path)
        return f"touch {path} && unshare --net={path} true"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("openat", (self.path, "O_CREAT")), Call("mount", (self.path, "MS_BIND")))


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLink(Operation):
    """Making a link of the host. Its alias says whose it is: another's is never taken away."""

    aspect: ClassVar[Aspect] = Aspect.NETWORK

    name: str
    alias: str

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        with route_of(hands) as route:
            found = network_links.find_link(route, self.name)
            if found is not None and found.alias == self.alias:
                network_links.delete_link(route, self.name)

    def check(self, evidence: Evidence) -> Finding:
        return link_finding(self.name, evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBridge(OwnLink):
    """Make a bridge."""

    kind: ClassVar[str] = "create-bridge"

    mac_address: str
    mtu: int = 0
    """Zero: the kernel's 1500."""

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands) as route:
            network_links.create_bridge(
                route, self.name, mac_address=self.mac_address, alias=self.alias, mtu=self.mtu
            )
            return {"ifindex": network_links.link_index(route, self.name)}

    def describe(self) -> str:
        return f"create the bridge {self.name}"

    def shell(self) -> str:
        mtu = f" mtu {self.mtu}" if self.mtu else ""
        return (
            f"ip link add {self.name} address {self.mac_address}{mtu} type bridge; "
            f"ip link set {self.name} alias {self.alias}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateVethPair(Operation):
    """Join a namespace to a bridge: one end is a port of it, the other is born inside."""

    kind: ClassVar[str] = "create-veth-pair"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    name: str
    bridge: str
    peer_name: str
    peer_mac_address: str
    namespace: str
    """Path that the namespace is kept as."""
    mtu: int = 0
    """Zero: the kernel's 1500."""

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands) as route:
            bridge = network_links.link_index(route, self.bridge)
            network_links.create_veth(
                route,
                self.name,
                peer_name=self.peer_name,
                peer_mac_address=self.peer_mac_address,
                peer_namespace=hands.get(NAMESPACE),
                master=bridge,
                mtu=self.mtu,
            )
            return {"ifindex": network_links.link_index(route, self.name), "master": bridge}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        with route_of(hands) as route, tolerating(errno.ENODEV):
            network_links.delete_link(route, self.name)

    def check(self, evidence: Evidence) -> Finding:
        return link_finding(self.name, evidence)

    def describe(self) -> str:
        return f"connect {self.peer_name} inside to {self.name} on {self.bridge}"

    def shell(self) -> str:
        mtu = f" mtu {self.mtu}" if self.mtu else ""
        return (
            f"ip link add {self.name}{mtu} master {self.bridge} type veth peer name "
            f"{self.peer_name} address {self.peer_mac_address}{mtu} netns {self.namespace}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowHairpin(Operation):
    """Let frames leave a bridge port by which they came."""

    kind: ClassVar[str] = "allow-hairpin"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    interface: str

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands) as route:
            network_links.set_hairpin(route, self.interface)
        return {}

    def describe(self) -> str:
        return f"let frames turn round at {self.interface}"

    def shell(self) -> str:
        return f"bridge link set dev {self.interface} hairpin on"


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatePort(Operation):
    """Let a bridge port talk to the bridge and to no other isolated port."""

    kind: ClassVar[str] = "isolate-port"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    interface: str

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands) as route:
            network_links.set_isolated(route, self.interface)
        return {}

    def describe(self) -> str:
        return f"keep {self.interface} apart from its neighbours"

    def shell(self) -> str:
        return f"bridge link set dev {self.interface} isolated on"


@dataclass(frozen=True, slots=True, kw_only=True)
class BringUp(Operation):
    """Switch a link on, which also gives it the routes of its addresses."""

    kind: ClassVar[str] = "bring-up"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    interface: str
    namespace: str = ""
    """Path of the container's namespace; empty: the host's."""

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands, self.namespace) as route:
            network_links.set_up(route, self.interface)
        return {}

    def check(self, evidence: Evidence) -> Finding:
        if self.namespace:
            return inside.link_finding(evidence, self.namespace, self.interface)
        with route_of(Hands()) as route:
            found = network_links.find_link(route, self.interface)
        if found is None:
            return Finding(Verdict.GONE, f"no link {self.interface}")
        if found.is_up:
            return Finding(Verdict.STILL_TRUE, f"{self.interface} is up")
        return Finding(Verdict.CHANGED, f"{self.interface} is down")

    def describe(self) -> str:
        return f"switch {self.interface} on{_where(self.namespace)}"

    def shell(self) -> str:
        return f"{entering(self.namespace)}ip link set {self.interface} up"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignAddress(Operation):
    """Give a link an address, and with it a route to its subnet."""

    kind: ClassVar[str] = "assign-address"
    aspect: ClassVar[Aspect] = Aspect.NETWORK

    interface: str
    address: str
    """With the prefix length: `172.17.0.2/16`."""
    namespace: str = ""

    def do(self, hands: Hands) -> Evidence:
        with route_of(hands, self.namespace) as route:
            index = network_links.link_index(route, self.interface)
            addressing.add_address(route, index, ip_interface(self.address))
        return {"ifindex": index}

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if self.namespace:
            return  # it goes with the namespace
        with route_of(hands) as route, tolerating(errno.ENODEV, errno.EADDRNOTAVAIL):
            index = network_links.link_index(route, self.interface)
            addressing.delete_address(route, index, ip_interface(self.address))

    def check(self, evidence: Evidence) -> Finding:
        if self.namespace:
            address = ip_interface(self.address).ip
            return inside.address_finding(evidence, self.namespace, address)
        with route_of(Hands()) as route:
            found = network_links.find_link(route, self.interface)
            if found is None:
                return Finding(Verdict.GONE, f"no link {self.interface}")
            version = ip_interface(self.address).version
            seen = [
                str(each) for each in addressing.addresses(route, found.index, version=version)
            ]
        same = self.address in seen
        return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, " ".join(seen))

    def describe(self) -> str:
        return f"give {self.interface} the address {self.address}{_where(self.namespace)}"

    def shell(self) -> str:
        return f"{entering(self.namespace)}ip address add {self.address} dev {self.interface}"


# -- shared ----------------------------------------------------------------------------------


@contextmanager
def route_of(hands: Hands, namespace: str = "") -> Iterator[netlink.NetlinkSocket]:
    """The socket of a namespace from the hands; for the host's, a passing one if need be."""
    name = CONTAINER_NETLINK if namespace else HOST_NETLINK
    if namespace or hands.holds(name):
        yield netlink.NetlinkSocket(hands.get(name))
        return
    descriptor = netlink.open_socket()
    try:
        yield netlink.NetlinkSocket(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def tolerating(*numbers: int) -> Iterator[None]:
    """Pass over errors that mean that there is nothing left to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            raise


def link_finding(name: str, evidence: Evidence) -> Finding:
    with route_of(Hands()) as route:
        found = network_links.find_link(route, name)
    if found is None:
        return Finding(Verdict.GONE, f"no link {name}")
    same = evidence.get("ifindex") in (None, found.index)
    same = same and evidence.get("master") in (None, found.master)
    seen = f"{found.index}: {name} master {found.master}"
    return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, seen)


def _where(namespace: str) -> str:
    return " inside" if namespace else ""


def entering(namespace: str) -> str:
    return f"nsenter --net={namespace} " if namespace else ""
