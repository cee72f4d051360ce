"""Device rules of a version 2 cgroup: a BPF program that the kernel asks at each open and mknod.

Version 1 has files for this (devices.allow, devices.deny); version 2 has only
BPF_PROG_TYPE_CGROUP_DEVICE (cgroup-v2.rst, "Device controller"). The program tests the rules
from the last to the first, and the first that matches decides, as the files would.
"""

import ctypes
import os
import struct

from wherry.kit.values import dataclass
from wherry.linux.syscall import number, syscall

_SYS_BPF = number(321, 280)
_BPF_PROG_LOAD = 5
_BPF_PROG_ATTACH = 8
_BPF_PROG_DETACH = 9
_BPF_PROG_GET_FD_BY_ID = 13
_BPF_PROG_QUERY = 16
_BPF_PROG_TYPE_CGROUP_DEVICE = 15
_BPF_CGROUP_DEVICE = 6
_BPF_F_ALLOW_MULTI = 2
_MOST_PROGRAMS = 64
"""That the kernel lets a cgroup have (BPF_CGROUP_MAX_PROGS, linux/bpf-cgroup.h)."""
_QUERY = struct.Struct("<IIIIQI4x")

_ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL_ACCESS = 7
_ANY = set(_ACCESS)
_TYPES = {"b": 1, "c": 2}

_INSTRUCTION = struct.Struct("<BBhi")
# Operation codes of linux/bpf_common.h and linux/bpf.h, put together.
_LOAD_WORD = 0x61
_MOVE_REGISTER, _MOVE_VALUE = 0xBC, 0xB4
_AND_VALUE, _SHIFT_RIGHT_VALUE = 0x54, 0x74
_JUMP_IF_NOT_EQUAL = 0x56
_EXIT = 0x95
_RESULT, _CONTEXT, _TYPE, _WANTED, _MAJOR, _MINOR = range(6)


@dataclass(frozen=True, slots=True)
class DeviceFilterRule:
    """One rule; None for major or minor is any. `type` is a, b or c; `access` of r, w, m."""

    allow: bool
    type: str
    major: int | None
    minor: int | None
    access: str


def compile_filter(rules: tuple[DeviceFilterRule, ...]) -> bytes:
    """The BPF program of a list of rules; what no rule matches is denied.

    Raises: KeyError for a type or an access letter that does not exist.
    """
    program = [
        _instruction(_LOAD_WORD, _TYPE, _CONTEXT, 0),
        _instruction(_MOVE_REGISTER, _WANTED, _TYPE),
        _instruction(_AND_VALUE, _TYPE, value=0xFFFF),
        _instruction(_SHIFT_RIGHT_VALUE, _WANTED, value=16),
        _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8),
    ]
    for rule in reversed(rules):
        program += _rule(rule)
        if rule.type == "a" and rule.major is rule.minor is None and set(rule.access) == _ANY:
            # It matches everything, and the verifier refuses instructions behind it.
            return b"".join(program)
    return b"".join(program + _verdict(allow=False))


def attach_filter(cgroup: int, program: bytes) -> int:
    """Load a program and make it the one that an opened cgroup directory has; its number.

    Those that were there are detached after it, so that at no moment more is allowed than one
    of both would. It goes away with the cgroup. Raises: KernelError.
    """
    former = attached_filters(cgroup)
    loaded = _load(program)
    try:
        _change(_BPF_PROG_ATTACH, "BPF_PROG_ATTACH", cgroup, loaded, _BPF_F_ALLOW_MULTI)
    finally:
        os.close(loaded)
    for each in former:
        _detach(cgroup, each)
    (added,) = set(attached_filters(cgroup)) - set(former)
    return added


def attached_filters(cgroup: int) -> tuple[int, ...]:
    """The numbers of the device programs that a cgroup itself has. Raises: KernelError."""
    numbers = (ctypes.c_uint32 * _MOST_PROGRAMS)()
    query = ctypes.create_string_buffer(
        _QUERY.pack(cgroup, _BPF_CGROUP_DEVICE, 0, 0, ctypes.addressof(numbers), _MOST_PROGRAMS),
        _QUERY.size,
    )
    syscall(
        _SYS_BPF, _BPF_PROG_QUERY, query, _QUERY.size, name="bpf", operands=("BPF_PROG_QUERY",)
    )
    count = _QUERY.unpack(query.raw)[-1]
    return tuple(numbers[:count])


def _detach(cgroup: int, program: int) -> None:
    """Detach a program by its number. Raises: KernelError."""
    wanted = struct.pack("<III", program, 0, 0)
    opened = syscall(
        _SYS_BPF, _BPF_PROG_GET_FD_BY_ID, wanted, len(wanted),
        name="bpf", operands=("BPF_PROG_GET_FD_BY_ID", program),
    )  # fmt: skip
    try:
        _change(_BPF_PROG_DETACH, "BPF_PROG_DETACH", cgroup, opened, 0)
    finally:
        os.close(opened)


def _change(command: int, name: str, cgroup: int, program: int, flags: int) -> None:
    change = struct.pack("<IIII", cgroup, program, _BPF_CGROUP_DEVICE, flags)
    syscall(_SYS_BPF, command, change, len(change), name="bpf", operands=(name,))


def _load(program: bytes) -> int:
    """The descriptor of a program in the kernel, the caller's to close. Raises: KernelError."""
    instructions = ctypes.create_string_buffer(program, len(program))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    load = struct.pack(
        "<IIQQIIQII16sII",
        _BPF_PROG_TYPE_CGROUP_DEVICE, len(program) // _INSTRUCTION.size,
        ctypes.addressof(instructions), ctypes.addressof(licence),
        0, 0, 0, 0, 0, b"wherry_devices", 0, _BPF_CGROUP_DEVICE,
    )  # fmt: skip
    return syscall(
        _SYS_BPF, _BPF_PROG_LOAD, load, len(load), name="bpf", operands=("BPF_PROG_LOAD",)
    )


def _rule(rule: DeviceFilterRule) -> list[bytes]:
    """Tests that jump behind the verdict, then the verdict."""
    tests: list[tuple[bytes, ...]] = []
    if rule.type != "a":
        tests.append(_unless(_TYPE, _TYPES[rule.type]))
    access = sum(_ACCESS[letter] for letter in set(rule.access))
    if access != _ALL_ACCESS:
        tests.append(_access_test(access, allow=rule.allow))
    if rule.major is not None:
        tests.append(_unless(_MAJOR, rule.major))
    if rule.minor is not None:
        tests.append(_unless(_MINOR, rule.minor))
    code = [instruction for test in tests for instruction in test] + _verdict(allow=rule.allow)
    # The distance of a jump counts the instructions after it: fill it in from the end.
    return [
        each[:2] + struct.pack("<h", len(code) - at - 1) + each[4:]
        if each[0] == _JUMP_IF_NOT_EQUAL and each[2:4] == b"\xff\xff"
        else each
        for at, each in enumerate(code)
    ]


def _access_test(access: int, *, allow: bool) -> tuple[bytes, ...]:
    """An allowing rule must cover all that is wanted; a denying rule any part of it."""
    if allow:
        return (
            _instruction(_MOVE_REGISTER, _CONTEXT, _WANTED),
            _instruction(_AND_VALUE, _CONTEXT, value=_ALL_ACCESS & ~access),
            *_unless(_CONTEXT, 0),
        )
    return (
        _instruction(_MOVE_REGISTER, _CONTEXT, _WANTED),
        _instruction(_AND_VALUE, _CONTEXT, value=access),
        # Over the jump to the next rule when a wanted bit is denied.
        _instruction(_JUMP_IF_NOT_EQUAL, _CONTEXT, offset=2),
        _instruction(_MOVE_VALUE, _CONTEXT, value=1),
        *_unless(_CONTEXT, 0),
    )


def _unless(register: int, value: int) -> tuple[bytes, ...]:
    return (_instruction(_JUMP_IF_NOT_EQUAL, register, offset=-1, value=value),)


def _verdict(*, allow: bool) -> list[bytes]:
    return [_instruction(_MOVE_VALUE, _RESULT, value=int(allow)), _instruction(_EXIT)]


def _instruction(
    code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0
) -> bytes:
    return _INSTRUCTION.pack(code, target | source << 4, offset, value)
