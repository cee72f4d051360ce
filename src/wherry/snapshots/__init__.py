"""Copy-on-write trees: committed layers, the writable snapshots on them, and their tars.

I own: the directories of the drivers and the table of committed layers; reading and
writing layer tars, hostile ones included; what is compressed how.
I never: mount anything (the runtime does, in the container's namespace), know what an image is,
or follow a link out of a tree.
On disk I leave: one directory, of the driver's name. A layer's data is synced before its row says
that it is there; what has no row is swept at boot.
Called by: images (layers), engine (snapshots of containers), builder, volumes (trees).
"""

from wherry.snapshots.apply import LayerCounts
from wherry.snapshots.compression import (
    Compression,
    PackedWriter,
    compression_of,
    decompressed,
    gzipped,
)
from wherry.snapshots.diff import Writable, diff_tar, directory_tar, entry_tar, tree_tar
from wherry.snapshots.driver import open_snapshots, refuse_driver
from wherry.snapshots.host_trees import file_sizes
from wherry.snapshots.layer_directories import LayerDirectories, LooseLayer
from wherry.snapshots.layer_names import MOUNT_POINT_PARENTS
from wherry.snapshots.layer_store import DirectoryState, LayerStore, StagedLayer
from wherry.snapshots.layer_table import MIGRATIONS, CommittedLayer, chain_id
from wherry.snapshots.overlay import PackedLayer, Snapshots
from wherry.snapshots.performing import perform
from wherry.snapshots.streams import HashingWriter
from wherry.snapshots.tar_reader import (
    DIRECTORY,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Archive,
    Readable,
    TarEntry,
    TarReader,
)
from wherry.snapshots.tar_writer import END as TAR_END
from wherry.snapshots.tar_writer import header as tar_header
from wherry.snapshots.tar_writer import padding as tar_padding
from wherry.snapshots.tar_writer import sparse_map as tar_sparse_map
from wherry.snapshots.tree_reader import TreeReader
from wherry.snapshots.unpack import UnpackRules, unpack_tar

__all__ = [
    "DIRECTORY",
    "HARD_LINK",
    "MIGRATIONS",
    "MOUNT_POINT_PARENTS",
    "REGULAR",
    "SYMLINK",
    "TAR_END",
    "Archive",
    "CommittedLayer",
    "Compression",
    "DirectoryState",
    "HashingWriter",
    "LayerCounts",
    "LayerDirectories",
    "LayerStore",
    "LooseLayer",
    "PackedLayer",
    "PackedWriter",
    "Readable",
    "Snapshots",
    "StagedLayer",
    "TarEntry",
    "TarReader",
    "TreeReader",
    "UnpackRules",
    "Writable",
    "chain_id",
    "compression_of",
    "decompressed",
    "diff_tar",
    "directory_tar",
    "entry_tar",
    "file_sizes",
    "gzipped",
    "open_snapshots",
    "perform",
    "refuse_driver",
    "tar_header",
    "tar_padding",
    "tar_sparse_map",
    "tree_tar",
    "unpack_tar",
]
