"""Carries bytes between a taken-over connection and a container's streams."""

import asyncio

from wherry.api.detach_keys import DetachScanner
from wherry.api.raw_connections import RawConnection
from wherry.api.services import DuplexStream


async def relay(
    client: RawConnection,
    container: DuplexStream,
    *,
    passes_input: bool,
    detach_keys: bytes = b"",
) -> None:
    """Carry bytes both ways until the output ends, the client leaves, or it typed the keys.

    A client that half-closes ends the container's input and still gets all of the output.
    Without `passes_input` what the client sends is read and dropped.
    """
    scanner = DetachScanner(detach_keys) if detach_keys else None
    try:
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(_show(client, container))
            feeding = tasks.create_task(
                _feed(client, container, showing, scanner, passes_input=passes_input)
            )
            showing.add_done_callback(lambda _: feeding.cancel())
    finally:
        client.close()
        await container.close()


async def _show(client: RawConnection, container: DuplexStream) -> None:
    """The container's output, to its end or to the client's."""
    try:
        data = await container.read()
        await client.head_taken()
        while data:
            await client.write(data)
            data = await container.read()
    except ConnectionError:
        return


async def _feed(
    client: RawConnection,
    container: DuplexStream,
    showing: asyncio.Task[None],
    scanner: DetachScanner | None,
    *,
    passes_input: bool,
) -> None:
    """The client's input, to its end; ends the showing when the client leaves for good."""
    try:
        while data := await client.read():
            if not passes_input:
                continue
            meant = scanner.feed(data) if scanner else data
            if meant:
                await container.write(meant)
            if scanner and scanner.has_seen_keys:
                container.tell_detached()
                showing.cancel()
                return
        if passes_input:
            rest = scanner.flush() if scanner else b""
            if rest:
                await container.write(rest)
            await container.close_stdin()
        await client.lost()
    except ConnectionResetError:
        pass
    showing.cancel()
