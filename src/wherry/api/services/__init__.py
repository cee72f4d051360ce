"""What the API needs from the engine: one protocol per noun, declared by the consumer.

`engine` implements them, `programs.wiring` puts them together into `Services`. References are
what a user typed: an id, an unambiguous prefix of one, or a name. Every method raises kinds of
`wherry.model.errors`; `api.errors` maps them to statuses and Docker's texts.
"""

from collections.abc import Callable

from wherry.api.services.bodies import ByteSource
from wherry.api.services.builds import BuildHistory, Builds, CredentialSource
from wherry.api.services.containers import Commits, Containers, DuplexStream, Execs, Files
from wherry.api.services.images import ImageArchives, Images, Registries
from wherry.api.services.networks import Networks, Sights
from wherry.api.services.plugins import Plugins
from wherry.api.services.system import (
    DiskUsage,
    Events,
    Explanations,
    Platforms,
    Prunes,
    Reasons,
    System,
)
from wherry.api.services.volumes import VolumeHistory, Volumes
from wherry.kit.values import dataclass

__all__ = [
    "BuildHistory",
    "Builds",
    "ByteSource",
    "Commits",
    "Containers",
    "CredentialSource",
    "DiskUsage",
    "DuplexStream",
    "Events",
    "Execs",
    "Explanations",
    "Files",
    "ImageArchives",
    "Images",
    "Networks",
    "Platforms",
    "Plugins",
    "Prunes",
    "Reasons",
    "Registries",
    "Services",
    "Sights",
    "System",
    "VolumeHistory",
    "Volumes",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The engine as the API sees it."""

    containers: Containers
    execs: Execs
    files: Files
    commits: Commits
    images: Images
    image_archives: ImageArchives
    builds: Builds
    build_history: BuildHistory
    registries: Registries
    networks: Networks
    volumes: Volumes
    volume_history: VolumeHistory
    plugins: Callable[[], Plugins]
    """Loaded when somebody asks for them."""
    system: System
    events: Events
    explanations: Explanations
    reasons: Reasons
    sights: Sights
    platforms: Platforms
    prunes: Prunes
    disk_usage: DiskUsage
