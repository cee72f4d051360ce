"""Published ports of SCTP: led like those of TCP, where the kernel knows the protocol."""

import socket

import pytest

from kernel.networks.private_host import LAN, PrivateHost, enter, in_child, run, shell
from wherry.model.containers import NetworkSpec
from wherry.model.errors import HostLacks
from wherry.model.networks import Port, PortBinding

pytestmark = pytest.mark.kernel

SPEC = NetworkSpec(bindings=(PortBinding(port=Port(9, "sctp"), host_port=9009),))


def has_sctp() -> bool:
    """Whether a socket of it can be had."""
    try:
        association().close()
    except OSError:
        return False
    return True


def association() -> socket.socket:
    """A socket in the style of TCP's."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    made.settimeout(5)
    return made


def serve(namespace: str) -> None:
    """Greet whoever comes, in a process of its own."""
    import os

    enter(namespace)
    listener = association()
    listener.bind(("0.0.0.0", 9))
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


def greeting(namespace: str) -> bytes:
    """What a neighbour is told at the host's port."""

    def asking() -> bytes:
        enter(namespace)
        with association() as client:
            client.connect((LAN, 9009))
            return client.recv(16)

    return in_child(asking)


def test_a_published_port() -> None:
    """A neighbour reaches it at the host's port; without SCTP in the kernel nothing is left."""

    async def scenario(host: PrivateHost) -> None:
        networks = host.networks()
        await networks.open()
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
        assert greeting(host.neighbour) == b"hello"
        await networks.detach(request.container_id)
        assert "9009" not in shell("nft list ruleset")
        await networks.remove_everything()

    run(scenario)
