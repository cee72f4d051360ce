"""Directories that others may still write to when they are taken away."""

import os
import shutil
from contextlib import suppress


def remove_directory(path: str) -> None:
    """Take a directory away with everything below it; none is fine. Raises: OSError.

    It is renamed first, to `PATH.gone`: who still makes files by its old name finds no such
    directory, and can't fill it again while it is emptied.
    """
    gone = f"{path}.gone"
    with suppress(FileNotFoundError):
        shutil.rmtree(gone)  # what another attempt could not finish
    try:
        os.rename(path, gone)
    except FileNotFoundError:
        return
    try:
        shutil.rmtree(gone)
    except OSError:
        # A file that was already on its way when the name changed; there is no other after it.
        shutil.rmtree(gone)
