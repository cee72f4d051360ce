"""Read /proc/PID/mountinfo (proc_pid_mountinfo(5))."""

import os

from wherry.kit.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MountInfo:
    """One mount as the kernel lists it."""

    mount_id: int
    device: str
    """`major:minor` of the superblock."""
    root: str
    """Which directory of the file system is mounted."""
    mount_point: str
    options: tuple[str, ...]
    """Of this mount."""
    propagation: tuple[str, ...]
    """Optional fields such as `shared:1`."""
    kind: str
    source: str
    super_options: tuple[str, ...]


def read(pid: int | str = "self") -> tuple[MountInfo, ...]:
    """The mounts that a process sees, in the order of mounting. Raises: OSError."""
    with open(f"/proc/{pid}/mountinfo", "rb") as file:
        return tuple(parse_line(os.fsdecode(line)) for line in file.read().splitlines())


def parse_line(line: str) -> MountInfo:
    """One line of mountinfo. Raises: ValueError."""
    words = line.split(" ")
    separator = words.index("-", 6)
    return MountInfo(
        mount_id=int(words[0]),
        device=words[2],
        root=unescape(words[3]),
        mount_point=unescape(words[4]),
        options=tuple(words[5].split(",")),
        propagation=tuple(words[6:separator]),
        kind=words[separator + 1],
        source=unescape(words[separator + 2]),
        super_options=tuple(words[separator + 3].split(",")),
    )


def unescape(text: str) -> str:
    r"""Undo the kernel's octal escapes of blank, tab, newline and backslash (`\040`)."""
    if "\\" not in text:
        return text
    pieces = text.split("\\")
    return pieces[0] + "".join(chr(int(each[:3], 8)) + each[3:] for each in pieces[1:])


def topmost(mounts: tuple[MountInfo, ...], mount_point: str) -> MountInfo | None:
    """The mount that a path leads to: the last one of several on the same point."""
    for each in reversed(mounts):
        if each.mount_point == mount_point:
            return each
    return None
