"""Judging compiled system call filters: by interpretation, and by the kernel in a child."""

import ctypes
import json
import os
import struct
from collections.abc import Sequence

from wherry.linux.libseccomp import ARCHITECTURES, UNRESOLVED, native_architecture, resolve
from wherry.linux.process import PR_SET_NO_NEW_PRIVS, prctl
from wherry.linux.seccomp import load_filter
from wherry.linux.syscall_numbers import newer_numbers

ALLOW = "allow"
_HEADER_BYTES = 8
_OUTCOMES = {0x7FFF0000: ALLOW, 0x00000000: "kill", 0x80000000: "kill process"}


def number_of(name: str, architecture: str) -> int:
    """The number of a call by libseccomp's tables, else by ours; negative where there is none."""
    token = ARCHITECTURES[architecture]
    found = resolve(token, name)
    if found == UNRESOLVED and token == native_architecture():
        return newer_numbers().get(name, UNRESOLVED)
    return found


def verdict(compiled: bytes, architecture: int, number: int, *arguments: int) -> str | int:
    """What a filter says of a call: `allow`, an errno, or another outcome by name.

    Interprets the classic BPF of a filter (linux/filter.h, "instruction classes").
    """
    program = [*struct.iter_unpack("=HBBI", compiled[_HEADER_BYTES:])]
    padded = [*arguments, *(0,) * (6 - len(arguments))]
    words = [each & (1 << 64) - 1 for each in padded]
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *words)
    accumulator = position = 0
    while True:
        code, if_true, if_false, operand = program[position]
        position += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x05:
                position += operand
            case 0x15:
                position += if_true if accumulator == operand else if_false
            case 0x25:
                position += if_true if accumulator > operand else if_false
            case 0x35:
                position += if_true if accumulator >= operand else if_false
            case 0x45:
                position += if_true if accumulator & operand else if_false
            case 0x06:
                if operand & 0xFFFF0000 == 0x00050000:
                    return operand & 0xFFFF
                return _OUTCOMES.get(operand, hex(operand))
            case _:
                raise AssertionError(f"instruction {code:#x}")


def errnos_in_child(compiled: bytes | None, calls: Sequence[tuple[int, ...]]) -> list[int]:
    """Make the calls, each (number, arguments...), in a child under a filter; 0 is success.

    None instead of a filter makes them without one, for comparison.
    """
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writable, json.dumps(_errnos(compiled, calls)).encode())
        finally:
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as answers:
        answer = answers.read()
    _, status = os.waitpid(child, 0)
    assert answer, f"the child died: {os.waitstatus_to_exitcode(status)}"
    found: list[int] = json.loads(answer)
    return found


def _errnos(compiled: bytes | None, calls: Sequence[tuple[int, ...]]) -> list[int]:
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    if compiled is not None:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        load_filter(compiled)
    found = []
    for call in calls:
        result = syscall(*(ctypes.c_long(each) for each in call))
        found.append(ctypes.get_errno() if result == -1 else 0)
    return found
