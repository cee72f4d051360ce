"""Managed plugins on the disk: rows, their files, and the archives that registries know.

    plugins/ID/rootfs             its files
    plugins/ID/rootfs.coming      those of another version, until they are whole
    plugins/ID/rootfs.DIGEST      those of the version so described, until another is recorded
    plugins/ID/propagated-mount   what it mounts for others, where it does
    plugins/content/              archives and descriptions, as they go to registries

A row is written when the files are there and durable; what has no row is removed at boot, and
files that were put aside for a version that was not recorded come back.
"""

import os
from collections.abc import Sequence

import msgspec

from wherry.content import ContentStore
from wherry.engine.plugins.config import PluginConfig, read_config
from wherry.engine.plugins.plugin_table import ROW_VERSION
from wherry.linux.files import remove_tree, syncfs
from wherry.model.errors.plugins import PluginNotFound
from wherry.model.ids import Digest
from wherry.model.plugins import ManagedPlugin, PluginLayer
from wherry.snapshots import (
    HashingWriter,
    Readable,
    TarReader,
    UnpackRules,
    decompressed,
    gzipped,
    tree_tar,
    unpack_tar,
)
from wherry.store import Database, read_records

_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_WHOLE = UnpackRules(is_whole_tree=True)


class InstalledPlugins:
    """Every plugin that is installed. Blocking, except for looking."""

    def __init__(self, directory: str, database: Database) -> None:
        """Take over a directory, made if missing, and read all rows. Raises: StateUnreadable."""
        self._directory = directory
        self._database = database
        self._plugins: dict[str, ManagedPlugin] = {}
        for plugin_id, plugin in read_records(
            database, "plugins", ManagedPlugin, version=ROW_VERSION
        ):
            self._plugins[plugin_id] = plugin

    # -- looking -----------------------------------------------------------------------------

    def all(self) -> Sequence[ManagedPlugin]:
        """Every plugin, by name."""
        return sorted(self._plugins.values(), key=lambda each: each.name)

    def find(self, reference: str) -> ManagedPlugin:
        """By id, by name (`latest` where no tag is said), or by an id's beginning.

        Raises: PluginNotFound.
        """
        if (exact := self._plugins.get(reference)) is not None:
            return exact
        names = {reference, f"{reference}:latest"}
        for plugin in self.all():
            if plugin.name in names:
                return plugin
        begun = [each for each in self.all() if each.id.startswith(reference)]
        if len(begun) == 1 and reference:
            return begun[0]
        raise PluginNotFound(reference)

    def has_name(self, name: str) -> bool:
        """Whether a plugin is called so."""
        return any(each.name == name for each in self.all())

    def config(self, plugin: ManagedPlugin) -> PluginConfig:
        """What a plugin says of itself. Raises: InvalidValue."""
        return read_config(plugin.config)

    def place(self, plugin_id: str) -> str:
        """A plugin's directory."""
        return f"{self._directory}/{plugin_id}"

    @property
    def content(self) -> ContentStore:
        """Archives and descriptions."""
        return ContentStore(f"{self._directory}/content")

    # -- changing ----------------------------------------------------------------------------

    def keep(self, plugin: ManagedPlugin) -> None:
        """Record a plugin, or what it has become."""
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT INTO plugins VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " name = excluded.name, version = excluded.version, record = excluded.record",
                (plugin.id, plugin.name, ROW_VERSION, msgspec.json.encode(plugin)),
            )
        self._plugins[plugin.id] = plugin

    def remove(self, plugin: ManagedPlugin) -> None:
        """Forget a plugin, and remove its files."""
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM plugins WHERE id = ?", (plugin.id,))
        del self._plugins[plugin.id]
        self.erase(plugin.id)

    def unpack_context(self, plugin_id: str, context: Readable) -> bytes:
        """Unpack what `plugin create` sends: `rootfs/` and `config.json`, which is returned.

        Raises: ArchiveRefused, OSError.
        """
        place = self.place(plugin_id)
        os.makedirs(place, mode=0o710)
        self._unpack(context, place)
        with open(f"{place}/config.json", "rb", opener=_plain) as file:
            return file.read()

    def pack(self, plugin_id: str) -> PluginLayer:
        """Archive a plugin's files, as a push sends them. Raises: OSError, StepFailed."""
        plain = f"{self.place(plugin_id)}/layer.tar"
        with open(plain, "xb") as out:
            hashing = HashingWriter(out)
            root = os.open(f"{self.place(plugin_id)}/rootfs", os.O_RDONLY | os.O_DIRECTORY)
            try:
                tree_tar(root, hashing)
            finally:
                os.close(root)
        content = self.content
        with open(plain, "rb") as source, content.ingest() as writer:
            for piece in gzipped(source):
                writer.write(piece)
            staged = writer.finish()
        os.unlink(plain)
        size = staged.size_bytes
        digest = content.commit(staged)
        return PluginLayer(
            digest=digest, size_bytes=size, diff_id=hashing.digest(), media_type=_LAYER
        )

    def install(self, plugin: ManagedPlugin) -> None:
        """Make a plugin's files of its archives, in the place of earlier ones, and record it.

        A failure leaves the files and the record as they were. Raises: ArchiveRefused, OSError.
        """
        earlier = self._plugins.get(plugin.id)
        if earlier is None or earlier.config_digest != plugin.config_digest:
            self._put_in_place(plugin, earlier)
        else:
            self.keep(plugin)

    def _put_in_place(self, plugin: ManagedPlugin, earlier: ManagedPlugin | None) -> None:
        place = self.place(plugin.id)
        coming = f"{place}/rootfs.coming"
        os.makedirs(place, mode=0o710, exist_ok=True)
        try:
            os.mkdir(coming, mode=0o755)
            for layer in plugin.layers:
                with self.content.open(Digest(layer.digest)) as packed:
                    self._unpack(packed, coming)
            if earlier is not None:
                os.rename(f"{place}/rootfs", self._aside(earlier))
            os.rename(coming, f"{place}/rootfs")
            self.keep(plugin)
        finally:
            self._settle(plugin.id)

    def _settle(self, plugin_id: str) -> None:
        """Have the files that the row speaks of, and none beside them."""
        place = self.place(plugin_id)
        recorded = self._plugins.get(plugin_id)
        if recorded is not None and os.path.isdir(aside := self._aside(recorded)):
            self._remove(f"{place}/rootfs")
            os.rename(aside, f"{place}/rootfs")
        for name in os.listdir(place):
            if name.startswith("rootfs."):
                self._remove(f"{place}/{name}")

    def _aside(self, plugin: ManagedPlugin) -> str:
        """Where a version's files wait until another one is recorded."""
        return f"{self.place(plugin.id)}/rootfs.{plugin.config_digest.partition(':')[2]}"

    def erase(self, plugin_id: str) -> None:
        """Remove a plugin's files; none are no error."""
        self._remove(self.place(plugin_id))

    def sweep(self) -> None:
        """At boot: remove what no row speaks of."""
        if not os.path.isdir(self._directory):
            return
        for name in os.listdir(self._directory):
            if name in self._plugins:
                self._settle(name)
            elif name != "content":
                self._remove(f"{self._directory}/{name}")
        self.drop_unneeded()

    def keep_document(self, document: bytes) -> Digest:
        """Keep a description, for a push."""
        content = self.content
        return content.commit(content.stage(document))

    def drop_unneeded(self) -> None:
        """Remove archives and descriptions that no plugin has."""
        known = self.all()
        needed = {Digest(each.config_digest) for each in known}
        for each in known:
            needed |= {Digest(layer.digest) for layer in each.layers}
        self.content.collect(needed)

    def _unpack(self, packed: Readable, place: str) -> None:
        root = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            unpack_tar(TarReader(decompressed(packed)[1]), root, b"/", _WHOLE)
            syncfs(root)
        finally:
            os.close(root)

    def _remove(self, path: str) -> None:
        if os.path.lexists(path):
            parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
            try:
                remove_tree(parent, os.path.basename(path))
            finally:
                os.close(parent)


def _plain(path: str, flags: int) -> int:
    """The archive may have made it a link to anywhere."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
