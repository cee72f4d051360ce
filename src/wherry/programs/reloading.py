"""Reading the settings again (SIGHUP): what changes, and what the `reload` event tells.

The whole file is checked as at the start, against the flags of the start. A mistake in it
leaves everything as it was. Of a good file, what may change while the engine runs is taken over;
a key that is no longer there leaves its value alone, except for the counts of transfers and the
features, which go back to their defaults, as in dockerd.
"""

import json
from collections.abc import Mapping

from wherry.kit.values import replace
from wherry.programs.daemon_options import OPTIONS
from wherry.programs.defaults import runtime_table
from wherry.programs.settings import Settings

_RESET_WHEN_GONE = frozenset({
    "concurrent_downloads", "concurrent_uploads", "download_attempts", "features",
})  # fmt: skip


def taken_over(current: Settings, read: Settings) -> Settings:
    """The current settings with what may change of those that were read again."""
    defaults = Settings()
    changed = {}
    for option in OPTIONS:
        if not option.is_reloadable:
            continue
        if option.key in read.keys_in_file:
            changed[option.field] = getattr(read, option.field)
        elif option.field in _RESET_WHEN_GONE and option.key in current.keys_in_file:
            changed[option.field] = getattr(defaults, option.field)
    return replace(current, keys_in_file=read.keys_in_file, warnings=read.warnings, **changed)


def reload_attributes(settings: Settings) -> Mapping[str, str]:
    """What the event says: the settings that a reload can change, as dockerd words them."""
    commands = runtime_table(settings).commands
    return {
        "allow-nondistributable-artifacts": "[]",
        "debug": _claim(settings.is_debug),
        "default-cgroupns-mode": settings.cgroup_namespace,
        "default-ipc-mode": settings.ipc_namespace,
        "default-runtime": settings.default_runtime,
        "default-shm-size": str(settings.shm_bytes),
        "features": f"map[{' '.join(_features(settings.features))}]",
        "insecure-registries": _listed(settings.insecure_registries),
        "labels": _listed(settings.labels),
        "live-restore": "true",
        "max-concurrent-downloads": str(settings.concurrent_downloads),
        "max-concurrent-uploads": str(settings.concurrent_uploads),
        "max-download-attempts": str(settings.download_attempts),
        "registry-mirrors": _listed(settings.hub_mirrors),
        "runtimes": " ".join(f"{name}:{path}" for name, (path, *_) in sorted(commands.items())),
        "shutdown-timeout": str(settings.shutdown_timeout_s),
    }


def _features(features: Mapping[str, bool]) -> list[str]:
    return [f"{name}:{_claim(is_on)}" for name, is_on in sorted(features.items())]


def _claim(claim: bool) -> str:
    return "true" if claim else "false"


def _listed(texts: tuple[str, ...]) -> str:
    return json.dumps(list(texts), separators=(",", ":"))
