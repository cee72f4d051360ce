"""The client against a registry that keeps to the specification, and one that does not."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import web

from support.strict_registry import Fault, StrictRegistry, digest_of
from wherry.model.errors.images import DigestMismatch
from wherry.model.errors.registries import (
    ManifestRefused,
    ManifestUnknown,
    RegistryFailed,
    RegistryHasNoSearch,
    RegistryUnauthorized,
    RegistryUnreachable,
    RepositoryDenied,
)
from wherry.model.ids import Digest
from wherry.oci.image_spec import LAYER, MANIFEST, Descriptor
from wherry.registry import (
    ANONYMOUS,
    Credentials,
    RegistryClient,
    RegistrySettings,
    Repository,
    pushing,
)

USER = Credentials(username="ann", password="secret")
CONTENT = bytes(range(256)) * 4096


class Client:
    """A client whose pauses are noted and not slept."""

    def __init__(self, tmp_path: Path, **settings: object) -> None:
        self.pauses: list[float] = []
        made = RegistrySettings(
            certificate_directories=(str(tmp_path),),
            **settings,  # type: ignore[arg-type]
        )
        self.registry = RegistryClient(made, user_agent="test/1", sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def blob(
        self, repository: Repository, digest: str, size: int, who: Credentials = ANONYMOUS
    ) -> bytes:
        """A blob as a whole."""
        wanted = Descriptor(media_type=LAYER, digest=digest, size=size)
        return b"".join([each async for each in self.registry.blob(repository, wanted, who)])


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A client without mirrors."""
    made = Client(tmp_path)
    yield made
    await made.registry.close()


@pytest.fixture
async def registry() -> AsyncIterator[StrictRegistry]:
    """A registry on loopback, open to all."""
    async with StrictRegistry().serving() as made:
        yield made


def here(registry: StrictRegistry, path: str = "team/box") -> Repository:
    """A repository of it."""
    return Repository(registry.domain, path)


def image(registry: StrictRegistry, name: str = "team/box", tag: str = "v1") -> str:
    """An image of one layer in a registry; the manifest's digest."""
    config, layer = registry.add_blob(name, b"{}"), registry.add_blob(name, CONTENT)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": "x", "digest": config, "size": 2},
        "layers": [{"mediaType": LAYER, "digest": layer, "size": len(CONTENT)}],
    }
    return registry.add_manifest(name, json.dumps(document).encode(), MANIFEST, tag)


async def test_a_manifest_by_tag_and_by_digest(client: Client, registry: StrictRegistry) -> None:
    """Both give the same bytes."""
    digest = image(registry)
    by_tag = await client.registry.manifest(here(registry), "v1")
    assert by_tag.digest == digest
    assert (await client.registry.manifest(here(registry), digest)).content == by_tag.content


async def test_what_is_not_there(client: Client, registry: StrictRegistry) -> None:
    """A tag that is missing, and a repository that is."""
    image(registry)
    with pytest.raises(ManifestUnknown):
        await client.registry.manifest(here(registry), "v2")
    with pytest.raises(RepositoryDenied):
        await client.registry.manifest(here(registry, "team/other"), "v1")


async def test_a_digest_that_lies(client: Client, registry: StrictRegistry) -> None:
    """Another document under a digest, or a header that promises another digest."""
    digest = image(registry)
    other = json.dumps({"schemaVersion": 2, "config": {"digest": digest, "size": 1}}).encode()
    registry.faults.append(Fault(on="/manifests/", body=other))
    with pytest.raises(DigestMismatch):
        await client.registry.manifest(here(registry), digest)
    registry.faults.append(Fault(on="/manifests/", body=other))
    with pytest.raises(DigestMismatch):
        await client.registry.manifest(here(registry), "v1")


async def test_a_blob_is_resumed_where_it_broke(client: Client, registry: StrictRegistry) -> None:
    """Two breaks, and no byte is fetched twice."""
    digest = registry.add_blob("team/box", CONTENT)
    registry.faults += [Fault(on="/blobs/", breaks_after=300_000) for _ in range(2)]
    assert await client.blob(here(registry), digest, len(CONTENT)) == CONTENT
    ranges = [each.range for each in registry.requests("/blobs/")]
    assert len(ranges) == 3
    assert ranges[0] == ""
    assert all(each.startswith("bytes=") for each in ranges[1:])


async def test_a_registry_without_ranges(client: Client, registry: StrictRegistry) -> None:
    """What is known already is read over."""
    registry.knows_ranges = False
    digest = registry.add_blob("team/box", CONTENT)
    registry.faults.append(Fault(on="/blobs/", breaks_after=300_000))
    assert await client.blob(here(registry), digest, len(CONTENT)) == CONTENT


@pytest.mark.parametrize(
    "body",
    [CONTENT + b"more", b"", CONTENT[: len(CONTENT) // 2]],
    ids=["longer", "empty", "half"],
)
async def test_a_blob_that_lies(client: Client, registry: StrictRegistry, body: bytes) -> None:
    """Long and short bodies end in an error, whatever the registry promised."""
    digest = registry.add_blob("team/box", CONTENT)
    registry.faults += [Fault(on="/blobs/", body=body) for _ in range(5)]
    with pytest.raises((DigestMismatch, RegistryUnreachable)):
        await client.blob(here(registry), digest, len(CONTENT))


async def test_a_document_that_lies(client: Client, registry: StrictRegistry) -> None:
    """What is small is checked at once; what is not small is no document."""
    digest = registry.add_blob("team/box", b"{}")
    registry.faults.append(Fault(on="/blobs/", body=b"[]"))
    wanted = Descriptor(media_type="x", digest=digest, size=2)
    with pytest.raises(DigestMismatch):
        await client.registry.document(here(registry), wanted)
    assert await client.registry.document(here(registry), wanted) == b"{}"
    with pytest.raises(ManifestRefused):
        await client.registry.document(here(registry), replace(wanted, size=1 << 30))


async def test_passing_failures_are_waited_out(client: Client, registry: StrictRegistry) -> None:
    """Two of them, one with a wish for how long."""
    digest = image(registry)
    registry.faults += [
        Fault(on="/manifests/", status=503),
        Fault(on="/manifests/", status=429, retry_after="7"),
    ]
    assert (await client.registry.manifest(here(registry), "v1")).digest == digest
    assert client.pauses == [0.2, 7.0]


async def test_patience_ends(client: Client, registry: StrictRegistry) -> None:
    """Five attempts, and the server's complaint; a wish for an hour is not waited for."""
    image(registry)
    registry.faults += [Fault(on="/manifests/", status=500, body=b"on fire") for _ in range(5)]
    with pytest.raises(RegistryFailed) as caught:
        await client.registry.manifest(here(registry), "v1")
    assert "on fire" in caught.value.complaint
    assert len(client.pauses) == 4
    registry.faults.append(Fault(on="/manifests/", status=429, retry_after="3600"))
    with pytest.raises(RegistryFailed):
        await client.registry.manifest(here(registry), "v1")
    assert len(client.pauses) == 4


async def test_nobody_listens(client: Client) -> None:
    """Told at once, in the words of Go's client."""
    with pytest.raises(RegistryUnreachable) as caught:
        await client.registry.manifest(Repository("127.0.0.1:1", "a"), "v1")
    assert caught.value.cause == "dial tcp 127.0.0.1:1: connect: connection refused"
    assert not client.pauses


async def test_basic_authorisation(client: Client, registry: StrictRegistry) -> None:
    """Shown once it is demanded, and from then on at once."""
    registry.username, registry.password = "ann", "secret"
    digest = image(registry)
    with pytest.raises(RegistryUnauthorized):
        await client.registry.manifest(here(registry), "v1")
    assert (await client.registry.manifest(here(registry), "v1", USER)).digest == digest
    before = len(registry.seen)
    await client.registry.manifest(here(registry), "v1", USER)
    assert len(registry.seen) == before + 1


@pytest.fixture
async def token_server() -> AsyncIterator[tuple[str, list[web.BaseRequest], set[str]]]:
    """A token server: its URL, what it was asked, the tokens that it issued."""
    asked: list[web.BaseRequest] = []
    issued: set[str] = set()

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request)
        await request.read()
        token = f"token-{len(asked)}"
        issued.add(token)
        return web.json_response({"token": token, "expires_in": 300, "refresh_token": "refresh"})

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/token", asked, issued
    await runner.cleanup()


async def test_bearer_tokens(
    client: Client,
    registry: StrictRegistry,
    token_server: tuple[str, list[web.BaseRequest], set[str]],
) -> None:
    """Fetched once per scope, shown to the registry, renewed when they are not taken."""
    registry.token_realm, asked, registry.issued = token_server
    image(registry)
    await client.registry.manifest(here(registry), "v1", USER)
    await client.registry.manifest(here(registry), "v1", USER)
    assert len(asked) == 1
    assert asked[0].query["scope"] == "repository:team/box:pull"
    assert asked[0].query["service"] == "strict"
    assert asked[0].headers["Authorization"].startswith("Basic ")
    registry.issued.clear()
    await client.registry.manifest(here(registry), "v1", USER)
    assert len(asked) == 2


async def test_an_identity_token_is_a_refresh_token(
    client: Client,
    registry: StrictRegistry,
    token_server: tuple[str, list[web.BaseRequest], set[str]],
) -> None:
    """A login gives one; later it is posted instead of a password."""
    registry.token_realm, asked, registry.issued = token_server
    image(registry)
    assert await client.registry.log_in(registry.domain, USER) == "refresh"
    await client.registry.manifest(here(registry), "v1", Credentials(identity_token="refresh"))
    assert asked[-1].method == "POST"
    assert "Authorization" not in asked[-1].headers


async def test_a_login_that_is_refused(client: Client, registry: StrictRegistry) -> None:
    """The registry's own words."""
    registry.username, registry.password = "ann", "other"
    with pytest.raises(RegistryUnauthorized) as caught:
        await client.registry.log_in(registry.domain, USER)
    assert "authentication required" in caught.value.complaint


async def test_credentials_stay_with_their_registry(
    client: Client, registry: StrictRegistry
) -> None:
    """Neither a redirect nor an upload's location on another host is shown them."""
    registry.username, registry.password = "ann", "secret"
    digest = registry.add_blob("team/box", CONTENT)
    async with StrictRegistry().serving() as other:
        other.add_blob("team/box", CONTENT)
        target = f"{other.url}/v2/team/box/blobs/{digest}"
        await client.registry.log_in(registry.domain, USER)
        registry.faults.append(Fault(on="/blobs/", status=307, headers={"Location": target}))
        assert await client.blob(here(registry), digest, len(CONTENT), USER) == CONTENT
        assert [each.authorization for each in other.seen] == [""]
        other.uploads["ab"] = bytearray()
        elsewhere = f"{other.url}/v2/team/box/blobs/uploads/ab"
        registry.faults.append(Fault(on="POST", status=202, headers={"Location": elsewhere}))
        await put(client, registry, b"pushed", USER)
        assert {each.authorization for each in other.seen} == {""}


async def test_a_realm_of_another_owner_gets_no_credentials(
    client: Client, registry: StrictRegistry
) -> None:
    """It is asked for an anonymous token."""
    asked: list[web.BaseRequest] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request)
        registry.issued.add("anonymous")
        return web.json_response({"token": "anonymous"})

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.2", 0).start()
    registry.token_realm = f"http://127.0.0.2:{runner.addresses[0][1]}/token"
    image(registry)
    await client.registry.manifest(here(registry), "v1", USER)
    await runner.cleanup()
    assert "Authorization" not in asked[0].headers
    assert "account" not in asked[0].query


async def test_mirrors_are_tried_first(tmp_path: Path, registry: StrictRegistry) -> None:
    """A mirror that lacks something, or lies, is left for the registry; it sees no secrets."""
    digest = image(registry)
    registry.username, registry.password = "ann", "secret"
    async with StrictRegistry().serving() as mirror:
        client = Client(tmp_path, mirrors={registry.domain: (mirror.url,)})
        found = await client.registry.manifest(here(registry), "v1", USER)
        assert found.digest == digest
        image(mirror)
        before = len(registry.seen)
        await client.registry.manifest(here(registry), "v1", USER)
        assert len(registry.seen) == before
        layer = digest_of(CONTENT)
        mirror.blobs["team/box"].pop(layer)
        assert await client.blob(here(registry), layer, len(CONTENT), USER) == CONTENT
        assert {each.authorization for each in mirror.seen} == {""}
        await client.registry.close()


async def put(
    client: Client, registry: StrictRegistry, content: bytes, who: Credentials = ANONYMOUS
) -> str:
    """Upload a blob."""
    repository = here(registry)
    asker = client.registry.writer(repository, pushing(repository.path), who)
    digest = Digest(digest_of(content))
    await client.registry.uploads.put_blob(
        asker,
        repository.path,
        digest,
        size=len(content),
        open_source=lambda: BytesIO(content),
    )
    return digest


@pytest.mark.parametrize("size", [0, 1, 100_000])
async def test_small_blobs_are_put_in_one_piece(
    client: Client, registry: StrictRegistry, size: int
) -> None:
    """POST, PUT; and what was put is there."""
    digest = await put(client, registry, CONTENT[:size])
    assert registry.blobs["team/box"][digest] == CONTENT[:size]
    assert [each.method for each in registry.seen] == ["POST", "PUT"]


async def test_large_blobs_go_in_chunks(
    client: Client, registry: StrictRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that breaks off is continued at the byte that arrived last."""
    monkeypatch.setattr("wherry.registry.uploads.CHUNK", 300_000)
    registry.faults.append(Fault(on="PATCH", breaks_after=200_000))
    digest = await put(client, registry, CONTENT)
    assert registry.blobs["team/box"][digest] == CONTENT
    assert [each.method for each in registry.seen][:4] == ["POST", "PATCH", "GET", "PATCH"]


async def test_a_broken_last_piece_begins_anew(client: Client, registry: StrictRegistry) -> None:
    """What the registry took of it is not known."""
    registry.faults.append(Fault(on="PUT", breaks_after=70_000))
    digest = await put(client, registry, CONTENT)
    assert registry.blobs["team/box"][digest] == CONTENT


async def test_blobs_are_mounted(client: Client, registry: StrictRegistry) -> None:
    """Taken over from another repository without a byte; a refusal leaves no session."""
    digest = Digest(registry.add_blob("team/other", CONTENT))
    repository = here(registry)
    asker = client.registry.writer(repository, pushing(repository.path, mounted_from="team/other"))
    uploads = client.registry.uploads
    assert not await uploads.has_blob(asker, "team/box", digest)
    assert await uploads.mount(asker, "team/box", digest, mounted_from="team/other")
    assert await uploads.has_blob(asker, "team/box", digest)
    missing = Digest(digest_of(b"missing"))
    assert not await uploads.mount(asker, "team/box", missing, mounted_from="team/other")
    assert not registry.uploads


async def test_a_search(client: Client, registry: StrictRegistry) -> None:
    """By the index of version 1, where there is one."""
    with pytest.raises(RegistryHasNoSearch):
        await client.registry.search(registry.domain, "box", limit=5)
    hits = [{"name": "team/box", "description": None, "star_count": 3}, {"name": 5}, "team"]
    answer = json.dumps({"results": hits}).encode()
    registry.faults.append(Fault(on="GET /v1/search", status=200, body=answer))
    (hit,) = await client.registry.search(registry.domain, "box", limit=5)
    assert (hit.name, hit.description, hit.star_count) == ("team/box", "", 3)
    assert registry.seen[-1].path == "/v1/search?n=5&q=box"


async def test_tags_page_by_page(client: Client, registry: StrictRegistry) -> None:
    """All of them, in as many pages as the registry makes."""
    registry.page = 2
    for tag in "abcde":
        image(registry, tag=tag)
    assert await client.registry.tags(here(registry)) == list("abcde")
