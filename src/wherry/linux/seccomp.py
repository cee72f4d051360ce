"""System call filters: compiled by libseccomp, loaded with seccomp(2).

Theory of operation. `compile_filter` hands the rules to libseccomp and gets a classic BPF
program back. Three things need care:

* libseccomp knows only the names of its own time. A newer name is added by number, which is
  possible only in a context of the native architecture alone; the other architectures have a
  context of their own, and the two are merged.
* A program that was built against a newer libc than the filter's author knew tries a new call
  first and falls back when the answer is ENOSYS, but not when it is EPERM. So numbers above
  the newest one that the rules name get ENOSYS, in a prelude of a few instructions before
  libseccomp's program, which has no rule for a range of numbers.
* libseccomp refuses a rule whose action is the default action, and two comparisons of the same
  argument in one rule. The first is left out; the second becomes one rule for each
  comparison, any of which is enough (as runc reads such profiles).
* A filter sees 64 bits of every argument, the kernel ignores the upper half of one that it
  declares as an int. "Any family above 40" let socket((1 << 32) + 40) through, which is family
  40. Comparisons of such arguments are rewritten to look at the lower half alone.

The result of `compile_filter` is a small header with the flags for seccomp(2), then the program;
`load_filter` takes it as it is. Compiling loads libseccomp; loading a filter does not.
"""

import ctypes
import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Protocol

from wherry.linux.libseccomp import (
    ARCHITECTURES,
    OPERATORS,
    UNRESOLVED,
    ArgCmp,
    Context,
    FlatRule,
    native_architecture,
    resolve,
)
from wherry.linux.syscall import number, syscall
from wherry.linux.syscall_numbers import newer_numbers

SYS_SECCOMP = number(317, 277)
SECCOMP_SET_MODE_FILTER = 1

FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1 << 0,
    "SECCOMP_FILTER_FLAG_LOG": 1 << 1,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 1 << 5,
}
"""Flags of seccomp(2) that a profile may name (linux/seccomp.h)."""
_NEW_LISTENER, _TSYNC_ESRCH = 1 << 3, 1 << 4
_WAIT_KILLABLE_RECV = FLAGS["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]

_RET_ERRNO = 0x0005_0000
_RET_TRACE = 0x7FF0_0000
_RET_ALLOW = 0x7FFF_0000
_RET_LOG = 0x7FFC_0000
_RET_NOTIFY = 0x7FC0_0000
ACTIONS = {
    "SCMP_ACT_KILL": 0x0000_0000,
    "SCMP_ACT_KILL_THREAD": 0x0000_0000,
    "SCMP_ACT_KILL_PROCESS": 0x8000_0000,
    "SCMP_ACT_TRAP": 0x0003_0000,
    "SCMP_ACT_ERRNO": _RET_ERRNO,
    "SCMP_ACT_TRACE": _RET_TRACE,
    "SCMP_ACT_NOTIFY": _RET_NOTIFY,
    "SCMP_ACT_LOG": _RET_LOG,
    "SCMP_ACT_ALLOW": _RET_ALLOW,
}
_X86_64 = ARCHITECTURES["SCMP_ARCH_X86_64"]
_X32 = ARCHITECTURES["SCMP_ARCH_X32"]
X32_SYSCALL_BIT = 0x4000_0000

_MASKED_EQ = OPERATORS["SCMP_CMP_MASKED_EQ"]
_INT_RANGE = 1 << 32
_INT_ARGUMENTS: Mapping[str, tuple[int, ...]] = {
    "fcntl": (1,),
    "ioctl": (1,),
    "personality": (0,),
    "prctl": (0,),
    "socket": (0, 1, 2),
    "socketpair": (0, 1, 2),
}
"""Arguments that the kernel declares as int and that profiles compare (linux/syscalls.h)."""

_HANDS_THE_LISTENER_ON = "sendmsg"
"""The process itself gives its listener away, while nobody answers its calls yet."""
_EPERM = 1
_ENOSYS = 38
_MOST_ARGUMENTS = 6
_MAGIC = b"bpf1"
_HEADER = struct.Struct("<4sI")
HEADER_BYTES = _HEADER.size
"""Of a compiled filter: a mark, and the flags for seccomp(2)."""
_INSTRUCTION = struct.Struct("=HBBI")
_MOST_INSTRUCTIONS = 4096


class Comparison(Protocol):
    """A comparison of one argument of a system call."""

    @property
    def index(self) -> int: ...
    @property
    def value(self) -> int: ...
    @property
    def op(self) -> str: ...
    @property
    def value_two(self) -> int: ...


class Rule(Protocol):
    """What to do for some system calls; all comparisons must hold."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def action(self) -> str: ...
    @property
    def errno_ret(self) -> int | None: ...
    @property
    def args(self) -> "tuple[Comparison, ...]": ...


class Filter(Protocol):
    """A filter in the words of the OCI specification; `oci.runtime_spec.Seccomp` is one."""

    @property
    def default_action(self) -> str: ...
    @property
    def default_errno_ret(self) -> int | None: ...
    @property
    def architectures(self) -> tuple[str, ...]: ...
    @property
    def flags(self) -> tuple[str, ...]: ...
    @property
    def listener_path(self) -> str: ...
    @property
    def syscalls(self) -> "tuple[Rule, ...]": ...


# -- compiling -------------------------------------------------------------------------------


def compile_filter(wanted: Filter) -> bytes:
    """Compile a filter for this machine and its other architectures, ready for `load_filter`.

    Names that neither libseccomp nor we can resolve are skipped: such a call does not exist
    here, and the default action or ENOSYS answers it.

    Raises: ValueError for words that are no action, operator, architecture or flag;
    KernelError when libseccomp refuses a rule; OSError when there is no libseccomp.
    """
    flags = 0
    for name in wanted.flags:
        flags |= _look_up(FLAGS, name, "flag")
    native = native_architecture()
    others = _other_architectures(wanted.architectures, native)
    default = _action(wanted.default_action, wanted.default_errno_ret)
    flags |= _listener_flags(wanted, default, flags)
    rules = [*_flattened(wanted.syscalls, default)]

    newer = newer_numbers()
    native_context = Context(default)
    try:
        native_context.add(rules, newer)
        if others:
            native_context.merge(_context_of(others, native, default, rules))
        native_context.optimise_for_load()
        program = native_context.export()
    finally:
        native_context.release()

    if default not in (_RET_ALLOW, _RET_LOG, _RET_ERRNO | _ENOSYS):
        newest = _newest_numbers(rules, (native, *others), newer)
        program = _enosys_prelude(newest) + program
    return _HEADER.pack(_MAGIC, flags) + program


def _listener_flags(wanted: Filter, default: int, flags: int) -> int:
    """The flags that make a listener, when a rule asks an agent. Raises: ValueError."""
    asking = [rule for rule in wanted.syscalls if rule.action == "SCMP_ACT_NOTIFY"]
    if default == _RET_NOTIFY:
        raise ValueError("seccomp: SCMP_ACT_NOTIFY cannot be used as default action")
    for rule in asking:
        if _HANDS_THE_LISTENER_ON in rule.names:
            raise ValueError(
                f"seccomp: SCMP_ACT_NOTIFY cannot be used for the {_HANDS_THE_LISTENER_ON} syscall"
            )
    if not asking:
        if flags & _WAIT_KILLABLE_RECV:
            raise ValueError("seccomp: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a listener")
        return 0
    if not wanted.listener_path:
        raise ValueError("seccomp: SCMP_ACT_NOTIFY needs a listenerPath")
    # With TSYNC a failure could not be told from a listener by its number.
    return _NEW_LISTENER | (_TSYNC_ESRCH if flags & FLAGS["SECCOMP_FILTER_FLAG_TSYNC"] else 0)


def _other_architectures(names: Sequence[str], native: int) -> tuple[int, ...]:
    tokens = [_look_up(ARCHITECTURES, name, "architecture") for name in names]
    return tuple(dict.fromkeys(token for token in tokens if token != native))


def _flattened(rules: Sequence[Rule], default: int) -> Iterator[FlatRule]:
    """One name, one action, comparisons of different arguments."""
    for rule in rules:
        action = _action(rule.action, rule.errno_ret)
        comparisons = tuple(_comparison(each) for each in rule.args)
        if action == default:
            continue
        indexes = {each.arg for each in comparisons}
        alternatives = [comparisons]
        if len(indexes) < len(comparisons):
            alternatives = [(each,) for each in comparisons]
        for name in rule.names:
            for alternative in alternatives:
                for narrowed in _narrowed(name, alternative):
                    yield name, action, narrowed


def _narrowed(name: str, comparisons: tuple[ArgCmp, ...]) -> Iterator[tuple[ArgCmp, ...]]:
    """The same comparisons, of the lower half where the kernel takes an int; any is enough."""
    narrow = _INT_ARGUMENTS.get(name, ())
    choices = [
        _lower_half(each) if each.arg in narrow and each.op != _MASKED_EQ else (each,)
        for each in comparisons
    ]
    return product(*choices)


def _lower_half(wanted: ArgCmp) -> tuple[ArgCmp, ...]:
    """A comparison as masked ones: one for each aligned block of the values that fit."""
    value, end = min(wanted.datum_a, _INT_RANGE), _INT_RANGE
    after = min(value + 1, end)
    ranges = {
        OPERATORS["SCMP_CMP_NE"]: ((0, value), (after, end)),
        OPERATORS["SCMP_CMP_LT"]: ((0, value),),
        OPERATORS["SCMP_CMP_LE"]: ((0, after),),
        OPERATORS["SCMP_CMP_EQ"]: ((value, after),),
        OPERATORS["SCMP_CMP_GE"]: ((value, end),),
        OPERATORS["SCMP_CMP_GT"]: ((after, end),),
    }[wanted.op]
    return tuple(
        ArgCmp(wanted.arg, _MASKED_EQ, _INT_RANGE - size, start)
        for low, high in ranges
        for start, size in _aligned_blocks(low, high)
    )


def _aligned_blocks(low: int, high: int) -> Iterator[tuple[int, int]]:
    """Cut a range of ints into blocks that a mask can describe: start and size."""
    while low < high:
        size = low & -low or _INT_RANGE
        while low + size > high:
            size >>= 1
        yield low, size
        low += size


def _action(name: str, errno_ret: int | None) -> int:
    action = _look_up(ACTIONS, name, "action")
    if action in (_RET_ERRNO, _RET_TRACE):
        action |= (_EPERM if errno_ret is None else errno_ret) & 0xFFFF
    return action


def _comparison(wanted: Comparison) -> ArgCmp:
    if not 0 <= wanted.index < _MOST_ARGUMENTS:
        raise ValueError(f"seccomp: no argument {wanted.index}")
    operator = _look_up(OPERATORS, wanted.op, "operator")
    return ArgCmp(wanted.index, operator, wanted.value, wanted.value_two)


def _look_up(table: Mapping[str, int], name: str, what: str) -> int:
    try:
        return table[name]
    except KeyError:
        raise ValueError(f"seccomp: unknown {what} {name!r}") from None


def _newest_numbers(
    rules: Sequence[FlatRule], architectures: Sequence[int], newer: Mapping[str, int]
) -> dict[int, int]:
    """The highest number that the rules name, by architecture; the first one is native."""
    names = {name for name, _, _ in rules}
    newest = {}
    for architecture in architectures:
        numbers = [resolve(architecture, name) for name in names]
        if architecture == architectures[0]:
            numbers += [newer[name] for name in names if name in newer]
        newest[architecture] = max(numbers, default=UNRESOLVED)
    return newest


def _context_of(
    others: Sequence[int], native: int, default: int, rules: Sequence[FlatRule]
) -> Context:
    context = Context(default)
    try:
        context.replace_architecture(native, others)
        context.add(rules, {})
    except BaseException:
        context.release()
        raise
    return context


# -- the prelude -----------------------------------------------------------------------------

_LOAD_WORD = 0x20
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_GREATER = 0x25
_JUMP_IF_AT_LEAST = 0x35
_RETURN = 0x06
_OFFSET_OF_NUMBER = 0
_OFFSET_OF_ARCHITECTURE = 4


def _enosys_prelude(newest: Mapping[int, int]) -> bytes:
    """Answer ENOSYS above the newest number of each architecture, else fall through.

    One block for each architecture (struct seccomp_data, linux/seccomp.h):

        load architecture;  other than this one?  -> next block
        load number;        above the newest?     -> ENOSYS, else next block

    x32 has the architecture word of x86_64 and is told apart by bit 30 of the number.
    """
    blocks = []
    for architecture, number_ in newest.items():
        if number_ < 0 or architecture == _X32:
            continue
        checks = [(_JUMP_IF_GREATER, 0, 1, number_)]
        if architecture == _X86_64:
            checks = _x86_64_checks(number_, newest.get(_X32, UNRESOLVED))
        block = [
            (_LOAD_WORD, 0, 0, _OFFSET_OF_ARCHITECTURE),
            (_JUMP_IF_EQUAL, 0, len(checks) + 2, architecture),
            (_LOAD_WORD, 0, 0, _OFFSET_OF_NUMBER),
            *checks,
            (_RETURN, 0, 0, _RET_ERRNO | _ENOSYS),
        ]
        blocks += [_INSTRUCTION.pack(*each) for each in block]
    return b"".join(blocks)


def _x86_64_checks(newest: int, newest_x32: int) -> list[tuple[int, int, int, int]]:
    if newest_x32 < 0:
        return [
            (_JUMP_IF_AT_LEAST, 2, 0, X32_SYSCALL_BIT),
            (_JUMP_IF_GREATER, 0, 1, newest),
        ]
    return [
        (_JUMP_IF_AT_LEAST, 1, 0, X32_SYSCALL_BIT),
        (_JUMP_IF_GREATER, 1, 2, newest),
        (_JUMP_IF_GREATER, 0, 1, newest_x32),
    ]


# -- loading ---------------------------------------------------------------------------------


class _SockFprog(ctypes.Structure):
    """struct sock_fprog (linux/filter.h)."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


assert ctypes.sizeof(_SockFprog) == 16, "struct sock_fprog, linux/filter.h"


def load_filter(compiled: bytes) -> int | None:
    """Put the calling thread, and what it becomes and forks, under a filter for ever.

    Returns the listener (seccomp_unotify(2)) of a filter that asks an agent, else None.

    Preconditions: CAP_SYS_ADMIN in the thread's user namespace, or no_new_privs set.

    Raises: ValueError for what `compile_filter` did not make; KernelError.
    """
    flags, program = _unpacked(compiled)
    instructions = ctypes.create_string_buffer(program, len(program))
    fprog = _SockFprog(
        len(program) // _INSTRUCTION.size, ctypes.cast(instructions, ctypes.c_void_p)
    )
    result = syscall(
        SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(fprog),
        name="seccomp", operands=("SECCOMP_SET_MODE_FILTER", fprog.len),
    )  # fmt: skip
    return result if flags & _NEW_LISTENER else None


def _unpacked(compiled: bytes) -> tuple[int, bytes]:
    if len(compiled) < _HEADER.size:
        raise ValueError("seccomp: the compiled filter is cut short")
    magic, flags = _HEADER.unpack_from(compiled)
    program = compiled[_HEADER.size :]
    count, rest = divmod(len(program), _INSTRUCTION.size)
    if magic != _MAGIC or rest or not 0 < count <= _MOST_INSTRUCTIONS:
        raise ValueError("seccomp: not a compiled filter")
    return flags, program
