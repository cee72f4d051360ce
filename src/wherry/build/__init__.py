"""Images from Dockerfiles: a language, a graph of steps, and what runs them.

I own: the Dockerfile language, `.dockerignore`, the graph of a build, its cache.
I never: know by which door a build came, speak HTTP, or run a container myself (the engine runs
RUN steps, as it runs any container).
On disk I leave: rows of the build cache, and layers that images share; copies of what clients
have sent, in `build-contexts`; in `tmp` the context of a build that is under way.
Called by: engine.
"""

from wherry.build.cache_mounts import CacheMounts
from wherry.build.cache_table import MIGRATIONS, BuildCache
from wherry.build.kept_builds import KeptBuilds
from wherry.build.kept_contexts import KeptContexts
from wherry.build.offers import ClientArchive, ClientDirectory, ClientOffers, Sending
from wherry.build.ports import (
    LAYOUT_CONTEXT,
    Agents,
    BuildPorts,
    ContextFiles,
    DockerfileText,
    LayoutBlob,
    Layouts,
    NoSink,
    Secrets,
    Sink,
)

__all__ = [
    "LAYOUT_CONTEXT",
    "MIGRATIONS",
    "Agents",
    "BuildCache",
    "BuildPorts",
    "CacheMounts",
    "ClientArchive",
    "ClientDirectory",
    "ClientOffers",
    "ContextFiles",
    "DockerfileText",
    "KeptBuilds",
    "KeptContexts",
    "LayoutBlob",
    "Layouts",
    "NoSink",
    "Secrets",
    "Sending",
    "Sink",
]
