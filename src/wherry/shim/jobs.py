"""Short work inside other network namespaces, done in a forked child of the spawner.

The child has one thread and ends right after its answer, so whatever it entered ends with it.
"""

import os

from wherry.kit.messages import Message
from wherry.linux.netlink import open_socket
from wherry.linux.process import CLONE_NEWNET, setns
from wherry.operations import journal as journals
from wherry.operations.links import PinNetworkNamespace
from wherry.operations.namespaces import Unshare
from wherry.operations.plan import Hands, Journal, OperationFailed, Plan, execute
from wherry.operations.sysctls import SetSysctl


def network_namespace_plan(path: str, *, has_ipv6: bool) -> Plan:
    """A network namespace of its own for a container, kept at a path."""
    unshare = Unshare(
        why="a container on a network has interfaces, addresses and ports of its own",
        namespaces=("net",),
    )
    no_ipv6 = SetSysctl(
        why="the default bridge has no IPv6, so no interface gets such an address",
        name="net/ipv6/conf/default/disable_ipv6",
        value="1",
    )
    pin = PinNetworkNamespace(
        why="the network is configured before the container's first process exists", path=path
    )
    return (unshare, no_ipv6, pin) if has_ipv6 else (unshare, pin)


def make_network_namespace(message: Message) -> tuple[Message, int]:
    """Make the namespace; answer the journal and a netlink socket inside. Raises: OSError."""
    journal: Journal = []
    try:
        plan = network_namespace_plan(
            message["path"], has_ipv6=os.path.isdir("/proc/sys/net/ipv6")
        )
        execute(plan, Hands(), journal)
    except OperationFailed as failed:
        raise OSError(str(failed)) from failed
    return {"entries": journals.to_json(journal)}, open_socket()


def open_netlink(message: Message) -> tuple[Message, int]:
    """A netlink socket inside the namespace of a path. Raises: OSError."""
    namespace = os.open(message["path"], os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(namespace, CLONE_NEWNET)
    finally:
        os.close(namespace)
    return {}, open_socket()


JOBS = {"network_namespace": make_network_namespace, "netlink": open_netlink}
"""The jobs by the verb that asks for them."""
