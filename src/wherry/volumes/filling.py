"""Copy-up: an image's files, copied into a volume that is still empty."""

import errno
import os

from wherry.linux.files import open_in_root
from wherry.linux.syscall import KernelError
from wherry.model.errors import InvalidValue
from wherry.model.volumes import Volume
from wherry.operations.files.volumes import PopulateVolume
from wherry.operations.plan import Journal
from wherry.snapshots import perform


def is_empty(volume: Volume) -> bool:
    """Whether nothing was ever written to it, as it is mounted now."""
    with os.scandir(volume.mount_point) as entries:
        return next(entries, None) is None


def fill(volume: Volume, root: int, path: str) -> Journal:
    """Copy what a container's root has at a path into an empty volume, owners and all.

    `root` is a descriptor; the path is resolved inside of it, whatever links the image has
    on the way (CVE-2022-23648). A place that is not there copies nothing.

    Raises: InvalidValue when it is a file; StepFailed.
    """
    try:
        source = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
    except KernelError as error:
        if error.errno == errno.ENOTDIR:
            raise InvalidValue(
                f"cannot mount volume over existing file, file exists {path}"
            ) from error
        return []
    try:
        return _filled(volume, source, path)
    finally:
        os.close(source)


def _filled(volume: Volume, source: int, path: str) -> Journal:
    from wherry.operations.files.tree_copy import copy_directory

    target = os.open(volume.mount_point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    copying = PopulateVolume(
        why=f"volume {volume.name} is empty, and the image has files there",
        directory=volume.mount_point,
        source=path,
        work=lambda: copy_directory(source, target),
    )
    try:
        return perform(copying)
    finally:
        os.close(target)
