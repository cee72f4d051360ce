"""One daemon per pid file and per data root."""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from wherry.programs.settings import SettingsError


@contextlib.contextmanager
def held_pid_file(path: str) -> Iterator[None]:
    """Hold the pid file while the block runs; the lock ends with the process.

    Raises: SettingsError when a living daemon holds it.
    """
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with _locked(path, f"process in {path} is still running") as descriptor:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


@contextlib.contextmanager
def held_data_root(path: str) -> Iterator[None]:
    """Hold a data root while the block runs. Raises: SettingsError when another daemon does."""
    with _locked(f"{path}/engine.lock", f"another daemon works on {path}"):
        yield


@contextlib.contextmanager
def _locked(path: str, complaint: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SettingsError(complaint) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)
