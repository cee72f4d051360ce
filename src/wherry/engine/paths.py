"""Where the engine keeps what belongs to one container."""

import os
import shutil

from wherry.kit.values import dataclass
from wherry.model.ids import ContainerId


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPaths:
    """Directories and files of containers below the two roots."""

    data_root: str
    """Survives a restart of the host."""
    exec_root: str
    """Belongs to this boot."""

    def record_directory(self, container_id: ContainerId) -> str:
        """Durable things: log, exit record, journal, name files."""
        return f"{self.data_root}/containers/{container_id}"

    def bundle(self, container_id: ContainerId) -> str:
        """The OCI bundle and the shim's socket."""
        return f"{self.exec_root}/containers/{container_id}"

    def log(self, container_id: ContainerId) -> str:
        """The container's local log."""
        return f"{self.record_directory(container_id)}/{container_id}-json.log"

    def snapshot_journal(self, container_id: ContainerId) -> str:
        """What was done to give it a writable tree, when it was created."""
        return f"{self.record_directory(container_id)}/snapshot-journal.json"

    def network_journal(self, container_id: ContainerId) -> str:
        """What was done to connect it, in the last start."""
        return f"{self.record_directory(container_id)}/network-journal.json"

    def journal(self, container_id: ContainerId) -> str:
        """What the shim did in the last start."""
        return f"{self.record_directory(container_id)}/journal.json"

    def update_journal(self, container_id: ContainerId) -> str:
        """What was changed since, by `update`."""
        return f"{self.record_directory(container_id)}/update-journal.json"

    def seccomp_program(self, digest: str) -> str:
        """A compiled system call filter."""
        return f"{self.exec_root}/seccomp/{digest}.bpf"

    def erase_bundle(self, container_id: ContainerId) -> None:
        """Remove the bundle of a container that does not run. Blocking."""
        shutil.rmtree(self.bundle(container_id), ignore_errors=True)

    def containers_on_disk(self) -> tuple[set[ContainerId], set[ContainerId]]:
        """Ids that have a record directory, and ids that have a bundle."""
        return (
            _names(f"{self.data_root}/containers"),
            _names(f"{self.exec_root}/containers"),
        )


def _names(directory: str) -> set[ContainerId]:
    try:
        return {ContainerId(name) for name in os.listdir(directory)}
    except FileNotFoundError:
        return set()
