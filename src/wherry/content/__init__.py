"""Blobs by digest: what images were made of, byte for byte as it came.

I own: verified ingest, reading, and removing what no root names.
I never: know what is in a blob.
On disk I leave: `content/blobs/sha256/`, each file complete and synced before it has its name;
`content/ingest/` holds what is under way, and is emptied at boot.
Called by: images; engine, for the layers of managed plugins.
"""

from wherry.content.ingest import BlobWriter, FollowingReader, StagedBlob
from wherry.content.store import ContentStore, VerifiedBlob

__all__ = ["BlobWriter", "ContentStore", "FollowingReader", "StagedBlob", "VerifiedBlob"]
