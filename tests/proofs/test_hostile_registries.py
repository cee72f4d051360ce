"""RELIABILITY row 15 (I01-I05, I07, F17): registries that lie, break off or ask for secrets.

Every case is a pull through the engine's own classes, of an image that is sound but for one
fault. Lies must fail with nothing committed; what passes must be waited out and give the very
image; and no host but the registry may ever see who we are.
"""

import gzip
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.image_archives import config, digest, layer
from support.proof_size import Size
from support.strict_registry import Fault, StrictRegistry
from wherry.images import ImagePulls, ImageStore, PullRequest, parse
from wherry.kit.aio import OffloadPool
from wherry.model.errors import WherryError
from wherry.oci.image_spec import INDEX, MANIFEST, Platform
from wherry.registry import Credentials, RegistryClient, RegistrySettings
from wherry.snapshots import Snapshots
from wherry.store import Database

pytestmark = pytest.mark.timeout(300)

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
ANN = Credentials(username="ann", password="secret")
HOST = Platform(os="linux", architecture="amd64")
BAD_DIGESTS = (
    "sha256:../../x", "sha256:" + "A" * 64, "sha256:abc", "md5:" + "0" * 32, "sha512:" + "0" * 128,
    "", "sha256:", "sha256:" + "0" * 63 + "/", "/etc/passwd", "sha256:" + "0" * 65,
    "sha256:" + "0" * 64 + "\n", "SHA256:" + "0" * 64,
)  # fmt: skip


@dataclass(slots=True)
class Scene:
    """An engine's image store and pulls beside a registry with one sound image."""

    registry: StrictRegistry
    store: ImageStore
    pulls: ImagePulls
    layers: list[bytes]
    config: bytes

    @property
    def manifest(self) -> dict[str, object]:
        """The sound manifest, afresh."""
        return {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described(CONFIG, self.config),
            "layers": [described(LAYER, each) for each in self.layers],
        }

    def publish(self, document: object, *, media_type: str = MANIFEST) -> None:
        """Put a document under the tag."""
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.registry.add_manifest("team/box", content, media_type, "v1")

    async def pull(self) -> str:
        """Pull the tag; the failure's text, or nothing."""
        name = parse(f"{self.registry.domain}/team/box:v1")
        request = PullRequest(name=name, platform=HOST, credentials=ANN)
        try:
            await self.pulls.pull(request, lambda _progress: None)
        except WherryError as error:
            return f"{type(error).__name__}: {error}"
        return ""


def described(media_type: str, content: bytes, **more: object) -> dict[str, object]:
    """A descriptor."""
    found = {"mediaType": media_type, "digest": digest(content), "size": len(content)}
    return found | more


async def at_once(_seconds: float) -> None:
    """Patience that takes no time."""


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[ImageStore]:
    """An image store of one's own."""
    data_root = tmp_path / "data"
    data_root.mkdir()
    database = Database(
        str(data_root / "engine.db"), (*Snapshots.MIGRATIONS, *ImageStore.MIGRATIONS)
    )
    yield ImageStore(str(data_root), database, Snapshots(str(data_root), database))
    database.close()


@pytest.fixture
async def scene(stores: ImageStore) -> AsyncIterator[Scene]:
    """A registry that knows ann only, and her engine."""
    registry = StrictRegistry(username="ann", password="secret")
    offload, unpacking = OffloadPool(4), OffloadPool(4)
    client = RegistryClient(RegistrySettings(), user_agent="proof", sleep=at_once)
    pulls = ImagePulls(store=stores, client=client, offload=offload, unpacking=unpacking)
    plain = [layer("one", b"1" * 5000), layer("two", bytes(range(256)) * 40)]
    async with registry.serving():
        made = Scene(
            registry=registry,
            store=stores,
            pulls=pulls,
            layers=[gzip.compress(each, mtime=0) for each in plain],
            config=config(*plain),
        )
        for each in (*made.layers, made.config):
            registry.add_blob("team/box", each)
        made.publish(made.manifest)
        yield made
    await client.close()
    offload.close()
    unpacking.close()


def bad_blobs(store: ImageStore) -> list[str]:
    """Committed blobs whose bytes are not those of their name."""
    content = store.content
    return [
        each
        for each in content.digests()
        if digest(content.read(each, limit_bytes=content.size(each))) != each
    ]


Arrange = Callable[[Scene], None]


def altered(content: bytes) -> dict[str, bytes]:
    """The ways in which bytes can be other than they should."""
    flipped = bytearray(content)
    flipped[len(flipped) // 2] ^= 1
    return {"flipped": bytes(flipped), "short": content[:-7], "long": content + b"more"}


def lies() -> dict[str, Arrange]:
    """What must fail, by name."""
    cases: dict[str, Arrange] = {}

    def served(part: Callable[[Scene], bytes], how: str) -> Arrange:
        def arrange(scene: Scene) -> None:
            true = part(scene)
            path = f"GET /v2/team/box/blobs/{digest(true)}"
            for _ in range(6):
                scene.registry.faults.append(Fault(on=path, body=altered(true)[how]))

        return arrange

    def changed(change: Callable[[dict[str, object], Scene], object]) -> Arrange:
        def arrange(scene: Scene) -> None:
            document = scene.manifest
            scene.publish(change(document, scene) or document)

        return arrange

    for how in ("flipped", "short", "long"):
        cases[f"config {how}"] = served(lambda scene: scene.config, how)
        cases[f"layer 1 {how}"] = served(lambda scene: scene.layers[0], how)
        cases[f"layer 2 {how}"] = served(lambda scene: scene.layers[1], how)

        def manifest(scene: Scene, how: str = how) -> None:
            body = altered(json.dumps(scene.manifest).encode())[how]
            for _ in range(6):
                scene.registry.faults.append(Fault(on="/manifests/", body=body))

        cases[f"manifest {how}"] = manifest

    def swapped(scene: Scene) -> None:
        for at in (0, 1):
            path = f"GET /v2/team/box/blobs/{digest(scene.layers[at])}"
            scene.registry.faults.append(Fault(on=path, body=scene.layers[1 - at]))

    def other_layers(scene: Scene) -> None:
        wrong = config(layer("other"), layer("layers"))
        scene.registry.add_blob("team/box", wrong)
        scene.publish(scene.manifest | {"config": described(CONFIG, wrong)})

    cases["blobs swapped"] = swapped
    cases["layers that are not those of the configuration"] = other_layers
    for number, bad in enumerate(BAD_DIGESTS):
        cases[f"config digest {number}"] = changed(
            lambda document, scene, bad=bad: (
                document  # type: ignore[misc]
                | {"config": described(CONFIG, scene.config) | {"digest": bad}}
            )
        )
        cases[f"layer digest {number}"] = changed(
            lambda document, scene, bad=bad: (
                document  # type: ignore[misc]
                | {"layers": [described(LAYER, scene.layers[0]) | {"digest": bad}]}
            )
        )
    confusions: dict[str, dict[str, object]] = {
        "layers and manifests": {"manifests": []},
        "an index by its own type": {"mediaType": INDEX},
        "a media type that is a number": {"mediaType": 3},
        "schema 1": {"schemaVersion": 1},
        "an unknown type": {"mediaType": "application/x-other"},
        "no layers": {"layers": None},
        "1,001 layers": {"layers": [described(LAYER, b"x")] * 1001},
        "a configuration of 100 MB": {"config": described(CONFIG, b"x") | {"size": 100 << 20}},
        "a configuration that is none": {"config": described("application/x-other", b"x")},
        "a negative size": {"config": described(CONFIG, b"x") | {"size": -1}},
    }
    for name, members in confusions.items():
        cases[name] = changed(
            lambda document, _scene, members=members: document | members  # type: ignore[misc]
        )
    cases["a manifest of 5 MB"] = changed(
        lambda document, _scene: document | {"annotations": {"x": "y" * (5 << 20)}}
    )

    def nested(scene: Scene) -> None:
        inner = scene.registry.manifests["team/box"]["v1"][1]
        for _depth in range(5):
            entry = described(INDEX, inner, platform={"os": "linux", "architecture": "amd64"})
            document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
            inner = json.dumps(document).encode()
            scene.publish(inner, media_type=INDEX)

    def of_windows(scene: Scene) -> None:
        other = config(layer("one"), layer("two"), os="windows")
        scene.registry.add_blob("team/box", other)
        scene.publish(scene.manifest | {"config": described(CONFIG, other)})

    cases["indexes in indexes"] = nested
    cases["an image of Windows"] = of_windows
    for status in (404, 403, 500, 503):
        cases[f"a layer that is {status} for good"] = lambda scene, status=status: (  # type: ignore[misc]
            scene.registry.faults.extend(
                Fault(on=f"GET /v2/team/box/blobs/{digest(scene.layers[0])}", status=status)
                for _ in range(6)
            )
        )
    return cases


def troubles() -> dict[str, Arrange]:
    """What passes, by name."""
    cases: dict[str, Arrange] = {}
    for status in (500, 502, 503, 504, 429):
        for what in ("/manifests/", "/blobs/"):
            for times in (1, 4):
                cases[f"{status} on {what} {times} times"] = (
                    lambda scene, status=status, what=what, times=times: (  # type: ignore[misc]
                        scene.registry.faults.extend(
                            Fault(on=what, status=status, retry_after="1") for _ in range(times)
                        )
                    )
                )
    for at in (0, 1):
        for after in (0, 10, 100):
            cases[f"layer {at + 1} breaks off after {after} bytes"] = (
                lambda scene, at=at, after=after: scene.registry.faults.append(  # type: ignore[misc]
                    Fault(
                        on=f"GET /v2/team/box/blobs/{digest(scene.layers[at])}",
                        breaks_after=after,
                    )
                )
            )

    def no_ranges(scene: Scene) -> None:
        scene.registry.knows_ranges = False
        path = f"GET /v2/team/box/blobs/{digest(scene.layers[1])}"
        scene.registry.faults.append(Fault(on=path, breaks_after=100))

    cases["ranges are ignored"] = no_ranges
    return cases


@pytest.mark.parametrize("name", sorted(lies()))
async def test_lies_are_refused(scene: Scene, name: str) -> None:
    """The pull fails, nothing of it is there, and the next pull of the sound image works."""
    lies()[name](scene)
    failure = await scene.pull()
    assert failure, "a lie was believed"
    if name.endswith(("flipped", "short", "long")):
        assert "sha256:" in failure, failure
    assert not scene.store.list()
    assert bad_blobs(scene.store) == []
    scene.registry.faults.clear()
    scene.publish(scene.manifest)
    assert await scene.pull() == ""
    assert [image.id for image in scene.store.list()] == [digest(scene.config)]
    assert bad_blobs(scene.store) == []


@pytest.mark.parametrize("name", sorted(troubles()))
async def test_troubles_are_waited_out(scene: Scene, name: str) -> None:
    """The image comes, whole."""
    troubles()[name](scene)
    assert await scene.pull() == ""
    assert [image.id for image in scene.store.list()] == [digest(scene.config)]
    assert bad_blobs(scene.store) == []


@pytest.mark.parametrize("kind", ["a redirect of a blob", "a realm elsewhere", "a foreign layer"])
async def test_no_other_host_sees_who_we_are(scene: Scene, kind: str) -> None:
    """A host that is not the registry gets no credentials, whoever names it."""
    async with StrictRegistry().serving() as thief:
        for each in scene.layers:
            thief.add_blob("team/box", each)
        if kind == "a redirect of a blob":
            path = f"/v2/team/box/blobs/{digest(scene.layers[0])}"
            # By name, not by address: another host to every rule that there is.
            target = thief.url.replace("127.0.0.1", "localhost") + path
            scene.registry.faults.append(
                Fault(on=f"GET {path}", status=307, headers={"Location": target})
            )
            assert await scene.pull() == ""
            assert thief.seen
        elif kind == "a realm elsewhere":
            scene.registry.token_realm = thief.url.replace("127.0.0.1", "localhost") + "/token"
            assert await scene.pull()
            assert thief.seen
        else:
            urls = [f"{thief.url}/v2/team/box/blobs/{digest(scene.layers[0])}"]
            first = described(LAYER, scene.layers[0], urls=urls)
            scene.publish(scene.manifest | {"layers": [first, described(LAYER, scene.layers[1])]})
            assert await scene.pull() == ""
        assert [each for each in thief.seen if each.authorization] == []


async def test_mutated_manifests(scene: Scene, size: Size, figure: list[str]) -> None:
    """I04: manifests with bytes changed by chance: refused, or the very image; never a crash."""
    chance = random.Random(15)
    count, refused = size.of(200, 40), 0
    true = json.dumps(scene.manifest).encode()
    for _ in range(count):
        mutated = bytearray(true)
        for _change in range(chance.randint(1, 4)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        scene.publish(bytes(mutated))
        refused += bool(await scene.pull())
        assert {image.id for image in scene.store.list()} <= {digest(scene.config)}
        assert bad_blobs(scene.store) == []
    figure.append(
        f"{len(lies())} lies refused, {len(troubles())} troubles waited out, 3 thieves saw "
        f"nothing; {refused} of {count} mutated manifests refused, the others gave the image; "
        "bad content committed 0"
    )
