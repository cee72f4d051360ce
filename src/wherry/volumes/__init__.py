"""Named and anonymous volumes, and the drivers that keep their files.

I own: the table of volumes, the directories of the driver `local` and what its options mount on
them, what is asked of a volume plugin, and copying an image's files into a volume that is still
empty.
I never: know which containers have a volume (engine counts them), resolve a path in a tree of
somebody else's except by descriptor, or remove what was not made here.
On disk I leave: `volumes/NAME/_data`, which is Docker's layout; in the kernel the mounts of
volumes that have options, while a container uses them.
Called by: engine.
"""

from wherry.volumes.service import Volumes
from wherry.volumes.volume_table import MIGRATIONS

__all__ = ["MIGRATIONS", "Volumes"]
