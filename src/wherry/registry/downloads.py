"""Files from anywhere on the web, for imports: no credentials, the system's trust, proxies."""

import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import urlsplit

from wherry.model.errors import InvalidValue
from wherry.model.errors.registries import DownloadRefused
from wherry.registry.transport import Incoming, Question, Transport

_LARGEST_COMPLAINT = 4096


class Downloads:
    """One user of the web."""

    def __init__(self, user_agent: str) -> None:
        self._transport = Transport(user_agent)

    async def close(self) -> None:
        """End all connections."""
        await self._transport.close()

    @contextlib.asynccontextmanager
    async def opened(self, address: str) -> AsyncIterator[Incoming]:
        """The file at an address, to be read within the block; without a scheme it is HTTP's.

        Raises: InvalidValue, RegistryUnreachable, DownloadRefused.
        """
        url = address if "://" in address else f"http://{address}"
        scheme = urlsplit(url).scheme
        if scheme not in ("http", "https"):
            raise InvalidValue(f'Get "{address}": unsupported protocol scheme "{scheme}"')
        async with self._transport.asking(Question("GET", url)) as incoming:
            if incoming.status >= HTTPStatus.BAD_REQUEST:
                raise DownloadRefused(address, incoming.status, await _complaint(incoming))
            yield incoming


async def _complaint(incoming: Incoming) -> str:
    """The beginning of what the server says is wrong."""
    said = b""
    async for chunk in incoming.chunks():
        said += chunk
        if len(said) >= _LARGEST_COMPLAINT:
            break
    return said[:_LARGEST_COMPLAINT].decode("utf-8", "replace").strip()
