"""The fuse-overlayfs driver: the overlay driver's directories, stacked by a program.

For hosts whose kernel has no overlayfs, or has one that can't stand on their file system. On the
disk all is as `overlay` has it, in `fuse-overlayfs/`; the program keeps a few notes of its own
beside a directory that hides those below it, and on files that it copied up, which `diff` and
`changes` know not to be the container's (fuse-overlayfs(1); `layer_names.is_bookkeeping`).
"""

import os
import shutil
from collections.abc import Mapping

from wherry.model.errors import InvalidValue, StateUnreadable
from wherry.snapshots.overlay import Snapshots
from wherry.store import Database

_DEVICE = "/dev/fuse"


class FuseOverlaySnapshots(Snapshots):
    """Snapshots on fuse-overlayfs."""

    name = "fuse-overlayfs"
    filesystem = "fuse-overlayfs"

    def __init__(self, data_root: str, database: Database) -> None:
        """Take over `fuse-overlayfs` of the data root. Raises: StateUnreadable without it."""
        missing = f"no {_DEVICE}" if not os.path.exists(_DEVICE) else ""
        if not shutil.which(self.name):
            missing = f"the program {self.name} is not installed"
        if missing:
            raise StateUnreadable(
                data_root,
                f"error initializing graphdriver: driver not supported: {self.name}: {missing}",
            )
        super().__init__(data_root, database)

    def check_options(self, options: Mapping[str, str]) -> None:
        """The program bounds nothing. Raises: InvalidValue, in Docker's words."""
        if options:
            raise InvalidValue("--storage-opt is not supported")

    def status(self) -> tuple[tuple[str, str], ...]:
        """Docker tells nothing of this driver."""
        return ()
