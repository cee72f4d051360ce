"""Connecting a container's namespace and taking it away again. Blocking; a plan per call."""

import errno
import os
import time
from collections.abc import Iterable
from itertools import chain

from wherry.kit.values import replace
from wherry.linux import netlink, network_links
from wherry.linux.syscall import KernelError
from wherry.model.errors import StepFailed
from wherry.model.networks import EndpointStatus
from wherry.networks.drivers.bridge import BridgeSettings, publish
from wherry.networks.ports.published_ports import direct_entries, filter_entries
from wherry.operations.network.child_links import GROUP, CreateChildLink
from wherry.operations.network.links import (
    CONTAINER_NETLINK,
    HOST_NETLINK,
    NAMESPACE,
    CreateVethPair,
    PinNetworkNamespace,
)
from wherry.operations.network.packet_filter import PACKET_FILTER
from wherry.operations.network.port_entries import (
    OpenPorts,
    PublishPorts,
    RemoveStrayPorts,
    exchange,
    those_missing,
)
from wherry.operations.plan import (
    Entry,
    Hands,
    Journal,
    Operation,
    OperationFailed,
    Outcome,
    Plan,
    execute,
    explain_error,
    undo,
)

_LEFT = "the container has ended"

Publication = tuple[PublishPorts | OpenPorts, ...]
"""What leads to the ports of one endpoint."""


def host_interface_name(endpoint_id: str) -> str:
    """The host's end of an endpoint's veth pair: follows from the id, fits into 15 letters."""
    return f"veth{endpoint_id[:7]}"


def connect(
    plan: Plan, *, namespace_path: str, container_netlink: int, packet_filter: int | None = None
) -> Journal:
    """Perform a plan with the descriptors that it needs; what it did is undone if it fails.

    The descriptors stay the caller's. Raises: OperationFailed; OSError.
    """
    hands = Hands({CONTAINER_NETLINK: os.dup(container_netlink)})
    journal: Journal = []
    try:
        hands.hold(HOST_NETLINK, netlink.open_socket())
        hands.hold(NAMESPACE, os.open(namespace_path, os.O_RDONLY | os.O_CLOEXEC))
        if packet_filter is not None:
            hands.hold(PACKET_FILTER, os.dup(packet_filter))
        execute(plan, hands, journal)
    finally:
        hands.close()
    return journal


def undo_inside(done: Iterable[Operation], *, container_netlink: int) -> list[str]:
    """Take back what was done inside a container that lives on; what went wrong."""
    hands = Hands({CONTAINER_NETLINK: os.dup(container_netlink)})
    try:
        hands.hold(HOST_NETLINK, netlink.open_socket())
        return undo(as_done(done), hands)
    finally:
        hands.close()


def disconnect(
    namespace_path: str,
    publication: Plan = (),
    *,
    packet_filter: int | None = None,
) -> list[str]:
    """Take ports and namespace away; returns what went wrong. Doing so twice is no error.

    The veth pair is not deleted: that waits 27 ms for the kernel, while ending the namespace
    takes it along in the background.
    """
    operations: list[Operation] = []
    if namespace_path:
        operations.append(PinNetworkNamespace(why=_LEFT, path=namespace_path))
    hands = Hands()
    if publication and packet_filter is not None:
        operations += publication
        hands.hold(PACKET_FILTER, os.dup(packet_filter))
    try:
        return undo(as_done(operations), hands)
    finally:
        hands.close()


def delete_lingering(interface: str) -> bool:
    """Delete a veth pair whose namespace somebody else keeps alive; whether there was one."""
    hands = Hands({HOST_NETLINK: netlink.open_socket()})
    try:
        route = netlink.NetlinkSocket(hands.get(HOST_NETLINK))
        if network_links.find_link(route, interface) is None:
            return False
        pair = CreateVethPair(
            why=_LEFT, name=interface, bridge="", peer_name="", peer_mac_address="", namespace=""
        )
        return not undo(as_done([pair]), hands)
    finally:
        hands.close()


def publication(settings: BridgeSettings, endpoint: EndpointStatus) -> Publication:
    """What leads to an endpoint's ports: from ports of the host, and at its own addresses."""
    if not settings.is_filtered:
        return ()
    plan: list[PublishPorts | OpenPorts] = []
    led = filter_entries(endpoint)
    if led:
        plan.append(
            publish(
                settings.table,
                target=endpoint.address,
                target6=endpoint.ipv6_address,
                ports=led,
            )
        )
    direct = direct_entries(endpoint) if settings.why_open else ()
    if direct:
        plan.append(OpenPorts(why=settings.why_open, table=settings.table, ports=direct))
    return tuple(plan)


def republish(
    goes: Publication, comes: Publication, ends: Plan = (), *, packet_filter: int
) -> None:
    """Take entries away and add others, in one transaction; then end what began by the old ones.

    Where somebody has removed our table, whoever brings it back knows who has what.
    Raises: StepFailed; then all is as before.
    """
    hands = Hands({PACKET_FILTER: os.dup(packet_filter)})
    try:
        exchange(packet_filter, goes, comes)
        try:
            execute(ends, hands, [])
        except OperationFailed:
            exchange(packet_filter, comes, goes)
            raise
    except OperationFailed as failed:
        raise as_step_failed(failed) from failed
    except KernelError as error:
        if error.errno != errno.ENOENT:
            step = "; ".join(each.describe() for each in (comes or goes))
            raise StepFailed(step=step, cause=explain_error(error)) from error
    finally:
        hands.close()


def ports_of_bridges(bridges: Iterable[str]) -> set[str]:
    """The veth links that are ports of these bridges."""
    wanted = set(bridges)
    descriptor = netlink.open_socket()
    try:
        links = network_links.links(netlink.NetlinkSocket(descriptor))
    finally:
        os.close(descriptor)
    masters = {each.index for each in links if each.name in wanted}
    return {each.name for each in links if each.kind == "veth" and each.master in masters}


def links_inside(container_netlink: int) -> tuple[set[str], set[str]]:
    """Every link of a namespace, and those of them that an engine made without a host's end."""
    links = network_links.links(netlink.NetlinkSocket(container_netlink))
    return {each.name for each in links}, {each.name for each in links if each.group == GROUP}


def delete_inside(interface: str, *, container_netlink: int) -> list[str]:
    """Take a link without an end on the host out of a namespace; what went wrong."""
    port = CreateChildLink(
        why=_LEFT, driver="", parent="", mode="", name=interface, namespace="inside"
    )
    return undo_inside((port,), container_netlink=container_netlink)


def have_routes(wanted: Plan, *, instead_of: Plan = (), container_netlink: int) -> None:
    """Have these default routes and none of those. Raises: StepFailed."""
    hands = Hands({CONTAINER_NETLINK: os.dup(container_netlink)})
    try:
        undo(as_done(instead_of), hands)
        for operation in wanted:
            _do_if_missing(operation, hands)
    except OperationFailed as failed:
        raise as_step_failed(failed) from failed
    finally:
        hands.close()


def remove_stray_ports(
    table: str, publications: Iterable[Publication], *, packet_filter: int
) -> None:
    """Have no port lead anywhere but where these do. Raises: StepFailed."""
    stray = RemoveStrayPorts(
        why="their containers ended or let go of them while no daemon could write it down",
        table=table,
        kept=tuple(
            (each.map_name, each.key.hex(), each.value.hex())
            for operation in chain.from_iterable(publications)
            for each in operation.elements()
        ),
    )
    hands = Hands({PACKET_FILTER: os.dup(packet_filter)})
    try:
        execute((stray,), hands, [])
    except OperationFailed as failed:
        if not is_table_missing(failed):
            raise as_step_failed(failed) from failed
    finally:
        hands.close()


def publish_missing_ports(publications: Iterable[Publication], *, packet_filter: int) -> None:
    """Publish what endpoints have and the packet filter has lost. Raises: StepFailed."""
    wanted = [single for each in chain.from_iterable(publications) for single in each.singly()]
    hands = Hands({PACKET_FILTER: os.dup(packet_filter)})
    try:
        for each in those_missing(wanted, packet_filter):
            _do_if_missing(each, hands)
    except OperationFailed as failed:
        raise as_step_failed(failed) from failed
    finally:
        hands.close()


def _do_if_missing(operation: Operation, hands: Hands) -> None:
    try:
        execute((operation,), hands, [])
    except OperationFailed as failed:
        if not _is_there_already(failed.cause):
            raise


def is_table_missing(failed: OperationFailed) -> bool:
    """Whether a plan failed because somebody removed our table."""
    return (
        isinstance(failed.entry.operation, PublishPorts | OpenPorts | RemoveStrayPorts)
        and isinstance(failed.cause, KernelError)
        and failed.cause.errno == errno.ENOENT
    )


def as_step_failed(failed: OperationFailed) -> StepFailed:
    """A failed operation in the words of the error model."""
    return StepFailed(step=failed.entry.operation.describe(), cause=failed.entry.error)


def _is_there_already(cause: BaseException) -> bool:
    return isinstance(cause, KernelError) and cause.errno == errno.EEXIST


def as_done(operations: Iterable[Operation]) -> Journal:
    """Entries for operations that were done earlier, perhaps by another process."""
    return [
        Entry(operation=operation, at_ns=0, duration_ns=0, outcome=Outcome.DONE)
        for operation in operations
    ]


def as_told(operations: Iterable[Operation]) -> Journal:
    """The same, for a story that is told from now on."""
    return [replace(each, at_ns=time.time_ns()) for each in as_done(operations)]
