"""Copy-on-write trees: committed layers, the writable snapshots on them, and their tars.

I own: the directories of the overlay driver and the table of committed layers; reading and
writing layer tars, hostile ones included; what is compressed how.
I never: mount anything (the runtime does, in the container's namespace), know what an image is,
or follow a link out of a tree.
On disk I leave: `overlay2/`. A layer's data is synced before its row says that it is there; what
has no row is swept at boot.
Called by: images (layers), engine (snapshots of containers), build.
"""

from wherry.snapshots.apply import LayerCounts
from wherry.snapshots.compression import Compression, decompressed
from wherry.snapshots.diff import Writable
from wherry.snapshots.layer_table import MIGRATIONS, CommittedLayer, chain_id
from wherry.snapshots.overlay import Snapshots, StagedLayer
from wherry.snapshots.tar_reader import Readable, TarEntry, TarReader

__all__ = [
    "MIGRATIONS",
    "CommittedLayer",
    "Compression",
    "LayerCounts",
    "Readable",
    "Snapshots",
    "StagedLayer",
    "TarEntry",
    "TarReader",
    "Writable",
    "chain_id",
    "decompressed",
]
