"""Writing to registries: blobs by mount, in one piece or in chunks, and manifests.

    HEAD blob ── there already ──────────────────────────────────────▶ done
    POST uploads?mount=…&from=… ── 201, mounted ─────────────────────▶ done
                                ── 202, Location ─▶ PATCH chunks ─▶ PUT ?digest=… ─▶ done

A chunk that breaks off is asked about (`GET Location` tells how much arrived) and continued
there, so that a bad line costs no more than what was lost on it (distribution specification,
"Pushing a blob in chunks").
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO
from urllib.parse import quote, urlencode, urljoin, urlsplit, urlunsplit

from wherry.kit.values import dataclass
from wherry.model.errors.registries import RegistryFailed, RegistryRefused, RegistryUnreachable
from wherry.model.ids import Digest
from wherry.registry.exchange import Asker, Exchange
from wherry.registry.manifests import ACCEPTANCE
from wherry.registry.transport import Answer, Body

CHUNK = 32 << 20
"""Bytes of one PATCH; what is smaller goes in one PUT."""
_READ = 1 << 18
_LARGEST_ANSWER = 64 << 10

Source = Callable[[], BinaryIO]
"""Opens the blob; each attempt reads it afresh."""
Sent = Callable[[int], None]
"""Told how many bytes of the blob have gone out."""


class Uploads:
    """The writing half of a registry client; whom it writes as is in the asker."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def has_blob(self, asker: Asker, repository: str, digest: Digest) -> bool:
        """Whether a repository holds a blob already."""
        answer = await self._exchange.ask(asker, "HEAD", f"/{repository}/blobs/{digest}")
        return answer.status == 200

    async def has_manifest(self, asker: Asker, repository: str, digest: Digest) -> bool:
        """Whether a repository holds a manifest or an index already."""
        answer = await self._exchange.ask(
            asker, "HEAD", f"/{repository}/manifests/{digest}", headers=(ACCEPTANCE,)
        )
        return answer.status == 200

    async def mount(
        self, asker: Asker, repository: str, digest: Digest, *, mounted_from: str
    ) -> bool:
        """Take a blob over from another repository of the same registry, without its bytes."""
        query = urlencode({"mount": digest, "from": mounted_from})
        answer = await self._begin(asker, repository, f"?{query}")
        if answer.status == 202:
            # A session was opened instead: end it, lest it lie about.
            await self._exchange.ask(asker, "DELETE", _location(answer))
        return answer.status == 201

    async def put_blob(
        self,
        asker: Asker,
        repository: str,
        digest: Digest,
        *,
        size: int,
        open_source: Source,
        on_sent: Sent | None = None,
    ) -> None:
        """Upload a blob of `size` bytes. Raises: RegistryRefused.

        An upload whose last piece breaks off is begun anew: what the registry took of it is not
        known, and it is at most a chunk.
        """
        patience, on_sent = self._exchange.patience(), on_sent or _nobody_asks
        while True:
            answer = await self._begin(asker, repository, "")
            if answer.status != 202:
                raise _refused(answer)
            location, sent = _location(answer), 0
            while size - sent > CHUNK:
                location, sent = await self._patch(asker, location, sent, open_source)
                on_sent(sent)
            last = _Piece(open_source, sent, size - sent, on_sent)
            try:
                await self._finish(asker, repository, _with_digest(location, digest), last)
            except (RegistryUnreachable, RegistryFailed) as failure:
                await patience.wait(failure)
            else:
                return

    async def _finish(self, asker: Asker, repository: str, target: str, last: "_Piece") -> None:
        async with self._exchange.asking(
            asker, "PUT", target, headers=last.headers, body=last.body
        ) as incoming:
            answer = await incoming.answer(limit_bytes=_LARGEST_ANSWER)
        if answer.status not in (201, 204):
            raise _refused(answer)

    async def put_manifest(
        self, asker: Asker, repository: str, reference: str, *, media_type: str, content: bytes
    ) -> None:
        """Name what was uploaded, by a tag or a digest. Raises: RegistryRefused."""
        answer = await self._exchange.ask(
            asker,
            "PUT",
            f"/{repository}/manifests/{quote(reference, safe=':')}",
            headers=(("Content-Type", media_type),),
            body=content,
        )
        if answer.status not in (201, 202):
            raise _refused(answer)

    async def _begin(self, asker: Asker, repository: str, query: str) -> Answer:
        answer = await self._exchange.ask(
            asker,
            "POST",
            f"/{repository}/blobs/uploads/{query}",
            headers=(("Content-Length", "0"),),
            body=b"",
        )
        if answer.status not in (201, 202):
            raise _refused(answer)
        return answer

    async def _patch(
        self, asker: Asker, location: str, start: int, open_source: Source
    ) -> tuple[str, int]:
        """Send one chunk; where to go on, and from which byte."""
        patience = self._exchange.patience()
        while True:
            end = start + CHUNK
            piece = _Piece(open_source, start, CHUNK, _nobody_asks)
            headers = (*piece.headers, ("Content-Range", f"{start}-{end - 1}"))
            try:
                async with self._exchange.asking(
                    asker, "PATCH", location, headers=headers, body=piece.body
                ) as incoming:
                    answer = await incoming.answer(limit_bytes=_LARGEST_ANSWER)
            except (RegistryUnreachable, RegistryFailed) as failure:
                await patience.wait(failure)
                location, start = await self._arrived(asker, location, start)
                continue
            if answer.status == 416:
                location, start = await self._arrived(asker, location, start)
                continue
            if answer.status not in (202, 204):
                raise _refused(answer)
            return _location(answer), end

    async def _arrived(self, asker: Asker, location: str, start: int) -> tuple[str, int]:
        """Ask how much of an upload the registry has."""
        answer = await self._exchange.ask(asker, "GET", location)
        match = re.fullmatch(r"(?:bytes=)?0-(\d{1,18})", answer.header("Range"))
        if answer.status not in (202, 204) or match is None:
            raise _refused(answer)
        last = int(match.group(1))
        return _location(answer) or location, last + 1 if last else start


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a blob, read in a thread so that the disk holds nobody up."""

    open_source: Source
    start: int
    length: int
    on_sent: Sent

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (
            ("Content-Type", "application/octet-stream"),
            ("Content-Length", str(self.length)),
        )

    @property
    def body(self) -> Body:
        return self._chunks if self.length else b""

    async def _chunks(self) -> AsyncIterator[bytes]:
        file = await asyncio.to_thread(self.open_source)
        try:
            await asyncio.to_thread(file.seek, self.start)
            done = 0
            while done < self.length:
                chunk = await asyncio.to_thread(file.read, min(_READ, self.length - done))
                if not chunk:
                    return
                yield chunk
                done += len(chunk)
                self.on_sent(self.start + done)
        finally:
            file.close()


def _nobody_asks(_count: int) -> None:
    """Progress that is told otherwise."""


def _location(answer: Answer) -> str:
    return urljoin(answer.url, answer.header("Location")) if answer.header("Location") else ""


def _with_digest(location: str, digest: Digest) -> str:
    parts = urlsplit(location)
    query = "&".join(filter(None, (parts.query, urlencode({"digest": digest}))))
    return urlunsplit(parts._replace(query=query))


def _refused(answer: Answer) -> RegistryRefused:
    return RegistryRefused("write", answer.complaint(), answer.status)
