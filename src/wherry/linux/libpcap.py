"""libpcap by its soname: filter expressions (pcap-filter(7)) compiled for the kernel.

Nothing is loaded before the first call. Nothing is captured by it: a compiled program is
attached to a packet socket, where the kernel runs it (socket(7), SO_ATTACH_FILTER).
"""

import ctypes
import socket
import struct
from ctypes import POINTER, byref, c_char_p, c_int, c_uint, c_uint32, c_void_p
from functools import cache

DLT_EN10MB = 1
"""Frames that begin with Ethernet's header, loopback's too."""
SO_ATTACH_FILTER = 26
_PCAP_NETMASK_UNKNOWN = 0xFFFFFFFF
_WHOLE_PACKET = 262144
_INSTRUCTION_BYTES = 8


class ExpressionRefused(Exception):
    """An expression that is none; the library's words."""


class LibraryMissing(OSError):
    """This host has no libpcap."""


class _Program(ctypes.Structure):
    """struct bpf_program (pcap/bpf.h)."""

    _fields_ = (("bf_len", c_uint), ("bf_insns", c_void_p))


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libpcap.so.0.8")
    except OSError as error:
        raise LibraryMissing from error
    for name, result, arguments in (
        ("pcap_open_dead", c_void_p, (c_int, c_int)),
        ("pcap_compile", c_int, (c_void_p, POINTER(_Program), c_char_p, c_int, c_uint32)),
        ("pcap_geterr", c_char_p, (c_void_p,)),
        ("pcap_freecode", None, (POINTER(_Program),)),
        ("pcap_close", None, (c_void_p,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def pcap_compile(expression: str) -> bytes:
    """The kernel's instructions for an expression about Ethernet frames.

    Raises: ExpressionRefused, LibraryMissing.
    """
    library = _library()
    handle = library.pcap_open_dead(DLT_EN10MB, _WHOLE_PACKET)
    program = _Program()
    try:
        written = expression.encode()
        status = library.pcap_compile(handle, byref(program), written, 1, _PCAP_NETMASK_UNKNOWN)
        if status:
            raise ExpressionRefused(library.pcap_geterr(handle).decode(errors="replace"))
        code = ctypes.string_at(program.bf_insns, program.bf_len * _INSTRUCTION_BYTES)
        library.pcap_freecode(byref(program))
        return code
    finally:
        library.pcap_close(handle)


def attach_filter(packets: socket.socket, code: bytes) -> None:
    """Let only what a program accepts come to a socket from now on. Raises: OSError."""
    kept = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HL", len(code) // _INSTRUCTION_BYTES, ctypes.addressof(kept))
    packets.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
