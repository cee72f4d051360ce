"""System call filters as files: what the daemon compiled, read before a process is made."""

import errno


def read_filter(path: str) -> bytes:
    """A BPF program; empty for no path, which is unconfined. Raises: OSError."""
    if not path:
        return b""
    with open(path, "rb") as file:
        program = file.read()
    if not program:
        # It would be taken for no filter at all.
        raise OSError(errno.EIO, "the system call filter is empty", path)
    return program
