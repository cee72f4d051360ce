"""Asking the resolver of a container, as a program inside would."""

import asyncio
import contextlib
import os
import socket

from wherry.model.reaching import NameSeen
from wherry.netd.dns_messages import MalformedMessage, addresses_told, asking
from wherry.networks.sandboxes import NamespaceJobs
from wherry.operations.network.name_server import NAME_SERVER

_PATIENCE_S = 2.0
_LARGEST_BYTES = 4096


async def asked(jobs: NamespaceJobs, namespace_path: str, name: str) -> NameSeen:
    """The addresses that 127.0.0.11 gives for a name, of either family; none: it knows none."""
    descriptor = await jobs.open_socket(
        namespace_path, family=socket.AF_INET, kind=socket.SOCK_DGRAM
    )
    found: list[str] = []
    with socket.socket(fileno=descriptor) as opened:
        opened.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError, MalformedMessage):
            opened.connect((NAME_SERVER, 53))
            for question in asking(name, os.urandom(2)):
                opened.send(question)
                answer = await asyncio.wait_for(
                    asyncio.get_running_loop().sock_recv(opened, _LARGEST_BYTES), _PATIENCE_S
                )
                found += map(str, addresses_told(answer))
    return NameSeen(name=name, known_by=NAME_SERVER if found else "", addresses=tuple(found))
