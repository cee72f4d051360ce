"""Volumes and their snapshots."""

from wherry.api.errors.rules import Rule, Rules
from wherry.kit.random_ids import short_id
from wherry.model.errors import volumes as kinds

RULES: Rules = {
    kinds.VolumeNotFound: Rule(404, lambda e: f"get {e.name}: no such volume"),
    kinds.VolumeInUse: Rule(
        409, lambda e: f"remove {e.name}: volume is in use - [{', '.join(e.containers)}]"
    ),
    kinds.VolumeNameTaken: Rule(
        409,
        lambda e: (
            f"create {e.name}: driver '{e.driver}' already has volume '{e.name}': "
            "volume name must be unique"
        ),
    ),
    kinds.VolumeDriverNotFound: Rule(
        404,
        lambda e: (
            f"create {e.name}: error looking up volume plugin {e.driver}: "
            f'plugin "{e.driver}" not found'
        ),
    ),
    kinds.VolumeExists: Rule(409, lambda e: f"there is a volume {e.name} already"),
    kinds.VolumeMounted: Rule(
        409,
        lambda e: (
            f"volume {e.name} is mounted by {', '.join(map(short_id, e.holders))}: stop what uses "
            "it, or ask for a restart"
        ),
    ),
    kinds.VolumeHasNoHistory: Rule(
        501, lambda e: f"volume {e.name} can have no snapshots: {e.reason}"
    ),
    kinds.VolumeSnapshotNotFound: Rule(
        404, lambda e: f"volume {e.volume} has no snapshot {e.snapshot}"
    ),
    kinds.VolumeSnapshotExists: Rule(
        409, lambda e: f"volume {e.volume} has a snapshot {e.snapshot} already"
    ),
    kinds.BindSourceMissing: Rule(
        400,
        lambda e: (
            f'invalid mount config for type "bind": bind source path does not exist: {e.path}'
        ),
    ),
}
