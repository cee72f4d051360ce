"""Registries: fetching and pushing content by the OCI distribution specification 1.1.

I own: which hosts answer for a registry's name, being let in, patience with networks, manifests
that can be trusted, blobs as verified streams, uploads.
I never: keep anything: no blob, no tag, no credential outlives the client (content and images
keep blobs, the command line keeps credentials).
On disk and in the kernel I leave: nothing.
Called by: images (pull, push), engine (login, search), builder, and the command line (manifests).
"""

from wherry.registry.client import RegistryClient, Repository, SearchHit
from wherry.registry.credentials import ANONYMOUS, Credentials
from wherry.registry.downloads import Downloads
from wherry.registry.exchange import Asker
from wherry.registry.hosts import Capability, RegistryHost, RegistrySettings, Trust
from wherry.registry.manifests import (
    INDEXES,
    LARGEST_MANIFEST,
    MANIFESTS,
    FetchedManifest,
    digest_of,
    read_manifest,
)
from wherry.registry.publishing import (
    NothingThere,
    PublishedFile,
    PublishedImage,
    PublishedIndex,
    Publisher,
    PublishProblem,
    index_of,
    is_oci,
    publisher,
)
from wherry.registry.scopes import pulling, pushing
from wherry.registry.transport import Incoming, cause_of
from wherry.registry.uploads import Uploads

__all__ = [
    "ANONYMOUS",
    "INDEXES",
    "LARGEST_MANIFEST",
    "MANIFESTS",
    "Asker",
    "Capability",
    "Credentials",
    "Downloads",
    "FetchedManifest",
    "Incoming",
    "NothingThere",
    "PublishProblem",
    "PublishedFile",
    "PublishedImage",
    "PublishedIndex",
    "Publisher",
    "RegistryClient",
    "RegistryHost",
    "RegistrySettings",
    "Repository",
    "SearchHit",
    "Trust",
    "Uploads",
    "cause_of",
    "digest_of",
    "index_of",
    "is_oci",
    "publisher",
    "pulling",
    "pushing",
    "read_manifest",
]
