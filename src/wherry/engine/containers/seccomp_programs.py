"""Compiled system call filters on disk, where shims read them."""

import hashlib
import os
import threading

from wherry.engine.paths import ContainerPaths
from wherry.kit.atomic_files import write_atomically
from wherry.oci.runtime_spec import Seccomp
from wherry.specgen import compiled_seccomp


class SeccompPrograms:
    """One file for each distinct filter."""

    def __init__(self, paths: ContainerPaths) -> None:
        self._paths = paths
        self._written: set[str] = set()
        self._writing = threading.Lock()

    def path_of(self, profile: Seccomp | None) -> str:
        """The file of a profile's program; empty for no profile. Blocking."""
        if profile is None:
            return ""
        program = compiled_seccomp(profile)
        digest = hashlib.sha256(program).hexdigest()
        path = self._paths.seccomp_program(digest)
        with self._writing:  # Several starts may want the same new one.
            if digest not in self._written:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                write_atomically(path, program)
                self._written.add(digest)
        return path
