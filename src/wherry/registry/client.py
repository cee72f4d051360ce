"""Reading from registries: manifests, blobs, tags, logins, searches."""

import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

from wherry.kit.clock import Clock, SystemClock
from wherry.kit.values import dataclass
from wherry.model.errors import WherryError
from wherry.model.errors.images import DigestMismatch
from wherry.model.errors.registries import (
    ManifestRefused,
    ManifestUnknown,
    RegistryFailed,
    RegistryHasNoSearch,
    RegistryRefused,
    RegistryUnreachable,
    RepositoryDenied,
)
from wherry.model.ids import Digest
from wherry.oci.image_spec import Descriptor
from wherry.registry.credentials import ANONYMOUS, Credentials
from wherry.registry.exchange import Asker, Exchange, Sleep
from wherry.registry.hosts import Capability, RegistryHost, RegistrySettings
from wherry.registry.manifests import (
    ACCEPTANCE,
    LARGEST_MANIFEST,
    FetchedManifest,
    digest_of,
    read_manifest,
)
from wherry.registry.scopes import NO_SCOPE, Scope, pulling
from wherry.registry.transport import Answer, Incoming, Transport
from wherry.registry.uploads import Uploads

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST_PAGE = 8 << 20
_MOST_PAGES = 1000
_LINK = re.compile(r"<([^>]*)>\s*;.*rel=\"?next\"?")
_MOST_HITS = 100

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Repository:
    """A registry's name and a path on it: `docker.io`, `library/busybox`."""

    domain: str
    path: str

    @property
    def familiar(self) -> str:
        """As people write it: `busybox`."""
        if self.domain != "docker.io":
            return f"{self.domain}/{self.path}"
        return self.path.removeprefix("library/")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """One repository that a search found."""

    name: str
    description: str
    star_count: int
    is_official: bool


class RegistryClient:
    """One user of registries. Every method is a coroutine; blobs come as asynchronous streams.

    Raises everywhere: RegistryUnreachable and RegistryFailed for a network or server that does
    not recover in five attempts, RegistryUnauthorized and RepositoryDenied for a lack of rights.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        *,
        user_agent: str,
        clock: Clock | None = None,
        sleep: Sleep | None = None,
    ) -> None:
        self._settings = settings
        self._transport = Transport(user_agent)
        clock = clock or SystemClock()
        self._exchange = (
            Exchange(self._transport, clock, sleep=sleep)
            if sleep is not None
            else Exchange(self._transport, clock)
        )
        self.uploads = Uploads(self._exchange)

    def adopt(self, settings: RegistrySettings, *, most_attempts: int) -> None:
        """Follow other settings from the next question on."""
        self._settings = settings
        self._exchange.most_attempts = most_attempts

    async def close(self) -> None:
        """End all connections."""
        await self._transport.close()

    async def __aenter__(self) -> "RegistryClient":
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    # -- manifests ---------------------------------------------------------------------------

    async def manifest(
        self, repository: Repository, reference: str, credentials: Credentials = ANONYMOUS
    ) -> FetchedManifest:
        """The manifest or index of a tag or digest, from the first host that has it.

        Raises: ManifestUnknown, ManifestRefused, DigestMismatch.
        """
        expected = Digest(reference) if _DIGEST.fullmatch(reference) else None
        wanted = Capability.PULL if expected else Capability.RESOLVE
        path = f"/{repository.path}/manifests/{quote(reference, safe=':')}"

        async def read(asker: Asker) -> FetchedManifest:
            answer = await self._exchange.ask(
                asker, "GET", path, headers=(ACCEPTANCE,), limit_bytes=LARGEST_MANIFEST
            )
            if answer.status != 200:
                raise _reading_refused(answer, repository, reference)
            announced = answer.header("Docker-Content-Digest")
            actual = digest_of(answer.body)
            if _DIGEST.fullmatch(announced) and announced != actual:
                raise DigestMismatch(announced, actual)
            return read_manifest(
                answer.body, announced=answer.header("Content-Type"), expected=expected
            )

        found = await self._from_first(repository, wanted, credentials, read)
        if found is None:
            raise ManifestUnknown(repository.familiar, reference)
        return found

    # -- blobs -------------------------------------------------------------------------------

    async def blob(
        self,
        repository: Repository,
        descriptor: Descriptor,
        credentials: Credentials = ANONYMOUS,
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob, exactly as many as its descriptor says.

        What breaks off is resumed where it broke, on the same host, by a range; a host that
        ignores ranges is read over. A mirror that fails is left for the next host. Whether they
        are the right bytes is for the keeper to check: it hashes them anyway (`content`).
        Raises: DigestMismatch as soon as there are too many.
        """
        received = _Received(descriptor)
        problem: WherryError | None = None
        async for asker in self._askers(repository, Capability.PULL, credentials):
            try:
                async for chunk in self._from_host(asker, repository, descriptor, received):
                    yield chunk
                return
            except DigestMismatch:
                raise
            except WherryError as error:
                problem = error
                if not asker.host.is_mirror:
                    raise
        raise problem or ManifestUnknown(repository.familiar, descriptor.digest)

    async def _from_host(
        self,
        asker: Asker,
        repository: Repository,
        descriptor: Descriptor,
        received: "_Received",
    ) -> AsyncIterator[bytes]:
        patience = self._exchange.patience()
        path = f"/{repository.path}/blobs/{descriptor.digest}"
        while not received.is_whole:
            start = received.count
            ranged = (("Range", f"bytes={start}-"),) if start else ()
            try:
                async with self._exchange.asking(asker, "GET", path, headers=ranged) as incoming:
                    if incoming.status not in (200, 206):
                        answer = await incoming.answer(limit_bytes=1 << 16)
                        raise _reading_refused(answer, repository, descriptor.digest)
                    skipped = _skipped(incoming, start)
                    async for chunk in incoming.chunks():
                        fresh = chunk[skipped:]
                        skipped = max(0, skipped - len(chunk))
                        if fresh:
                            received.add(fresh)
                            patience.progress()
                            yield fresh
                if not received.is_whole:
                    url = f"{asker.host.url}{path}"
                    raise RegistryUnreachable("GET", url, "unexpected EOF")
            except (RegistryUnreachable, RegistryFailed) as failure:
                await patience.wait(failure)

    async def document(
        self,
        repository: Repository,
        descriptor: Descriptor,
        credentials: Credentials = ANONYMOUS,
    ) -> bytes:
        """A small blob, verified, such as an image's configuration.

        Raises: ManifestRefused for one of more than 4 MiB, DigestMismatch.
        """
        if descriptor.size > LARGEST_MANIFEST:
            raise ManifestRefused(f"blob {descriptor.digest}: {descriptor.size} bytes")
        content = b"".join([each async for each in self.blob(repository, descriptor, credentials)])
        if digest_of(content) != descriptor.digest:
            raise DigestMismatch(descriptor.digest, digest_of(content))
        return content

    # -- the rest ----------------------------------------------------------------------------

    async def tags(
        self, repository: Repository, credentials: Credentials = ANONYMOUS
    ) -> Sequence[str]:
        """Every tag of a repository, page by page. Raises: RepositoryDenied."""

        async def read(asker: Asker) -> Sequence[str]:
            return await self._tags_of(asker, repository)

        found = await self._from_first(repository, Capability.RESOLVE, credentials, read)
        if found is None:
            raise RepositoryDenied(repository.familiar, "no host")
        return found

    async def _tags_of(self, asker: Asker, repository: Repository) -> Sequence[str]:
        found: list[str] = []
        path = f"/{repository.path}/tags/list"
        for _page in range(_MOST_PAGES):
            answer = await self._exchange.ask(asker, "GET", path, limit_bytes=_LARGEST_PAGE)
            if answer.status != 200:
                raise _reading_refused(answer, repository, "")
            found += _texts(answer, "tags")
            link = _LINK.match(answer.header("Link"))
            if link is None:
                return found
            path = urljoin(answer.url, link.group(1))
            if urlsplit(path).netloc != urlsplit(answer.url).netloc:
                return found
        return found

    async def log_in(self, domain: str, credentials: Credentials) -> str:
        """Check credentials with a registry; the identity token to keep, empty for none.

        Raises: RegistryUnauthorized.
        """
        host = self._origin(domain)
        asker = Asker(host=host, scopes=NO_SCOPE, credentials=credentials)
        answer = await self._exchange.ask(asker, "GET", "/")
        if answer.status != 200:
            raise RegistryFailed(
                method="GET",
                url=f"{host.url}/",
                status=answer.status,
                complaint=answer.complaint(),
            )
        if credentials.identity_token:
            return credentials.identity_token
        return await self._exchange.authorizer.identity_token(host, credentials)

    async def search(
        self, domain: str, term: str, *, limit: int, credentials: Credentials = ANONYMOUS
    ) -> Sequence[SearchHit]:
        """Repositories by the index API v1, the only search that there is.

        Raises: RegistryHasNoSearch (distribution ones have none), RegistryRefused.
        """
        host = self._settings.index(domain)
        asker = Asker(host=host, scopes=NO_SCOPE, credentials=credentials)
        query = urlencode({"n": min(limit, _MOST_HITS), "q": term})
        answer = await self._exchange.ask(
            asker, "GET", f"/search?{query}", limit_bytes=_LARGEST_PAGE
        )
        if answer.status == 404:
            raise RegistryHasNoSearch(host.authority)
        if answer.status != 200:
            raise RegistryRefused("search", answer.complaint(), answer.status)
        return tuple(_hits(answer))

    def writer(
        self,
        repository: Repository,
        scopes: tuple[Scope, ...],
        credentials: Credentials = ANONYMOUS,
    ) -> Asker:
        """The host that a repository is written to: never a mirror."""
        host = next(
            (
                each
                for each in self._settings.hosts(repository.domain)
                if Capability.PUSH in each.capabilities
            ),
            None,
        )
        if host is None:
            raise RepositoryDenied(repository.familiar, "no host of it takes a push")
        return Asker(host=host, scopes=scopes, credentials=credentials)

    def _origin(self, domain: str) -> RegistryHost:
        return self._settings.hosts(domain)[-1]

    async def _from_first(
        self,
        repository: Repository,
        wanted: Capability,
        credentials: Credentials,
        read: Callable[[Asker], Awaitable[_Found]],
    ) -> _Found | None:
        """What the first host has that does not fail; None without hosts. A mirror may fail."""
        problem: WherryError | None = None
        async for asker in self._askers(repository, wanted, credentials):
            try:
                return await read(asker)
            except WherryError as error:
                if not asker.host.is_mirror:
                    raise
                problem = error
        if problem is not None:
            raise problem
        return None

    async def _askers(
        self, repository: Repository, wanted: Capability, credentials: Credentials
    ) -> AsyncIterator[Asker]:
        """The hosts to ask in turn; a mirror of another owner is asked anonymously."""
        for host in self._settings.hosts(repository.domain):
            if wanted in host.capabilities:
                yield Asker(
                    host=host,
                    scopes=pulling(repository.path),
                    credentials=ANONYMOUS if host.is_mirror else credentials,
                )


class _Received:
    """How much of a blob has come so far."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self.count = 0

    @property
    def is_whole(self) -> bool:
        return self.count == self._descriptor.size

    def add(self, chunk: bytes) -> None:
        """Count. Raises: DigestMismatch as soon as there is too much."""
        self.count += len(chunk)
        if self.count > self._descriptor.size:
            raise DigestMismatch(
                self._descriptor.digest, f"more than its {self._descriptor.size} bytes"
            )


def _skipped(incoming: Incoming, start: int) -> int:
    """How many bytes of an answer are known already: all before `start` in a whole one."""
    if not start:
        return 0
    if incoming.status == 200:
        return start
    first = re.match(r"bytes (\d{1,18})-", incoming.header("Content-Range"))
    if first is None or int(first.group(1)) > start:
        raise RegistryUnreachable("GET", "", "a range that was not asked for")
    return start - int(first.group(1))


def _reading_refused(answer: Answer, repository: Repository, reference: str) -> WherryError:
    """Why something could not be read, in Docker's distinction of kinds."""
    codes = {code for code, _message in answer.errors()}
    if answer.status in (401, 403) or codes & {"denied", "unauthorized"}:
        return RepositoryDenied(repository.familiar, answer.complaint())
    if answer.status == 404 and "name unknown" in codes:
        return RepositoryDenied(repository.familiar, answer.complaint())
    if answer.status == 404:
        return ManifestUnknown(repository.familiar, reference)
    return RegistryRefused("read", answer.complaint(), answer.status)


def _texts(answer: Answer, name: str) -> list[str]:
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(answer.body)
        if isinstance(document, dict) and isinstance(document.get(name), list):
            return [each for each in document[name] if isinstance(each, str)]
    return []


def _hits(answer: Answer) -> list[SearchHit]:
    found = []
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(answer.body)
        listed = document.get("results") if isinstance(document, dict) else None
        for each in listed if isinstance(listed, list) else []:
            if isinstance(each, dict) and isinstance(each.get("name"), str):
                stars = each.get("star_count")
                found.append(
                    SearchHit(
                        name=each["name"],
                        description=str(each.get("description") or ""),
                        star_count=stars if isinstance(stars, int) else 0,
                        is_official=each.get("is_official") is True,
                    )
                )
    return found
