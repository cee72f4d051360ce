"""Asking a registry: with authorisation, with patience, and with or without TLS.

What passes is tried again: connections that break off, 429 and the server's own failures (500,
502, 503, 504), at most five times in a row unless the operator says otherwise, after 0.2 s
doubling, or after what `Retry-After` says. Progress (bytes of a blob) begins the count anew. A
refusal is final.
"""

import asyncio
import contextlib
import email.utils
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

from wherry.kit.clock import Clock
from wherry.kit.timestamps import NANOSECONDS
from wherry.kit.values import dataclass, replace
from wherry.model.errors.registries import (
    RegistryFailed,
    RegistryUnauthorized,
    RegistryUnreachable,
)
from wherry.registry.authorization import Authorizer
from wherry.registry.credentials import Credentials
from wherry.registry.hosts import RegistryHost
from wherry.registry.scopes import Scope
from wherry.registry.transport import Answer, Body, Incoming, Question, Transport

_PASSING = (429, 500, 502, 503, 504)
MOST_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 60.0
_LARGEST_COMPLAINT = 64 << 10

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks which host, and for what."""

    host: RegistryHost
    scopes: tuple[Scope, ...]
    credentials: Credentials


class Patience:
    """How often one thing has failed in a row, and how long to wait before the next attempt."""

    def __init__(self, clock: Clock, sleep: Sleep, most_attempts: int = MOST_ATTEMPTS) -> None:
        self._clock = clock
        self._sleep = sleep
        self._most_attempts = most_attempts
        self._failures = 0

    def progress(self) -> None:
        """Something came of it: failures from now on are counted anew."""
        self._failures = 0

    async def wait(self, failure: RegistryUnreachable | RegistryFailed) -> None:
        """Wait until the next attempt. Raises: the failure, once there have been enough."""
        self._failures += 1
        is_final = isinstance(failure, RegistryUnreachable) and not failure.may_pass
        if is_final or self._failures >= self._most_attempts:
            raise failure
        pause_s = min(_FIRST_PAUSE_S * 2 ** (self._failures - 1), _LONGEST_PAUSE_S)
        if isinstance(failure, RegistryFailed) and failure.retry_after:
            pause_s = self._seconds(failure.retry_after)
            if pause_s > _LONGEST_PAUSE_S:
                raise failure
        await self._sleep(pause_s)

    def _seconds(self, retry_after: str) -> float:
        """`Retry-After`: seconds or a date (RFC 9110 section 10.2.3)."""
        if retry_after.isascii() and retry_after.isdigit():
            return float(retry_after[:6])
        try:
            then = email.utils.parsedate_to_datetime(retry_after).timestamp()
        except (ValueError, OverflowError):
            return _FIRST_PAUSE_S
        return max(0.0, then - self._clock.now_ns() / NANOSECONDS)


class Exchange:
    """Questions to the registry's API, asked until they are answered."""

    def __init__(
        self, transport: Transport, clock: Clock, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._sleep = sleep
        self._authorizer = Authorizer(transport, clock)
        self._plain: set[str] = set()
        self._met: set[str] = set()
        """Who has ever answered."""
        self.most_attempts = MOST_ATTEMPTS

    @property
    def authorizer(self) -> Authorizer:
        """Where tokens come from."""
        return self._authorizer

    def patience(self) -> Patience:
        """Fresh patience, for something that is tried again as a whole."""
        return Patience(self._clock, self._sleep, self.most_attempts)

    async def ask(
        self,
        asker: Asker,
        method: str,
        path: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: Body = None,
        limit_bytes: int = _LARGEST_COMPLAINT,
    ) -> Answer:
        """Ask and read the whole answer, whatever its status is, once it is a lasting one.

        Raises: RegistryUnreachable, RegistryFailed, RegistryUnauthorized.
        """
        patience = self.patience()
        while True:
            try:
                async with self.asking(asker, method, path, headers=headers, body=body) as came:
                    return await came.answer(limit_bytes=limit_bytes)
            except (RegistryUnreachable, RegistryFailed) as failure:
                await patience.wait(failure)

    @contextlib.asynccontextmanager
    async def asking(
        self,
        asker: Asker,
        method: str,
        path: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: Body = None,
    ) -> AsyncIterator[Incoming]:
        """One attempt, with what the registry demands; the body is read within the block.

        `path` is relative to the host's `/v2`, or a whole URL that the host gave us. Raises:
        RegistryUnreachable, RegistryFailed for what may pass, RegistryUnauthorized.
        """
        has_learned = False
        while True:
            question = await self._question(asker, method, path, headers, body)
            try:
                async with self._transport.asking(question) as incoming:
                    self._met.add(asker.host.url)
                    if incoming.status in _PASSING:
                        raise await _failed(method, question.url, incoming)
                    if incoming.status != 401:
                        yield incoming
                        return
                    answer = await incoming.answer(limit_bytes=_LARGEST_COMPLAINT)
            except RegistryUnreachable as failure:
                # Others may have found out meanwhile; what counts is how this one was asked.
                was_tls = question.url.startswith("https://")
                if not (failure.is_not_tls and asker.host.is_insecure and was_tls):
                    raise self._first_met(failure, asker.host) from failure
                self._plain.add(asker.host.url)
                continue
            demanded = answer.all_headers("WWW-Authenticate")
            if has_learned or not self._authorizer.learn(asker.host, demanded):
                raise RegistryUnauthorized(f"{asker.host.url}/", answer.complaint())
            if self._authorizer.lacks_a_user(asker.host, asker.credentials):
                raise RegistryUnauthorized(question.url, "no basic auth credentials")
            has_learned = True

    def _first_met(self, failure: RegistryUnreachable, host: RegistryHost) -> RegistryUnreachable:
        """The failure as Docker has it, which knocks at a registry before it asks for anything."""
        if failure.may_pass or host.url in self._met:
            return failure
        return replace(failure, method="GET", url=f"{host.url}/")

    async def _question(
        self,
        asker: Asker,
        method: str,
        path: str,
        headers: tuple[tuple[str, str], ...],
        body: Body,
    ) -> Question:
        host = asker.host
        if host.url in self._plain:
            host = host.without_tls()
        url = path if "://" in path else host.url + path
        if url.startswith(f"https://{host.authority}/") and host.url.startswith("http:"):
            url = "http" + url.removeprefix("https")
        if urlsplit(url).netloc != host.authority:
            # An upload that goes on elsewhere: what we are to the registry is not told there.
            return Question(method, url, headers=headers, body=body)
        shown = await self._authorizer.header(asker.host, asker.scopes, asker.credentials)
        own = (("Authorization", shown),) if shown else ()
        return Question(
            method,
            url,
            headers=(*host.headers, *own, *headers),
            body=body,
            trust=host.trust,
            may_lose_tls=host.is_insecure,
        )


async def _failed(method: str, url: str, incoming: Incoming) -> RegistryFailed:
    answer = await incoming.answer(limit_bytes=_LARGEST_COMPLAINT)
    return RegistryFailed(
        method=method,
        url=url,
        status=answer.status,
        complaint=answer.complaint(),
        retry_after=answer.header("Retry-After"),
    )
