"""Compressed log files: made a little at a time, and opened as if they were not compressed.

Theory of operation. Whoever writes a log has one thread and a container that waits for it, so a
file that is full is compressed in slices, a few for each block of output that is written. That is
done long before the next file is full. The result is a gzip file (RFC 1952) that `zcat` reads; an
extra field in its header says which file it was, by which a reader that has that file open knows
that it need not read it again.
"""

import os
import struct
import zlib
from contextlib import suppress
from typing import NamedTuple

SUFFIX = ".gz"
_PART_SUFFIX = ".gz.part"
_LEVEL = 1
_SLICE = 64 * 1024
_READ_SIZE = 256 * 1024
_RAW = -zlib.MAX_WBITS
_HEADER = struct.Struct("<4sIBBH2sHQQQ")
"""Magic with method and flags, time, two more, the extra field's length, its one subfield."""
_MAGIC = b"\x1f\x8b\x08\x04"
_SUBFIELD = b"WH"
_SUBFIELD_LENGTH = 24
_TRAILER = struct.Struct("<II")


class Origin(NamedTuple):
    """Which file a compressed one was."""

    device: int
    inode: int
    modified_at_ns: int
    """Inodes are used again; together with this they are not."""


def origin_of(file: int) -> Origin:
    """What an open file is known by. Raises: OSError."""
    status = os.fstat(file)
    return Origin(status.st_dev, status.st_ino, status.st_mtime_ns)


class Compression:
    """One full file on its way to being a compressed one."""

    def __init__(self, path: str) -> None:
        """The file stays where it is until the end. Raises: OSError."""
        self._path = path
        self._source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            self._target = os.open(path + _PART_SUFFIX, flags, 0o640)
        except OSError:
            os.close(self._source)
            raise
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
        self._checksum = 0
        self._size = 0
        origin = origin_of(self._source)
        fields = (_SUBFIELD, _SUBFIELD_LENGTH, *origin)
        self._write(_HEADER.pack(_MAGIC, 0, 0, 255, 4 + _SUBFIELD_LENGTH, *fields))

    def step(self) -> bool:
        """Compress a slice; True when that was the last one. Raises: OSError."""
        part = os.read(self._source, _SLICE)
        if part:
            self._checksum = zlib.crc32(part, self._checksum)
            self._size += len(part)
            self._write(self._packer.compress(part))
            return False
        trailer = _TRAILER.pack(self._checksum, self._size & 0xFFFF_FFFF)
        self._write(self._packer.flush() + trailer)
        self.close()
        os.rename(self._path + _PART_SUFFIX, self._path + SUFFIX)
        os.unlink(self._path)
        return True

    def abandon(self) -> None:
        """Leave the file as it was."""
        self.close()
        with suppress(OSError):
            os.unlink(self._path + _PART_SUFFIX)

    def close(self) -> None:
        """Close the files. Doing so twice is no error."""
        for file in (self._source, self._target):
            if file >= 0:
                os.close(file)
        self._source = self._target = -1

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._target, data) :]


def open_compressed(path: str) -> tuple[int, Origin]:
    """The content of a compressed file as a file in memory, and what it was.

    Raises: OSError (FileNotFoundError); ValueError when it is damaged.
    """
    with open(path, "rb") as packed:
        head = packed.read(_HEADER.size)
        if len(head) < _HEADER.size or not head.startswith(_MAGIC):
            raise ValueError(f"{path} is not one of our compressed logs")
        *_before, device, inode, modified_at_ns = _HEADER.unpack(head)
        memory = os.memfd_create("log", os.MFD_CLOEXEC)
        unpacker = zlib.decompressobj(_RAW)
        try:
            while not unpacker.eof and (block := packed.read(_READ_SIZE)):
                _write_all(memory, unpacker.decompress(block))
        except (OSError, zlib.error) as error:
            os.close(memory)
            raise ValueError(f"{path}: {error}") from error
    os.lseek(memory, 0, os.SEEK_SET)
    return memory, Origin(device, inode, modified_at_ns)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
