"""HTTP to registries: one question and its answer, with redirects that leak nothing.

A redirect to another host loses `Authorization`, and one from https to http is not followed.
Failures of the network are told in the words of Go's client, which scripts look for.
"""

import asyncio
import contextlib
import ipaddress
import json
import socket
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

from wherry.kit.values import dataclass, field, replace
from wherry.model.errors.registries import RegistryUnreachable
from wherry.registry.hosts import Trust

if TYPE_CHECKING:
    import aiohttp

Body = bytes | Callable[[], AsyncIterator[bytes]] | None
"""What is sent: bytes, or something that gives them afresh for each attempt."""

_MOST_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_CONNECT_S = 10.0
_SILENCE_S = 15.0
"""How long an answer may make no progress at all before it counts as broken off."""
_LARGEST_COMPLAINT = 64 << 10
_CHUNK = 1 << 17
_BUFFER_BYTES = 1 << 19
"""Of an answer, about half of what may wait for its reader."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: Body = field(default=None, repr=False)
    trust: Trust = field(default_factory=Trust)
    may_lose_tls: bool = False
    """Whether a redirect may lead to plain HTTP."""

    @classmethod
    def form(cls, url: str, members: Mapping[str, str]) -> "Question":
        """A POST of form fields."""
        kind = ("Content-Type", "application/x-www-form-urlencoded")
        return cls("POST", url, headers=(kind,), body=urlencode(members).encode())

    def trusting(self, trust: Trust) -> "Question":
        """The same, of a host whose certificates are judged so."""
        return replace(self, trust=trust)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, read to its end or its limit."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    url: str

    def header(self, name: str) -> str:
        """The first header of a name, empty when there is none."""
        return next(iter(self.all_headers(name)), "")

    def all_headers(self, name: str) -> list[str]:
        """Every header of a name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def errors(self) -> tuple[tuple[str, str], ...]:
        """Codes (in lower case, with blanks) and messages of the standard error document."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return ()
        listed = document.get("errors") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            return ()
        return tuple(
            (str(each.get("code", "")).lower().replace("_", " "), str(each.get("message", "")))
            for each in listed
            if isinstance(each, dict)
        )

    def complaint(self) -> str:
        """What the server says is wrong, in one line as Docker writes it."""
        found = self.errors()
        if found:
            return "; ".join(f"{code}: {message}" if message else code for code, message in found)
        text = self.body[:_LARGEST_COMPLAINT].decode("utf-8", "replace").strip()
        first = text.splitlines()[0][:200] if text and not text.startswith("<") else ""
        return f"received unexpected HTTP status: {self.status}" + (f": {first}" if first else "")


class Incoming:
    """An answer whose body is still on its way."""

    def __init__(self, response: "aiohttp.ClientResponse") -> None:
        self._response = response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    def header(self, name: str) -> str:
        """A header, empty when there is none."""
        return self._response.headers.get(name, "")

    @property
    def length(self) -> int | None:
        """How many bytes are announced; None for an unknown number."""
        return self._response.content_length

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises: RegistryUnreachable when it breaks off."""
        try:
            async for chunk in self._response.content.iter_chunked(_CHUNK):
                yield chunk
        except _network_failures() as error:
            raise _unreachable(self._response.method, str(self._response.url), error) from error

    async def answer(self, *, limit_bytes: int) -> Answer:
        """Read it all. Raises: RegistryUnreachable, also for a body over the limit."""
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit_bytes:
                url = str(self._response.url)
                raise RegistryUnreachable(
                    self._response.method, url, f"answer of more than {limit_bytes} bytes"
                )
        return Answer(
            status=self.status,
            headers=tuple(self._response.headers.items()),
            body=bytes(body),
            url=str(self._response.url),
        )


class Transport:
    """Connections to registries, kept while they are of use."""

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[Trust, ssl.SSLContext] = {}

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, question: Question, *, limit_bytes: int) -> Answer:
        """Ask, and read the whole answer. Raises: RegistryUnreachable."""
        async with self.asking(question) as incoming:
            return await incoming.answer(limit_bytes=limit_bytes)

    @contextlib.asynccontextmanager
    async def asking(self, question: Question) -> AsyncIterator[Incoming]:
        """Ask; the body is there to be read within the block. Raises: RegistryUnreachable."""
        for _hop in range(_MOST_REDIRECTS + 1):
            async with self._opened(question) as response:
                target = response.headers.get("Location", "")
                if response.status not in _REDIRECTS or not target:
                    yield Incoming(response)
                    return
                question = _redirected(question, response.status, target)
        raise RegistryUnreachable(
            question.method, question.url, f"stopped after {_MOST_REDIRECTS} redirects"
        )

    @contextlib.asynccontextmanager
    async def _opened(self, question: Question) -> AsyncIterator["aiohttp.ClientResponse"]:
        from yarl import URL

        is_tls = question.url.startswith("https:")
        body = question.body
        try:
            response = await self._open_session().request(
                question.method,
                URL(question.url, encoded=True),
                headers=[("User-Agent", self._user_agent), *question.headers],
                data=body() if callable(body) else body,
                ssl=self._context(question.trust) if is_tls else True,
                proxy=_proxy(question.url),
                allow_redirects=False,
            )
        except _network_failures() as error:
            raise _unreachable(question.method, question.url, error) from error
        async with response:
            yield response

    def _open_session(self) -> "aiohttp.ClientSession":
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                read_bufsize=_BUFFER_BYTES,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept-Encoding",),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S
                ),
            )
        return self._session

    def _context(self, trust: Trust) -> ssl.SSLContext:
        if trust not in self._contexts:
            self._contexts[trust] = trust.context()
        return self._contexts[trust]


def _redirected(question: Question, status: int, target: str) -> Question:
    """The question to ask next. Raises: RegistryUnreachable where it may not be asked."""
    url = urljoin(question.url, target)
    old, new = urlsplit(question.url), urlsplit(url)
    loses_tls = old.scheme == "https" and new.scheme != "https"
    if new.scheme not in ("http", "https") or (loses_tls and not question.may_lose_tls):
        raise RegistryUnreachable(
            question.method, question.url, f"refused to follow its redirect to {new.scheme}"
        )
    headers = question.headers
    if (old.scheme, old.netloc) != (new.scheme, new.netloc):
        headers = tuple(each for each in headers if each[0].lower() != "authorization")
    method, body = question.method, question.body
    if status == 303 and method != "HEAD":
        method, body = "GET", None
    return replace(question, method=method, url=url, headers=headers, body=body)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL (HTTPS_PROXY, NO_PROXY ...), if any.

    As in Go, loopback is always asked directly, and NO_PROXY may have networks in it.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme)
    if proxy is None or urllib.request.proxy_bypass(parts.netloc):
        return None
    host = parts.hostname or ""
    if host == "localhost":
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return proxy
    if address.is_loopback or _is_in_a_network(address, proxies.get("no", "")):
        return None
    return proxy


def _is_in_a_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, listed: str) -> bool:
    for text in listed.split(","):
        with contextlib.suppress(ValueError):
            if "/" in text and address in ipaddress.ip_network(text.strip(), strict=False):
                return True
    return False


def _network_failures() -> tuple[type[Exception], ...]:
    import aiohttp

    return (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)


def _unreachable(method: str, url: str, error: Exception) -> RegistryUnreachable:
    import aiohttp

    # Nobody listens, nobody is called so, or it is somebody else: the next attempt would say so.
    is_lasting = isinstance(error, aiohttp.ClientConnectorError) and not isinstance(
        error.os_error, TimeoutError
    )
    return RegistryUnreachable(
        method,
        url,
        cause_of(url, error),
        is_not_tls=_speaks_no_tls(error),
        may_pass=not is_lasting,
    )


def _speaks_no_tls(error: Exception) -> bool:
    """Whether a TLS handshake was answered in plain text."""
    texts = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
    return any(text in str(error).upper().replace(" ", "_") for text in texts)


def cause_of(url: str, error: Exception) -> str:
    """What went wrong, as Go's net/http would say it."""
    import aiohttp

    where = urlsplit(url)
    if not where.hostname:
        return "http: no Host in request URL"
    port = where.port or (443 if where.scheme == "https" else 80)
    if _speaks_no_tls(error):
        return "http: server gave HTTP response to HTTPS client"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"tls: failed to verify certificate: x509: {_certificate_problem(error)}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {where.hostname}: {_lookup_problem(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        problem = (error.os_error.strerror or str(error.os_error)).lower()
        if isinstance(error.os_error, ConnectionRefusedError):
            problem = "connect: connection refused"
        return f"dial tcp {where.hostname}:{port}: {problem}"
    if isinstance(error, asyncio.TimeoutError):
        return "net/http: request canceled (Client.Timeout exceeded while awaiting headers)"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "unexpected EOF"
    return str(error) or type(error).__name__


def _lookup_problem(error: OSError) -> str:
    """Nobody is called so, or nobody could be asked."""
    if error.errno == socket.EAI_AGAIN:
        return "Temporary failure in name resolution"
    return "no such host"


def _certificate_problem(error: Exception) -> str:
    text = str(error)
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        return "certificate is not valid for this host"
    if "expired" in text:
        return "certificate has expired or is not yet valid"
    return "certificate signed by unknown authority"
