"""Programs for other processors: the kernel's table of formats and who runs them.

The table is a file system, `binfmt_misc` (Documentation/admin-guide/binfmt-misc.rst): a file for
each format, and `register`, which takes a line

    :NAME:M:OFFSET:MAGIC:MASK:INTERPRETER:FLAGS

Reading, it is opened as a detached mount, so it need not be mounted anywhere. But since Linux 6.7
the table is forgotten with its last mount, so who registers something has it mounted. With the
flag F the interpreter is opened at registration: it works where its path does not exist, as in a
container.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.kit.values import dataclass
from wherry.linux.files import open_beneath
from wherry.linux.mounts import (
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    closing,
    make_filesystem,
    mount,
)

PLACE = "/proc/sys/fs/binfmt_misc"
"""Where everybody mounts it, systemd on first use."""
_TYPE = "binfmt_misc"
_LARGEST_ENTRY = 4096
_CONTROLS = frozenset({"register", "status"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFormat:
    """Which files are meant, by the bytes they begin with, and what runs them."""

    name: str
    magic: bytes
    mask: bytes
    interpreter: str
    flags: str
    offset: int = 0
    is_enabled: bool = True

    def takes(self, start: bytes) -> bool:
        """Whether a file that begins so is of this format."""
        piece = start[self.offset : self.offset + len(self.magic)]
        return len(piece) == len(self.magic) and all(
            byte & mask == magic & mask
            for byte, magic, mask in zip(piece, self.magic, self.mask, strict=True)
        )


@contextmanager
def table() -> Iterator[int]:
    """The directory of formats. Raises: KernelError (ENODEV: this kernel has none)."""
    with closing(make_filesystem(_TYPE, (), 0, _TYPE)) as tree:
        opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree)
    with closing(opened) as directory:
        yield directory


def mount_table() -> bool:
    """Mount the table at its place; False when it is there already. Raises: KernelError."""
    if os.path.exists(f"{PLACE}/register"):
        return False
    mount(_TYPE, PLACE, _TYPE, MS_NOSUID | MS_NODEV | MS_NOEXEC)
    return True


def formats(directory: int) -> tuple[ProgramFormat, ...]:
    """The formats that are registered by what files begin with. Raises: OSError."""
    found = []
    for name in sorted(os.listdir(directory)):
        if name not in _CONTROLS:
            with closing(open_beneath(directory, name, os.O_RDONLY)) as opened:
                entry = _entry(name, os.read(opened, _LARGEST_ENTRY).decode("ascii", "replace"))
            if entry is not None:
                found.append(entry)
    return tuple(found)


def register(directory: int, rule: str) -> None:
    """Add a format. Raises: OSError (EEXIST: the name is taken; EINVAL)."""
    _write(directory, "register", os.fsencode(rule))


def unregister(directory: int, name: str) -> None:
    """Remove a format. Raises: OSError (ENOENT: there is none)."""
    _write(directory, name, b"-1")


def parse_rule(rule: str) -> ProgramFormat:
    """What a line for `register` says. Raises: ValueError."""
    parts = rule.strip().split(rule[:1] or ":")
    if len(parts) != 8 or parts[2] != "M":
        raise ValueError(f"not a rule for files by what they begin with: {rule!r}")
    _, name, _kind, offset, magic, mask, interpreter, flags = parts
    start = _unescaped(magic)
    return ProgramFormat(
        name=name,
        magic=start,
        mask=_unescaped(mask) or b"\xff" * len(start),
        interpreter=interpreter,
        flags=flags,
        offset=int(offset or "0"),
    )


def _entry(name: str, text: str) -> ProgramFormat | None:
    """`cat /proc/sys/fs/binfmt_misc/NAME`; None for a format by the end of the file's name."""
    lines = text.splitlines()
    said = dict(line.partition(" ")[::2] for line in lines[1:])
    if "magic" not in said:
        return None
    magic = bytes.fromhex(said["magic"])
    return ProgramFormat(
        name=name,
        magic=magic,
        mask=bytes.fromhex(said.get("mask", "")) or b"\xff" * len(magic),
        interpreter=said.get("interpreter", ""),
        flags=said.get("flags:", ""),
        offset=int(said.get("offset", "0")),
        is_enabled=lines[0] == "enabled",
    )


def _unescaped(text: str) -> bytes:
    r"""`\x7fELF` as bytes."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def _write(directory: int, name: str, content: bytes) -> None:
    with closing(open_beneath(directory, name, os.O_WRONLY)) as opened:
        os.write(opened, content)
