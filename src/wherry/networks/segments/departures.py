"""Links of the host that go: whoever asked is answered once nobody finds them any more.

Theory of operation. The kernel deletes a link inside the system call that asks for it, in two
parts (unregister_netdevice_many in net/core/dev.c):

    1. the link is switched off, its routes go, and it leaves the kernel's lists: no name and no
       index leads to it                                                    1 ms
    2. grace periods of RCU, until no processor can be using it, and it is freed     30 to 45 ms

Both ends of a veth pair go so, together. Who lists links by netlink waits for a lock that the
first half of part 2 holds, and then does not see them. So a thread stays in the call, and the
request goes on after part 1. Nothing of part 2 can fail or be interrupted: the kernel does it to
its end if this process is killed meanwhile.
"""

import asyncio
import socket
from collections.abc import Callable

from wherry.kit.aio import OffloadPool, own_task

_LOOK_S = 0.0005


class Departures:
    """The deletions that are under way."""

    def __init__(self, offload: OffloadPool) -> None:
        self._offload = offload
        self._going: set[asyncio.Task[None]] = set()

    async def leave(self, link: str, take_down: Callable[[], None]) -> None:
        """Take a link down, if it is there; `take_down` blocks. Raises: what that raises."""
        if not _is_found(link):
            await self._offload(take_down)
            return
        going = own_task(self._offload(take_down))
        self._going.add(going)
        going.add_done_callback(self._going.discard)
        while not going.done() and _is_found(link):
            await asyncio.wait((going,), timeout=_LOOK_S)
        if going.done():
            going.result()

    async def settled(self) -> None:
        """Wait until the kernel has freed them all."""
        await asyncio.gather(*self._going, return_exceptions=True)


def _is_found(link: str) -> bool:
    try:
        socket.if_nametoindex(link)
    except OSError:
        return False
    return True
