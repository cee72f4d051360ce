"""Plugins in registries: archives of files and a description, under a manifest of their own.

What comes is recorded only when its files are there, in the place of those of an earlier version.
"""

import json
from collections.abc import AsyncIterator, Sequence
from functools import partial

import msgspec

from wherry.engine.plugins.config import (
    LARGEST_CONFIG,
    PluginConfig,
    are_allowed,
    default_settings,
    read_config,
)
from wherry.engine.plugins.installed import InstalledPlugins
from wherry.images import Reference, parse
from wherry.kit.aio import OffloadPool
from wherry.kit.random_ids import short_id
from wherry.kit.values import replace
from wherry.model.errors.plugins import PluginPrivilegesWrong
from wherry.model.errors.registries import ManifestRefused
from wherry.model.ids import Digest
from wherry.model.outcomes import Progress
from wherry.model.plugins import ManagedPlugin, PluginLayer, PluginPrivilege
from wherry.oci.image_spec import Descriptor, Manifest
from wherry.registry import Credentials, RegistryClient, Repository, digest_of, pushing

CONFIG_TYPE = "application/vnd.docker.plugin.v1+json"
_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


class PluginTransfers:
    """Plugins between here and registries."""

    def __init__(
        self, *, plugins: InstalledPlugins, client: RegistryClient, offload: OffloadPool
    ) -> None:
        self._plugins = plugins
        self._client = client
        self._offload = offload

    async def fetched(
        self,
        reference: Reference,
        plugin: ManagedPlugin,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]:
        """Fetch a plugin's parts, put its files in the place of earlier ones, and record it.

        Raises: PluginPrivilegesWrong, ManifestRefused, and what the client raises.
        """
        shown = reference.tag or str(reference.digest)
        yield Progress(status=f"Pulling from {reference.familiar_repository}", id=shown)
        manifest, config = await self.described(reference, credentials)
        if not are_allowed(config, allowed):
            raise PluginPrivilegesWrong
        diff_ids = config.rootfs.DiffIds if config.rootfs else []
        if len(diff_ids) != len(manifest.layers):
            raise ManifestRefused(f"{len(diff_ids)} diff ids for {len(manifest.layers)} layers")
        for descriptor in manifest.layers:
            await self._fetch(reference, descriptor, credentials)
            yield Progress(status="Download complete", id=short_id(descriptor.digest))
        tail = f":{reference.tag}" if reference.tag else f"@{reference.digest}"
        installed = replace(
            plugin,
            remote=reference.repository + tail,
            config=msgspec.json.encode(config),
            config_digest=manifest.config.digest,
            layers=tuple(
                PluginLayer(
                    digest=each.digest,
                    size_bytes=each.size,
                    diff_id=diff_id,
                    media_type=each.media_type,
                )
                for each, diff_id in zip(manifest.layers, diff_ids, strict=True)
            ),
            settings=default_settings(config),
        )
        await self._offload(self._plugins.install, installed)

    async def described(
        self, reference: Reference, credentials: Credentials
    ) -> tuple[Manifest, PluginConfig]:
        """A plugin's manifest and description. Raises: ManifestRefused, and as the client."""
        repository = Repository(reference.domain, reference.path)
        wanted = str(reference.digest or reference.tag)
        fetched = await self._client.manifest(repository, wanted, credentials)
        manifest = fetched.document
        if not isinstance(manifest, Manifest) or manifest.config.media_type != CONFIG_TYPE:
            found = (
                manifest.config.media_type
                if isinstance(manifest, Manifest)
                else fetched.media_type
            )
            raise ManifestRefused(f'"{found}" is no plugin: "{CONFIG_TYPE}" is expected')
        if manifest.config.size > LARGEST_CONFIG:
            raise ManifestRefused(f"a plugin config of {manifest.config.size} bytes is too large")
        await self._fetch(reference, manifest.config, credentials)
        digest = Digest(manifest.config.digest)
        content = self._plugins.content
        document = await self._offload(content.read, digest, limit_bytes=LARGEST_CONFIG)
        return manifest, read_config(document)

    async def push(
        self, plugin: ManagedPlugin, credentials: Credentials
    ) -> AsyncIterator[Progress]:
        """Send a plugin to the registry that its name says, telling the progress."""
        name, content = reference_of(plugin.name), self._plugins.content
        yield Progress(status=f"The push refers to repository [{name.repository}]")
        asker = self._client.writer(
            Repository(name.domain, name.path), pushing(name.path), credentials
        )
        for digest in (*(each.digest for each in plugin.layers), plugin.config_digest):
            blob, shown = Digest(digest), short_id(digest)
            if await self._client.uploads.has_blob(asker, name.path, blob):
                yield Progress(status="Layer already exists", id=shown)
                continue
            await self._client.uploads.put_blob(
                asker,
                name.path,
                blob,
                size=content.size(blob),
                open_source=partial(content.open, blob),
            )
            yield Progress(status="Pushed", id=shown)
        manifest = _manifest(plugin, content.size(Digest(plugin.config_digest)))
        await self._client.uploads.put_manifest(
            asker, name.path, name.tag, media_type=_MANIFEST_TYPE, content=manifest
        )
        digest = digest_of(manifest)
        yield Progress(status=f"{name.tag}: digest: {digest} size: {len(manifest)}")

    async def _fetch(
        self, reference: Reference, descriptor: Descriptor, credentials: Credentials
    ) -> None:
        content = self._plugins.content
        if await self._offload(content.has, Digest(descriptor.digest)):
            return
        repository = Repository(reference.domain, reference.path)
        with content.ingest() as writer:
            async for piece in self._client.blob(repository, descriptor, credentials):
                await self._offload(writer.write, piece)
            staged = writer.finish()
        await self._offload(content.commit, staged, expected=Digest(descriptor.digest))


def _manifest(plugin: ManagedPlugin, config_bytes: int) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST_TYPE,
        "config": {
            "mediaType": CONFIG_TYPE,
            "size": config_bytes,
            "digest": plugin.config_digest,
        },
        "layers": [
            {"mediaType": each.media_type, "size": each.size_bytes, "digest": each.digest}
            for each in plugin.layers
        ],
    }
    return json.dumps(document, indent=3).encode()


def reference_of(text: str) -> Reference:
    """What a plugin's name says. Raises: InvalidReference."""
    return parse(text).with_default_tag()
