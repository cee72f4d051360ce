"""Modes of files as Go writes them, and as they travel (https://pkg.go.dev/io/fs#FileMode)."""

import stat
from collections.abc import Mapping

PERMISSIONS = 0o777
DIRECTORY = 1 << 31
_KINDS: Mapping[int, int] = {
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFBLK: 1 << 26,
}
_SPECIAL = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


def go_mode(mode: int) -> int:
    """The mode of stat(2) as Go writes it."""
    special = sum(bit for own, bit in _SPECIAL if mode & own)
    return _KINDS.get(stat.S_IFMT(mode), 0) | special | mode & PERMISSIONS


def stat_mode(mode: int) -> int:
    """A mode of Go's as stat(2) has it; what is of no kind is a regular file."""
    kind = next((own for own, bits in _KINDS.items() if mode & bits == bits), stat.S_IFREG)
    special = sum(own for own, bit in _SPECIAL if mode & bit)
    return kind | special | mode & PERMISSIONS
