"""What a volume driver does. `local` is one; plugins become others behind the same face."""

from collections.abc import Mapping
from typing import Protocol

from wherry.model.volumes import Volume
from wherry.operations.plan import Journal


class VolumeDriver(Protocol):
    """Keeps the files of volumes. Every method blocks and may be called from any thread."""

    name: str

    def check(self, name: str, options: Mapping[str, str]) -> None:
        """Refuse a name or options. Raises: InvalidValue."""
        ...

    def make(self, name: str, options: Mapping[str, str]) -> str:
        """Make a volume; returns where its files will be. Raises: StepFailed."""
        ...

    def remove(self, volume: Volume) -> None:
        """Remove a volume and its files; one that is gone is no error. Raises: StepFailed."""
        ...

    def scope(self) -> str:
        """`local`, or `global` where other hosts know its volumes too."""
        ...

    def mount(self, volume: Volume) -> Journal:
        """Have its files where its mount point says; twice is once. Raises: StepFailed."""
        ...

    def place(self, volume: Volume) -> str:
        """Where the files of a volume are that `mount` mounted. Raises: StepFailed."""
        ...

    def unmount(self, volume: Volume) -> None:
        """The last container that used it has ended. Raises: StepFailed."""
        ...
