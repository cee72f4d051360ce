"""Published ports of SCTP: led like those of TCP, where the kernel knows the protocol."""

import socket

import pytest

from kernel.networks.private_host import LAN, PrivateHost, enter, in_child, run, shell
from wherry.model.containers import NetworkSpec
from wherry.model.errors import HostLacks
from wherry.model.networks import (
    NetworkMode,
    NetworkModeKind,
    NetworkRequest,
    Port,
    PortBinding,
)

pytestmark = pytest.mark.kernel

SPEC = NetworkSpec(
    mode=NetworkMode(NetworkModeKind.NETWORK, "dual"),
    bindings=(PortBinding(port=Port(9, "sctp"), host_port=9009),),
)
LAN6, NEIGHBOUR6 = "fd00:5::1", "fd00:5::2"


def has_sctp() -> bool:
    """Whether a socket of it can be had."""
    try:
        association().close()
    except OSError:
        return False
    return True


def association(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A socket in the style of TCP's."""
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    made.settimeout(5)
    return made


def serve(namespace: str) -> None:
    """Greet whoever comes, in a process of its own."""
    import os

    enter(namespace)
    listener = association(socket.AF_INET6)
    listener.bind(("::", 9))
    listener.listen(1)
    if os.fork() == 0:
        parent = os.getppid()
        while os.getppid() == parent:
            try:
                client, _address = listener.accept()
            except OSError:
                continue
            client.sendall(b"hello")
            client.close()
        os._exit(0)


def greeting(namespace: str, address: str) -> bytes:
    """What a neighbour is told at the host's port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def asking() -> bytes:
        enter(namespace)
        with association(family) as client:
            client.connect((address, 9009))
            return client.recv(16)

    return in_child(asking)


def test_a_published_port() -> None:
    """A neighbour reaches it at the host's port; without SCTP in the kernel nothing is left."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
        shell(f"ip address add {LAN6}/64 dev lan nodad")
        host.inside(host.neighbour, f"ip address add {NEIGHBOUR6}/64 dev lan nodad")
        await networks.create(NetworkRequest(name="dual", has_ipv6=True))
        before = shell("ip -o link; nft list ruleset")
        request = host.request("c", SPEC)
        if not has_sctp():
            with pytest.raises(HostLacks) as refused:
                await networks.attach(request)
            assert "protocol not supported" in refused.value.feature
            assert shell("ip -o link; nft list ruleset") == before
            await networks.remove_everything()
            return
        sandbox = await networks.attach(request)
        host.fork(lambda: serve(sandbox.namespace_path))
        for address in (LAN, LAN6):
            assert greeting(host.neighbour, address) == b"hello"
        await networks.detach(request.container_id)
        assert "9009" not in shell("nft list ruleset")
        await networks.remove_everything()

    run(scenario)
