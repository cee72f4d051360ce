"""What an engine stands on: its roots, its database, time, threads, and the facts of its host."""

import os
import uuid

from wherry.builder import MIGRATIONS as BUILD_MIGRATIONS
from wherry.engine.paths import ContainerPaths
from wherry.engine.plugins.plugin_table import MIGRATIONS as PLUGIN_MIGRATIONS
from wherry.engine.records import MIGRATIONS as ENGINE_MIGRATIONS
from wherry.images import ImageStore
from wherry.kit.aio import OffloadPool
from wherry.kit.atomic_files import write_durably
from wherry.kit.clock import SystemClock
from wherry.kit.directories import remove_directory
from wherry.kit.values import dataclass, field, replace
from wherry.networks import MIGRATIONS as NETWORK_MIGRATIONS
from wherry.plugins import PluginHost
from wherry.programs.remapping import remapped_ids
from wherry.programs.settings import Settings
from wherry.snapshots import Snapshots, open_snapshots
from wherry.specgen import HostFacts, read_host_facts
from wherry.store import Damages, Database
from wherry.volumes import MIGRATIONS as VOLUME_MIGRATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What everything stands on: roots, database, layers, time, threads, and facts of the host.

    Where it can't be laid the engine does not start, and nothing in the kernel was made yet.
    """

    settings: Settings
    paths: ContainerPaths
    database: Database
    snapshots: Snapshots
    offload: OffloadPool
    clock: SystemClock
    host: HostFacts
    plugins: PluginHost = field(default_factory=PluginHost)
    """Where volumes, networks and logs find theirs."""
    engine_id: str


def lay_ground(settings: Settings) -> Ground:
    """Make the roots and open the database. Raises: OSError; what `open_snapshots` raises."""
    host = read_host_facts()
    if settings.userns_remap:
        os.makedirs(settings.data_root, mode=0o711, exist_ok=True)
        os.chmod(settings.data_root, 0o711)
        host = replace(host, remapped=remapped_ids(settings.userns_remap))
        settings = replace(settings, data_root=_root_of_mapping(settings.data_root, host))
    # What builds had there when the engine died; secrets are among it.
    passing = (f"{settings.data_root}/tmp", f"{settings.exec_root}/builds")
    for path in passing:
        remove_directory(path)
    for path, mode in (
        (settings.data_root, 0o710),
        (f"{settings.data_root}/containers", 0o710),
        (settings.exec_root, 0o711),
        (f"{settings.exec_root}/containers", 0o710),
        *((path, 0o711) for path in passing),
    ):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
    database = Database(
        f"{settings.data_root}/engine.db",
        (
            *ENGINE_MIGRATIONS,
            *Snapshots.MIGRATIONS,
            *ImageStore.MIGRATIONS,
            *VOLUME_MIGRATIONS,
            *PLUGIN_MIGRATIONS,
            *NETWORK_MIGRATIONS,
            *BUILD_MIGRATIONS,
        ),
        # Each engine has an id, from its first start on.
        is_expected=os.path.exists(f"{settings.data_root}/engine-id"),
    )
    return Ground(
        settings=settings,
        paths=ContainerPaths(data_root=settings.data_root, exec_root=settings.exec_root),
        database=database,
        snapshots=open_snapshots(
            settings.storage_driver, settings.data_root, database, settings.storage_options
        ),
        offload=OffloadPool(),
        clock=SystemClock(),
        host=host,
        engine_id=_engine_id(f"{settings.data_root}/engine-id", database.damages),
    )


def _root_of_mapping(data_root: str, host: HostFacts) -> str:
    """Each mapping has a root of its own, as Docker's: what was made under one is no use to
    another."""
    assert host.remapped is not None
    uid, gid = host.remapped.root
    return f"{data_root}/{uid}.{gid}"


def _engine_id(path: str, damages: Damages) -> str:
    """A name for this engine that lasts as long as its data root, or the file with it."""
    try:
        with open(path, encoding="ascii") as file:
            return str(uuid.UUID(file.read().strip()))
    except (FileNotFoundError, ValueError) as error:
        if isinstance(error, ValueError):
            damages.note(path, "not an id", "the engine has a new one")
        fresh = str(uuid.uuid4())
        write_durably(path, f"{fresh}\n".encode(), mode=0o644)
        return fresh
