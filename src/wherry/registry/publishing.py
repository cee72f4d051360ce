"""Indexes of several images, for people who make them by hand: the room's face for a client.

The command line has no part in the engine's vocabulary, so what comes and goes here is plain:
texts, bytes and JSON members; and what goes wrong is one kind, with a sentence.
"""

import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

from wherry.kit.values import dataclass
from wherry.model.errors import WherryError
from wherry.model.errors.images import DigestMismatch
from wherry.model.errors.registries import (
    ManifestRefused,
    ManifestUnknown,
    RegistryFailed,
    RegistryRefused,
    RegistryUnauthorized,
    RegistryUnreachable,
    RepositoryDenied,
)
from wherry.model.ids import Digest
from wherry.oci.image_json import decode_image
from wherry.oci.image_spec import DOCKER_MANIFEST_LIST, INDEX, MANIFEST, Index, Manifest
from wherry.registry.client import RegistryClient, Repository
from wherry.registry.credentials import Credentials
from wherry.registry.hosts import RegistrySettings
from wherry.registry.manifests import FetchedManifest, digest_of, read_manifest
from wherry.registry.scopes import pushing

PlatformMembers = Mapping[str, str | list[str]]
"""The `platform` of an index's entry: texts, and `os.features`, a list."""


class PublishProblem(Exception):
    """What a registry, or the way to it, has against something; one sentence."""


class NothingThere(PublishProblem):
    """No such tag, digest or repository, or not for us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedImage:
    """A manifest as a registry has it, and what it runs on."""

    media_type: str
    digest: str
    content: bytes
    platform: Mapping[str, str]
    """The members of an index's `platform`, without the empty ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedIndex:
    """An index as a registry has it."""

    content: bytes
    images: tuple[PublishedImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A file of an artifact, and what is said of it."""

    media_type: str
    content: bytes
    annotations: Mapping[str, str]


class Publisher:
    """One user of one registry."""

    def __init__(self, client: RegistryClient, domain: str, credentials: Credentials) -> None:
        self._client = client
        self._domain = domain
        self._credentials = credentials

    async def fetch(self, path: str, reference: str) -> PublishedImage | PublishedIndex:
        """What is behind a tag or digest. Raises: PublishProblem."""
        with _in_one_sentence():
            try:
                found = await self._manifest(path, reference)
            except (ManifestUnknown, RepositoryDenied) as error:
                raise NothingThere(reference) from error
            if isinstance(found.document, Manifest):
                return _image(found, await self._platform(path, found.document))
            return PublishedIndex(
                content=found.content, images=await self._members(path, found.document)
            )

    async def put_index(self, path: str, tag: str, content: bytes, *, media_type: str) -> str:
        """Name an index whose images are there; its digest. Raises: PublishProblem."""
        with _in_one_sentence():
            asker = self._client.writer(self._repository(path), pushing(path), self._credentials)
            await self._client.uploads.put_manifest(
                asker, path, tag, media_type=media_type, content=content
            )
            return digest_of(content)

    async def put_artifact(
        self, path: str, tag: str, files: Sequence[PublishedFile], *, kind: str
    ) -> str:
        """Publish files that are no image, as one artifact of a kind; the digest of its manifest.

        Raises: PublishProblem.
        """
        with _in_one_sentence():
            asker = self._client.writer(self._repository(path), pushing(path), self._credentials)
            for content in {_EMPTY, *(each.content for each in files)}:
                digest = Digest(digest_of(content))
                if not await self._client.uploads.has_blob(asker, path, digest):
                    await self._client.uploads.put_blob(
                        asker, path, digest, size=len(content), open_source=_opener(content)
                    )
            manifest = _artifact(files, kind)
            await self._client.uploads.put_manifest(
                asker, path, tag, media_type=MANIFEST, content=manifest
            )
            return digest_of(manifest)

    async def take_over(self, path: str, image: PublishedImage, *, source: str) -> None:
        """Bring an image from another repository, without its bytes. Raises: PublishProblem."""
        with _in_one_sentence():
            found = read_manifest(image.content, announced=image.media_type)
            assert isinstance(found.document, Manifest)
            scopes = pushing(path, mounted_from=source)
            asker = self._client.writer(self._repository(path), scopes, self._credentials)
            uploads = self._client.uploads
            for each in (found.document.config, *found.document.layers):
                digest = Digest(each.digest)
                if await uploads.has_blob(asker, path, digest):
                    continue
                if not await uploads.mount(asker, path, digest, mounted_from=source):
                    raise PublishProblem(f"{digest} can't be mounted from {source}")
            await uploads.put_manifest(
                asker, path, image.digest, media_type=image.media_type, content=image.content
            )

    async def _manifest(self, path: str, reference: str) -> FetchedManifest:
        return await self._client.manifest(self._repository(path), reference, self._credentials)

    async def _platform(self, path: str, manifest: Manifest) -> Mapping[str, str]:
        content = await self._client.document(
            self._repository(path), manifest.config, self._credentials
        )
        try:
            document = decode_image(content)
        except ValueError as error:
            raise PublishProblem(f"{manifest.config.digest} is no image: {error}") from error
        return _members(document.architecture, document.os, document.variant)

    async def _members(self, path: str, index: Index) -> tuple[PublishedImage, ...]:
        found = []
        for each in index.manifests:
            manifest = await self._manifest(path, each.digest)
            where = each.platform
            platform = _members(where.architecture, where.os, where.variant) if where else {}
            found.append(_image(manifest, platform))
        return tuple(found)

    def _repository(self, path: str) -> Repository:
        return Repository(self._domain, path)


@contextlib.asynccontextmanager
async def publisher(
    domain: str, *, username: str, password: str, identity_token: str, is_insecure: bool
) -> AsyncIterator[Publisher]:
    """Someone who publishes at a registry, until the block ends."""
    settings = RegistrySettings(insecure=(domain,) if is_insecure else ())
    who = Credentials(username=username, password=password, identity_token=identity_token)
    async with RegistryClient(settings, user_agent="wherry") as client:
        yield Publisher(client, domain, who)


def index_of(images: Sequence[tuple[PublishedImage, PlatformMembers]]) -> tuple[str, bytes]:
    """The media type and bytes of an index of images and platforms: those that docker makes."""
    only_oci = all(image.media_type == MANIFEST for image, _platform in images)
    media_type = INDEX if only_oci else DOCKER_MANIFEST_LIST
    listed = [
        {
            "mediaType": image.media_type,
            "size": len(image.content),
            "digest": image.digest,
            "platform": platform,
        }
        for image, platform in images
    ]
    made = {"schemaVersion": 2, "mediaType": media_type, "manifests": listed}
    return media_type, json.dumps(made, indent=3).encode()


_EMPTY = b"{}"
"""What an artifact has in place of an image's configuration (image-spec, manifest.md)."""


def _opener(content: bytes) -> Callable[[], io.BytesIO]:
    return lambda: io.BytesIO(content)


def _artifact(files: Sequence[PublishedFile], kind: str) -> bytes:
    def described(media_type: str, content: bytes) -> Mapping[str, str | int]:
        return {
            "mediaType": media_type, "digest": digest_of(content), "size": len(content),
        }  # fmt: skip

    made = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": described("application/vnd.oci.empty.v1+json", _EMPTY),
        "layers": [
            {**described(each.media_type, each.content), "annotations": dict(each.annotations)}
            for each in files
        ],
    }
    return json.dumps(made).encode()


def is_oci(media_type: str) -> bool:
    """Whether a manifest is an OCI one, not Docker's older kind."""
    return media_type == MANIFEST


def _image(found: FetchedManifest, platform: Mapping[str, str]) -> PublishedImage:
    return PublishedImage(
        media_type=found.media_type,
        digest=found.digest,
        content=found.content,
        platform=platform,
    )


def _members(architecture: str, system: str, variant: str) -> Mapping[str, str]:
    members = {"architecture": architecture, "os": system, "variant": variant}
    return {key: value for key, value in members.items() if value}


@contextlib.contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Raises: PublishProblem, in place of every kind that the engine tells apart."""
    try:
        yield
    except RepositoryDenied as error:
        raise PublishProblem(error.complaint) from error
    except ManifestUnknown as error:
        raise PublishProblem(f"{error.repository} has no {error.reference}") from error
    except RegistryUnreachable as error:
        sentence = f'{error.method.capitalize()} "{error.url}": {error.cause}'
        raise PublishProblem(sentence) from error
    except RegistryUnauthorized as error:
        raise PublishProblem(f'Get "{error.place}": {error.complaint}') from error
    except (RegistryFailed, RegistryRefused) as error:
        raise PublishProblem(error.complaint) from error
    except ManifestRefused as error:
        raise PublishProblem(f"invalid manifest: {error.problem}") from error
    except DigestMismatch as error:
        raise PublishProblem(
            f"content has digest {error.actual}, expected {error.expected}"
        ) from error
    except WherryError as error:
        raise PublishProblem(str(error)) from error
