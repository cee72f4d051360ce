"""A program for another processor, by hand: no cross-compiler is needed to have one."""

import struct

_ORIGIN = 0x400000
_HEADERS = 64 + 56


def arm64_program(words: bytes) -> bytes:
    """A static program for 64-bit ARM that writes some words and ends with 0."""
    code = struct.pack(
        "<8I",
        0xD2800020,  # mov x0, #1
        0x100000E1,  # adr x1, the words, which follow
        0xD2800002 | len(words) << 5,  # mov x2, #length
        0xD2800808,  # mov x8, #64 (write)
        0xD4000001,  # svc #0
        0xD2800000,  # mov x0, #0
        0xD2800BA8,  # mov x8, #93 (exit)
        0xD4000001,  # svc #0
    )
    size = _HEADERS + len(code) + len(words)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, 0xB7, 1, _ORIGIN + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ORIGIN, _ORIGIN, size, size, 0x1000)
    return header + segment + code + words
