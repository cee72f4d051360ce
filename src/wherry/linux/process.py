"""Processes: namespaces entered and left, forks into a cgroup, prctl(2), descriptors.

Preconditions of everything that forks here: one thread.
"""

import ctypes
import errno
import fcntl
import os
import signal

from wherry.linux.syscall import KernelError, number, syscall

_NS_GET_USERNS = 0xB701
_NS_GET_NSTYPE = 0xB703
CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000

PR_SET_PDEATHSIG = 1
PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 38, 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL = 2, 4

_SYS_PRCTL = number(157, 167)
_SYS_RT_SIGACTION = number(13, 134)
_SYS_SETHOSTNAME = number(170, 161)
_SYS_SETDOMAINNAME = number(171, 162)
_SYS_UNSHARE = number(272, 97)
_SYS_SETNS = number(308, 268)
_SYS_KEYCTL = number(250, 219)
_SYS_CLONE3 = 435
_SYS_CLOSE_RANGE = 436

_KEYCTL_JOIN_SESSION_KEYRING = 1
_LAST_DESCRIPTOR = 0x7FFFFFFF


class _CloneArguments(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack",
            "stack_size", "tls", "set_tid", "set_tid_size", "cgroup",
        )
    )  # fmt: skip


assert ctypes.sizeof(_CloneArguments) == 88, "struct clone_args, linux/sched.h"

_holding_gil = ctypes.PyDLL(None, use_errno=True)
_fork_syscall = _holding_gil.syscall
_fork_syscall.restype = ctypes.c_long
_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
_after_fork_child = ctypes.pythonapi.PyOS_AfterFork_Child


def namespace_kind(namespace: int) -> int:
    """Which kind of namespace a descriptor is, as its CLONE_NEW flag (ioctl_ns(2)).

    Raises: OSError.
    """
    return fcntl.ioctl(namespace, _NS_GET_NSTYPE)


def owner_of_namespace(namespace: int) -> int:
    """Open the user namespace that owns a namespace (ioctl_ns(2)); the caller's to close.

    Raises: OSError.
    """
    opened = fcntl.ioctl(namespace, _NS_GET_USERNS)
    os.set_inheritable(opened, False)
    return opened


def unshare(flags: int) -> None:
    """unshare(2): leave namespaces for new ones. Raises: KernelError."""
    syscall(_SYS_UNSHARE, flags, name="unshare", operands=(hex(flags),))


def setns(descriptor: int, flags: int) -> None:
    """setns(2): enter the namespace of an nsfs file, or those of a pidfd. Raises: KernelError."""
    syscall(_SYS_SETNS, descriptor, flags, name="setns", operands=(descriptor, hex(flags)))


def fork_into_cgroup(cgroup: int) -> int:
    """fork(2), with the child born in a version 2 cgroup; its pid, and 0 in the child.

    clone3(2) with CLONE_INTO_CGROUP: a move by `cgroup.procs` after the fork would wait for an
    RCU grace period, which takes 6 to 20 ms on an idle machine.
    The interpreter's own work around a fork is done as os.fork() does it.

    Raises: KernelError (ENOSYS or EINVAL before Linux 5.7).
    """
    arguments = _CloneArguments(flags=CLONE_INTO_CGROUP, exit_signal=signal.SIGCHLD, cgroup=cgroup)
    return _clone3(arguments, "CLONE_INTO_CGROUP")


def fork_beside(flags: int, cgroup: int | None = None) -> int:
    """fork(2) of a sibling: its parent is the caller's own, which gets SIGCHLD for it.

    `flags` are CLONE_NEW* for namespaces that it is born in. Raises: KernelError.
    """
    if cgroup is not None:
        flags |= CLONE_INTO_CGROUP
    arguments = _CloneArguments(flags=flags | CLONE_PARENT, cgroup=cgroup or 0)
    return _clone3(arguments, f"CLONE_PARENT|{flags:#x}")


def _clone3(arguments: _CloneArguments, shown: str) -> int:
    """clone3(2) with the interpreter's own work around a fork. Raises: KernelError."""
    pointer, size = ctypes.byref(arguments), ctypes.c_long(ctypes.sizeof(arguments))
    _before_fork()
    pid: int = _fork_syscall(ctypes.c_long(_SYS_CLONE3), pointer, size)
    if pid == 0:
        _after_fork_child()
        return 0
    code = ctypes.get_errno()
    _after_fork_parent()
    if pid < 0:
        raise KernelError(code, "clone3", shown)
    return pid


def prctl(option: int, value: int = 0, third: int = 0, fourth: int = 0) -> int:
    """prctl(2). Raises: KernelError."""
    return syscall(
        _SYS_PRCTL, option, value, third, fourth, 0, name="prctl", operands=(option, value)
    )


def set_dumpable(*, dumpable: bool) -> None:
    """Whether others may trace this process and see its /proc files (PR_SET_DUMPABLE)."""
    prctl(PR_SET_DUMPABLE, int(dumpable))


def set_no_new_privileges() -> None:
    """No execve gains a privilege from here on (PR_SET_NO_NEW_PRIVS)."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def set_child_subreaper() -> None:
    """Orphans below this process become its children (PR_SET_CHILD_SUBREAPER)."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


class _KernelSigaction(ctypes.Structure):
    """struct kernel_sigaction, the one of the system call; zeroes are the default action."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("restorer", ctypes.c_void_p),
        ("mask", ctypes.c_uint64),
    )


_DEFAULT_ACTION = _KernelSigaction()


def reset_library_signals() -> None:
    """Give the two signals that glibc keeps for itself, 32 and 33, their default action.

    sigaction(3) refuses to touch them, yet a parent such as timeout(1) may have had them
    ignored, which is inherited and survives execve(2). Raises: KernelError.
    """
    for kept in (32, 33):
        syscall(
            _SYS_RT_SIGACTION, kept, ctypes.byref(_DEFAULT_ACTION), None, 8,
            name="rt_sigaction", operands=(kept,),
        )  # fmt: skip


def set_parent_death_signal(number_: int) -> None:
    """The signal that this process gets when its parent dies (PR_SET_PDEATHSIG); 0: none."""
    prctl(PR_SET_PDEATHSIG, number_)


def join_session_keyring(name: str) -> int:
    """keyctl(2), KEYCTL_JOIN_SESSION_KEYRING; its serial number. Raises: KernelError."""
    return syscall(
        _SYS_KEYCTL, _KEYCTL_JOIN_SESSION_KEYRING, os.fsencode(name), 0, 0, 0,
        name="keyctl", operands=("KEYCTL_JOIN_SESSION_KEYRING", name),
    )  # fmt: skip


def sethostname(name: str) -> None:
    """sethostname(2). Raises: KernelError."""
    raw = os.fsencode(name)
    syscall(_SYS_SETHOSTNAME, raw, len(raw), name="sethostname", operands=(name,))


def setdomainname(name: str) -> None:
    """setdomainname(2). Raises: KernelError."""
    raw = os.fsencode(name)
    syscall(_SYS_SETDOMAINNAME, raw, len(raw), name="setdomainname", operands=(name,))


def close_range(first: int, last: int = _LAST_DESCRIPTOR) -> None:
    """close_range(2), with the library's loop before Linux 5.9. Raises: KernelError."""
    if first > last:
        return
    try:
        syscall(_SYS_CLOSE_RANGE, first, last, 0, name="close_range", operands=(first, last))
    except KernelError as error:
        if error.errno != errno.ENOSYS:
            raise
        os.closerange(first, min(last, os.sysconf("SC_OPEN_MAX")))


def close_all_but(kept: frozenset[int]) -> None:
    """Close every descriptor except these. Raises: KernelError."""
    first = 0
    for each in sorted(kept):
        close_range(first, each - 1)
        first = each + 1
    close_range(first)
