"""Links of the host that networks' ports stand on: found, made, removed. Blocking."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.linux import netlink, network_links, virtual_links
from wherry.model.errors import HostLacks, InvalidValue, StepFailed
from wherry.networks.connections import as_done, as_step_failed
from wherry.networks.drivers import child
from wherry.networks.drivers.child import ChildSettings
from wherry.operations.network.links import HOST_NETLINK
from wherry.operations.plan import Hands, OperationFailed, execute, undo


def check(settings: ChildSettings) -> None:
    """Whether the kernel has such links and the parent is there, or can be made.

    Raises: HostLacks, InvalidValue.
    """
    with _netlink() as route:
        if not virtual_links.knows_kind(route, settings.driver):
            raise HostLacks(
                f"failed to create the {settings.driver} port: operation not supported: the "
                f"network driver {settings.driver}",
                f"a kernel with {settings.driver} links",
            )
        if network_links.find_link(route, settings.parent) is not None:
            return
        made = settings.made_parent
        if made is None:
            raise InvalidValue(
                f"invalid subinterface vlan name {settings.parent}, example formatting is eth0.10"
            )
        if settings.carrier and network_links.find_link(route, settings.carrier) is None:
            raise InvalidValue(
                f"-o parent interface was not found on the host: {settings.carrier}"
            )
        kind = "vlan" if settings.carrier else "dummy"
        if not virtual_links.knows_kind(route, kind):
            raise HostLacks(
                f"a {settings.driver} network "
                + (f"on {settings.parent}" if settings.carrier else "without a parent"),
                f"a kernel with {kind} links",
            )


def make(settings: ChildSettings) -> None:
    """Make the parent where it is missing; nothing is left when it fails. Raises: StepFailed."""
    hands = Hands({HOST_NETLINK: netlink.open_socket()})
    try:
        route = netlink.NetlinkSocket(hands.get(HOST_NETLINK))
        if network_links.find_link(route, settings.parent) is None:
            execute(child.parent_plan(settings), hands, [])
    except OperationFailed as failed:
        raise as_step_failed(failed) from failed
    finally:
        hands.close()


def take_down(settings: ChildSettings) -> None:
    """Take the parent away, if it is ours. Raises: StepFailed."""
    made = settings.made_parent
    if made is not None:
        problems = undo(as_done((made,)), Hands())
        if problems:
            raise StepFailed(step=f"remove {settings.parent}", cause="; ".join(problems))


@contextmanager
def _netlink() -> Iterator[netlink.NetlinkSocket]:
    descriptor = netlink.open_socket()
    try:
        yield netlink.NetlinkSocket(descriptor)
    finally:
        os.close(descriptor)
