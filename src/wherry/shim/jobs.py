"""Short work inside other namespaces, done by a maker that waits for a container.

It has one thread, so it can enter a namespace and come back. One that could not come back ends,
and another takes its place.
"""

import contextlib
import os
import socket
from collections.abc import Callable

from wherry.kit.messages import Message
from wherry.linux.id_maps import IdMap
from wherry.linux.netlink import open_socket
from wherry.operations import journal as journals
from wherry.operations.network.links import PinNetworkNamespace
from wherry.operations.network.name_server import NAME_SERVER, RedirectNameServer
from wherry.operations.plan import Hands, Journal, OperationFailed, Plan, execute
from wherry.operations.processes.namespaces import JoinNamespace, Unshare
from wherry.operations.processes.sysctls import SetSysctl
from wherry.operations.processes.user_namespaces import USER, EnterOwnedNetwork, MakeUserNamespace
from wherry.shim.views import open_view

Done = tuple[Message, tuple[int, ...]]
"""What a job answers: results, and descriptors that are closed once they are sent."""


def network_namespace_plan(
    path: str, *, has_ipv6: bool, id_maps: tuple[IdMap, IdMap] = ((), ())
) -> Plan:
    """A network namespace of its own for a container, kept at a path; entered by its maker.

    With id maps, of users and of groups, a new user namespace owns it and is kept by it.
    """
    why = "a container on a network has interfaces, addresses and ports of its own"
    making: Plan = (Unshare(why=why, namespaces=("net",)),)
    users, groups = id_maps
    if users:
        making = (
            MakeUserNamespace(
                name=USER,
                uid_map=users,
                gid_map=groups,
                why="root of the container is nobody on the host (--userns, userns-remap)",
            ),
            EnterOwnedNetwork(why=why),
        )
    no_ipv6 = SetSysctl(
        why="the default bridge has no IPv6, so no interface gets such an address",
        name="net/ipv6/conf/default/disable_ipv6",
        value="1",
    )
    pin = PinNetworkNamespace(
        why="the network is configured before the container's first process exists", path=path
    )
    return (*making, no_ipv6, pin) if has_ipv6 else (*making, pin)


def way_back() -> Plan:
    """Where the parent still is."""
    return (
        JoinNamespace(
            why="the process that makes namespaces has other work to do",
            namespace="net",
            path=f"/proc/{os.getppid()}/ns/net",
        ),
    )


def make_network_namespace(message: Message) -> Done:
    """Make the namespace; answer the journal and a netlink socket inside. Raises: OSError."""
    users, groups = (
        tuple((inside, outside, size) for inside, outside, size in message.get(name, ()))
        for name in ("users", "groups")
    )
    plan = network_namespace_plan(
        message["path"],
        has_ipv6=os.path.isdir("/proc/sys/net/ipv6"),
        id_maps=(users, groups),
    )
    journal, inside = _socket_inside(plan)
    return {"entries": journals.to_json(journal)}, (inside,)


def open_netlink(message: Message) -> Done:
    """A netlink socket inside the namespace of a path. Raises: OSError."""
    enter = JoinNamespace(
        why="a netlink socket speaks for the namespace that it was opened in",
        namespace="net",
        path=message["path"],
    )
    return {}, (_socket_inside((enter,))[1],)


def open_plain_socket(message: Message) -> Done:
    """A socket of any family and type inside the namespace of a path. Raises: OSError."""
    enter = JoinNamespace(
        why="a socket belongs to the namespace that it was opened in",
        namespace="net",
        path=message["path"],
    )

    def opened() -> int:
        kind = message["type"] | socket.SOCK_CLOEXEC
        return socket.socket(message["family"], kind, message["protocol"]).detach()

    return {}, (_socket_inside((enter,), opened)[1],)


def set_sysctl(message: Message) -> Done:
    """Set a sysctl of the network namespace of a path; answer the journal. Raises: OSError.

    /proc/sys/net shows the namespace of whoever looks (proc(5)).
    """
    enter = JoinNamespace(
        why="sysctls of the network belong to the namespace that one is in",
        namespace="net",
        path=message["path"],
    )
    change = SetSysctl(why=message["why"], name=message["name"], value=message["value"])
    journal: Journal = []
    try:
        execute((enter, change), Hands(), journal)
        execute(way_back(), Hands(), [])
    except OperationFailed as failed:
        raise OSError(str(failed)) from failed
    return {"entries": journals.to_json(journal)}, ()


def resolver_sockets(message: Message) -> Done:
    """Sockets for a name server inside the namespace of a path, to which 127.0.0.11:53 leads.

    Answer the journal, a UDP socket, and a TCP socket that listens. Raises: OSError.
    """
    enter = JoinNamespace(
        why="sockets belong to the namespace that they were opened in",
        namespace="net",
        path=message["path"],
    )
    journal: Journal = []
    with contextlib.ExitStack() as opened:
        try:
            execute((enter,), Hands(), journal)
            udp = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            tcp = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            for each in (udp, tcp):
                each.bind((NAME_SERVER, 0))
            tcp.listen()
            redirect = RedirectNameServer(
                why="names of a network's containers are answered at 127.0.0.11",
                udp_port=udp.getsockname()[1],
                tcp_port=tcp.getsockname()[1],
            )
            execute((redirect,), Hands(), journal)
            execute(way_back(), Hands(), [])
        except OperationFailed as failed:
            raise OSError(str(failed)) from failed
        opened.pop_all()
    return {"entries": journals.to_json(journal)}, (udp.detach(), tcp.detach())


def _socket_inside(entering: Plan, opened: Callable[[], int] = open_socket) -> tuple[Journal, int]:
    """Enter, open a socket (for netlink, unless another is wanted), and come back.

    Raises: OSError.
    """
    journal: Journal = []
    hands = Hands()
    try:
        execute(entering, hands, journal)
        inside = opened()
        execute(way_back(), hands, journal)
    except OperationFailed as failed:
        raise OSError(str(failed)) from failed
    finally:
        hands.close()
    return journal, inside


JOBS = {
    "network_namespace": make_network_namespace,
    "netlink": open_netlink,
    "socket": open_plain_socket,
    "sysctl": set_sysctl,
    "resolver_sockets": resolver_sockets,
    "view": open_view,
}
"""The jobs by the verb that asks for them."""
