"""Filters for this machine, compiled by libseccomp to what `seccomp.load_filter` takes.

libseccomp knows only the names of its own time. A newer name is added by number, which is possible
only in a context of the native architecture alone; the other architectures have a context of
their own, and the two are merged.
"""

from collections.abc import Mapping, Sequence

from wherry.linux.libseccomp import (
    ARCHITECTURES,
    UNRESOLVED,
    Context,
    FlatRule,
    native_architecture,
    resolve,
)
from wherry.linux.seccomp import (
    FLAGS,
    NEW_LISTENER,
    RET_ALLOW,
    RET_LOG,
    RET_NOTIFY,
    TSYNC_ESRCH,
    packed_filter,
)
from wherry.linux.seccomp_prelude import ENOSYS_ACTION, enosys_prelude
from wherry.linux.seccomp_rules import Filter, action_of, flattened, look_up
from wherry.linux.syscall_numbers import newer_numbers

_WAIT_KILLABLE_RECV = FLAGS["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
_HANDS_THE_LISTENER_ON = "sendmsg"
"""The process itself gives its listener away, while nobody answers its calls yet."""


def compile_filter(wanted: Filter) -> bytes:
    """Compile a filter for this machine and its other architectures, ready for `load_filter`.

    Names that neither libseccomp nor we can resolve are skipped: such a call does not exist
    here, and the default action or ENOSYS answers it.

    Raises: ValueError for words that are no action, operator, architecture or flag;
    KernelError when libseccomp refuses a rule; OSError when there is no libseccomp.
    """
    flags = 0
    for name in wanted.flags:
        flags |= look_up(FLAGS, name, "flag")
    native = native_architecture()
    others = _other_architectures(wanted.architectures, native)
    default = action_of(wanted.default_action, wanted.default_errno_ret)
    flags |= _listener_flags(wanted, default, flags)
    rules = [*flattened(wanted.syscalls, default)]

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

    if default not in (RET_ALLOW, RET_LOG, ENOSYS_ACTION):
        newest = _newest_numbers(rules, (native, *others), newer)
        program = enosys_prelude(newest) + program
    return packed_filter(flags, program)


def _listener_flags(wanted: Filter, default: int, flags: int) -> int:
    """The flags that make a listener, when a rule asks an agent. Raises: ValueError."""
    asking = [rule for rule in wanted.syscalls if rule.action == "SCMP_ACT_NOTIFY"]
    if default == RET_NOTIFY:
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
    return NEW_LISTENER | (TSYNC_ESRCH if flags & FLAGS["SECCOMP_FILTER_FLAG_TSYNC"] else 0)


def _other_architectures(names: Sequence[str], native: int) -> tuple[int, ...]:
    tokens = [look_up(ARCHITECTURES, name, "architecture") for name in names]
    return tuple(dict.fromkeys(token for token in tokens if token != native))


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
