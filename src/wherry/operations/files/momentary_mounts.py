"""A mount namespace that exists for a moment: what is mounted in it is seen by nobody else.

Preconditions: one thread; root and working directory are the root of the mount namespace.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.linux import mounts as kernel
from wherry.linux.mounts import closing
from wherry.linux.process import CLONE_NEWNS, setns, unshare
from wherry.operations.plan import Call

ENTERING = (Call("unshare", ("CLONE_NEWNS",)), Call("mount", ("MS_SLAVE",)))
COVERING = (Call("mount_setattr", ("MOUNT_ATTR_IDMAP",)), Call("move_mount"))
LEAVING = (Call("setns", ("CLONE_NEWNS",)),)


@contextmanager
def momentary_namespace() -> Iterator[None]:
    """Be in a copy of the mount namespace, until the block ends. Raises: KernelError."""
    with closing(os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)) as own:
        unshare(CLONE_NEWNS)
        try:
            kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_SLAVE)
            yield
        finally:
            setns(own, CLONE_NEWNS)


def cover_by_map(directory: str, user_namespace: int) -> None:
    """Cover a directory by itself, its owners shown through the map of a user namespace.

    Raises: KernelError.
    """
    flags = kernel.OPEN_TREE_CLONE
    with closing(kernel.open_tree(kernel.AT_FDCWD, directory, flags)) as tree:
        kernel.mount_setattr(tree, set_=kernel.MOUNT_ATTR_IDMAP, user_namespace=user_namespace)
        with closing(os.open(directory, os.O_PATH | os.O_CLOEXEC)) as place:
            kernel.move_mount(tree, place)
