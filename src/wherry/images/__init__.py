"""Images: what they are called, what they are made of, and how they come and go.

I own: references, the image store, archives in and out (docker-archive and OCI layout), import,
pulling and pushing, and base images made from the host's own parts.
I never: know a container (who uses an image is asked of the caller), or unpack a layer myself
(snapshots).
On disk I leave: rows for images and names, blobs in `content`; in `tmp` what is under way. An
image has its row only when all of it is on the disk.
Called by: engine, builder.
"""

from wherry.images.archive_writer import layout_archive, name_annotations
from wherry.images.archives import ImageArchives
from wherry.images.attestations import attestation_of
from wherry.images.building import (
    NOTHING,
    BuildImages,
    BuildState,
    Recorded,
    as_image,
    plain_layer,
)
from wherry.images.checking import check_content
from wherry.images.documents import parse_exposed, read_document
from wherry.images.image_rows import MIGRATIONS, LayerBlob
from wherry.images.image_table import DamagedImage
from wherry.images.layer_fetches import Tell
from wherry.images.making import ImageMaker
from wherry.images.pulling import ImagePulls, PullRequest
from wherry.images.pushing import Document, ImagePushes, PushRequest, Upload
from wherry.images.references import Reference, parse
from wherry.images.siblings import host_platform, platform_from, platform_of
from wherry.images.store import ImageStore
from wherry.model.outcomes import Progress, Removal

__all__ = [
    "MIGRATIONS",
    "NOTHING",
    "BuildImages",
    "BuildState",
    "DamagedImage",
    "Document",
    "ImageArchives",
    "ImageMaker",
    "ImagePulls",
    "ImagePushes",
    "ImageStore",
    "LayerBlob",
    "Progress",
    "PullRequest",
    "PushRequest",
    "Recorded",
    "Reference",
    "Removal",
    "Tell",
    "Upload",
    "as_image",
    "attestation_of",
    "check_content",
    "host_platform",
    "layout_archive",
    "name_annotations",
    "parse",
    "parse_exposed",
    "plain_layer",
    "platform_from",
    "platform_of",
    "read_document",
]
