"""The rules of a system call filter, from the words of a profile to what libseccomp takes.

libseccomp refuses a rule whose action is the default action, and two comparisons of the same
argument in one rule. The first is left out; the second becomes one rule for each comparison, any
of which is enough (as runc reads such profiles).

A filter sees 64 bits of every argument; the kernel ignores the upper half of one that it declares
as an int. "Any family above 40" let socket((1 << 32) + 40) through, which is family 40. So
comparisons of such arguments are rewritten to look at the lower half alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Protocol

from wherry.linux.libseccomp import OPERATORS, ArgCmp, FlatRule
from wherry.linux.seccomp import ACTIONS, RET_ERRNO, RET_TRACE

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
_EPERM = 1
_MOST_ARGUMENTS = 6


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


def flattened(rules: Sequence[Rule], default: int) -> Iterator[FlatRule]:
    """One name, one action, comparisons of different arguments."""
    for rule in rules:
        action = action_of(rule.action, rule.errno_ret)
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


def action_of(name: str, errno_ret: int | None) -> int:
    action = look_up(ACTIONS, name, "action")
    if action in (RET_ERRNO, RET_TRACE):
        action |= (_EPERM if errno_ret is None else errno_ret) & 0xFFFF
    return action


def _comparison(wanted: Comparison) -> ArgCmp:
    if not 0 <= wanted.index < _MOST_ARGUMENTS:
        raise ValueError(f"seccomp: no argument {wanted.index}")
    operator = look_up(OPERATORS, wanted.op, "operator")
    return ArgCmp(wanted.index, operator, wanted.value, wanted.value_two)


def look_up(table: Mapping[str, int], name: str, what: str) -> int:
    try:
        return table[name]
    except KeyError:
        raise ValueError(f"seccomp: unknown {what} {name!r}") from None
