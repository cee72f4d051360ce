"""The driver `local`: a directory below the data root, or what its options mount there.

With the options `type`, `device` and `o` (mount(8)'s words) the directory is a mount point: a
tmpfs, a bind of another directory, or an NFS export. It is mounted when the first container
that has the volume starts, and unmounted when the last one has ended. With `size` it is a plain
directory that holds no more than that, where the data root's file system keeps such bounds.
"""

import os
import re
import socket
from collections.abc import Mapping

from wherry.kit.byte_sizes import parse_size
from wherry.linux import mountinfo
from wherry.model.errors import InvalidValue, StepFailed
from wherry.model.volumes import LOCAL, Volume
from wherry.operations.files.tree_bounds import BoundTree, has_projects, has_subvolumes
from wherry.operations.files.volumes import (
    MakeVolume,
    MountVolume,
    RemoveVolume,
    UnmountVolume,
    flags_and_data,
)
from wherry.operations.plan import Journal
from wherry.snapshots import perform

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_LONGEST_NAME = 255
_OPTIONS = ("device", "o", "size", "type")
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "device": ("type",), "o": ("device", "type"), "type": ("device",),
}  # fmt: skip


class LocalDriver:
    """Volumes in `volumes/NAME/_data`."""

    name = LOCAL

    def __init__(self, directory: str) -> None:
        """`directory` exists."""
        self._directory = directory

    def check(self, name: str, options: Mapping[str, str]) -> None:
        """Raises: InvalidValue with Docker's texts."""
        if len(name.encode()) == 1:
            raise InvalidValue(
                f"create {name}: volume name is too short, names should be at least two "
                "alphanumeric characters"
            )
        if not _NAME.fullmatch(name):
            raise InvalidValue(
                f'create {name}: "{name}" includes invalid characters for a local volume name, '
                'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host '
                "directory, use absolute path"
            )
        if len(name) > _LONGEST_NAME:
            raise InvalidValue(f"create {name}: volume name is longer than {_LONGEST_NAME} bytes")
        for option in options:
            if option not in _OPTIONS:
                raise InvalidValue(f'create {name}: invalid option: "{option}"')
        for option, needed in _NEEDS.items():
            for other in needed:
                if options.get(option) and not options.get(other):
                    raise InvalidValue(f'create {name}: missing required option: "{other}"')
        if _size_of(name, options):
            self._check_size(name, options)

    def _check_size(self, name: str, options: Mapping[str, str]) -> None:
        if options.get("type"):
            raise InvalidValue(
                f"create {name}: size goes with a directory; a {options['type']} takes it in o: "
                f"o=size={options['size']}"
            )
        if not (has_projects(self._directory) or has_subvolumes(self._directory)):
            raise InvalidValue(f"create {name}: quota size requested but no quota support")

    def make(self, name: str, options: Mapping[str, str]) -> str:
        """Make the directory; returns where the files will be. Raises: StepFailed."""
        directory = f"{self._directory}/{name}"
        files, size_bytes = f"{directory}/_data", _size_of(name, options)
        making = MakeVolume(why=f"volume {name}", directory=directory)
        if size_bytes:
            perform(making, BoundTree(why="its option", directory=files, size_bytes=size_bytes))
        else:
            perform(making)
        return files

    def remove(self, volume: Volume) -> None:
        """Remove the directory; what is mounted there is let go of first. Raises: StepFailed."""
        self.unmount(volume)
        perform(
            RemoveVolume(
                why=f"volume {volume.name} is removed",
                directory=f"{self._directory}/{volume.name}",
            )
        )

    def mount(self, volume: Volume) -> Journal:
        """Mount what the options say, unless that is done; nothing for a plain directory.

        Raises: StepFailed with the kernel's word.
        """
        if not volume.options.get("type") or _is_mounted(volume.mount_point):
            return []
        mounting = MountVolume(
            why=f"the options of volume {volume.name}",
            filesystem=volume.options["type"],
            device=volume.options["device"],
            options=_with_address(volume.options.get("o", "")),
            target=volume.mount_point,
        )
        try:
            return perform(mounting)
        except StepFailed as failed:
            flags, data = flags_and_data(mounting.options)
            raise StepFailed(
                f"error while mounting volume '{mounting.target}': failed to mount local volume: "
                f"mount {mounting.device}:{mounting.target}, flags: {flags:#x}"
                + (f", data: {data}" if data else ""),
                failed.cause,
            ) from failed

    def scope(self) -> str:
        """Nobody else has them."""
        return LOCAL

    def place(self, volume: Volume) -> str:
        """Always where it was made."""
        return volume.mount_point

    def unmount(self, volume: Volume) -> None:
        """Unmount what `mount` mounted. Raises: StepFailed."""
        if volume.options.get("type") and _is_mounted(volume.mount_point):
            perform(
                UnmountVolume(
                    why=f"no container uses volume {volume.name}", target=volume.mount_point
                )
            )


def _size_of(name: str, options: Mapping[str, str]) -> int:
    """The bytes that a volume may hold; 0 for no bound. Raises: InvalidValue."""
    try:
        return parse_size(options.get("size", "0"))
    except ValueError as error:
        raise InvalidValue(f"create {name}: {error}") from error


def _is_mounted(path: str) -> bool:
    return mountinfo.topmost(mountinfo.read(), os.path.realpath(path)) is not None


def _with_address(options: str) -> str:
    """NFS's `addr=` as a number: the kernel does not ask for names (nfs(5))."""
    words = []
    for word in options.split(","):
        key, equals, value = word.partition("=")
        if key == "addr" and equals:
            try:
                value = str(socket.getaddrinfo(value, None)[0][4][0])
            except OSError as error:
                raise StepFailed(f"find the address of {value}", error.strerror or "") from error
            words.append(f"addr={value}")
        else:
            words.append(word)
    return ",".join(words)
