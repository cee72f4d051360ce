"""Who has a port."""

import os
import socket

from wherry.networks.ports.owner import describe_port_owner


def test_a_listening_process_is_named() -> None:
    """By its name and pid; here that is us."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with open("/proc/self/comm", encoding="ascii") as file:
            name = file.read().strip()
        assert describe_port_owner("tcp", port) == f"process {name} (pid {os.getpid()})"


def test_udp_is_looked_for_apart() -> None:
    """A UDP socket does not own the TCP port of its number."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.bind(("::1", 0))
        port = server.getsockname()[1]
        assert str(os.getpid()) in describe_port_owner("udp", port)
        assert describe_port_owner("tcp", port) == "another program"
