"""Images from Dockerfiles: a language, a graph of steps, and what runs them.

`dockerfile` reads, `planning` makes the graph, `solver` goes through it; `steps` do what each
instruction says with files from `sources`, or `cache` has it; `results` go out. `checks` and
`describing` only look.

I own: the Dockerfile language, `.dockerignore`, the graph of a build, its cache.
I never: know by which door a build came, speak HTTP, or run a container myself (the engine runs
RUN steps, as it runs any container).
On disk I leave: rows of the build cache, and layers that images share; copies of what clients
have sent, in `build-contexts`; in `tmp` the context of a build that is under way.
Called by: engine; api offers it what a client of a session has.
"""

from wherry.builder.cache.kept_builds import KeptBuilds
from wherry.builder.cache.table import MIGRATIONS, BuildCache
from wherry.builder.sources.kept_contexts import KeptContexts
from wherry.builder.sources.offers import ClientArchive, ClientDirectory, ClientOffers, Sending
from wherry.builder.sources.ports import (
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
from wherry.builder.steps.cache_mounts import CacheMounts

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
