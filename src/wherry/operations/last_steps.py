"""The steps from the pivot on, as lines of Python: no shell can take them.

Once the root has changed, the host's programs are out of reach, and neither a shell nor a
program of Debian 12 loads a system call filter. So a script goes on in one interpreter that
has all it needs in memory: each step below is the system calls that the operation makes, by
glibc's names for them.
"""

from collections.abc import Iterator, Sequence

from wherry.linux import capabilities
from wherry.linux.capabilities import NUMBERS
from wherry.linux.seccomp import HEADER_BYTES, SECCOMP_SET_MODE_FILTER, SYS_SECCOMP
from wherry.operations.files.mounts import PROPAGATIONS
from wherry.operations.files.nodes import EnterDirectory
from wherry.operations.files.roots import PivotRoot, SetPropagation
from wherry.operations.one_line import comment
from wherry.operations.plan import Entry, Operation
from wherry.operations.processes.identity import (
    LimitBoundingSet,
    LoadSeccomp,
    SetCapabilities,
    SetGroups,
    SetNoNewPrivileges,
    SetUmask,
    SetUser,
)
from wherry.operations.processes.process import MASK, CloseDescriptors, Execve, SetRlimit

_PRELUDE = """\
import ctypes, os, resource, struct

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    words = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    if getattr(libc, name)(*words) == -1:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


class Filter(ctypes.Structure):  # struct sock_fprog, linux/filter.h
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]

"""

_PIVOT = """\
os.chdir("rootfs")
call("pivot_root", b".", b".")
call("umount2", b".", 2)  # MNT_DETACH: the host's root, which lies on top of ours
os.chdir("/")"""

_LOAD = """\
call("syscall", {number}, {mode}, flags, ctypes.byref(Filter(len(program) // 8, program)))"""

_READ = """\
# The filter as the engine compiled it: a header with the flags for seccomp(2), then the program.
compiled = open({path!r}, "rb").read()
flags, program = struct.unpack("=I", compiled[4:{header}])[0], compiled[{header}:]
"""

_CAPSET = """\
# Effective, permitted, inheritable: the lower and the upper half (capset(2), version 3).
call("capset", struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", {words}))
call("prctl", 47, 4, 0, 0, 0)  # PR_CAP_AMBIENT_CLEAR_ALL"""


def secret_names(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The variables of the program whose values the journal does not keep."""
    return tuple(
        name
        for entry in entries
        if isinstance(entry.operation, Execve)
        for name, _, value in (each.partition("=") for each in entry.operation.environment)
        if value == MASK
    )


def last_steps(entries: Sequence[Entry], seccomp_path: str) -> str:
    """The program that takes these steps."""
    wants_filter = any(isinstance(entry.operation, LoadSeccomp) for entry in entries)
    read = _READ.format(path=seccomp_path, header=HEADER_BYTES) if wants_filter else ""
    steps = "\n".join(line for entry in entries for line in _told(entry.operation))
    return f"{_PRELUDE}{read}{steps}"


def _told(operation: Operation) -> Iterator[str]:
    yield f"\n{comment(f'{operation.describe()}: {operation.why}')}"
    yield from _step(operation)


def _step(operation: Operation) -> Iterator[str]:
    match operation:
        case PivotRoot():
            yield _PIVOT
        case SetPropagation(path=path, propagation=propagation):
            flag = PROPAGATIONS[propagation.removeprefix("r")]
            flag |= 0x4000 if propagation[0] == "r" else 0
            yield f'call("mount", b"", {path.encode()!r}, None, {flag:#x}, None)'
        case EnterDirectory(path=path, makes=makes):
            if makes:
                yield f"os.makedirs({path!r}, exist_ok=True)"
            yield f"os.chdir({path!r})"
        case SetRlimit(name=name, soft=soft, hard=hard):
            yield f"resource.setrlimit(resource.{name}, ({soft}, {hard}))"
        case SetNoNewPrivileges():
            yield 'call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS'
        case LoadSeccomp():
            yield _LOAD.format(number=SYS_SECCOMP, mode=SECCOMP_SET_MODE_FILTER)
        case LimitBoundingSet(kept=kept, last=last):
            numbers = sorted(NUMBERS[name] for name in kept)
            yield f"for capability in set(range({last + 1})) - {set(numbers) or 'set()'}:"
            yield '    call("prctl", 24, capability, 0, 0, 0)  # PR_CAPBSET_DROP'
        case SetGroups(groups=groups):
            yield f"os.setgroups({list(groups)})"
        case SetUser(uid=uid, gid=gid):
            yield 'call("prctl", 8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS: capset(2) cuts them down'
            yield f"os.setresgid({gid}, {gid}, {gid})"
            yield f"os.setresuid({uid}, {uid}, {uid})"
            yield 'call("prctl", 8, 0, 0, 0, 0)'
        case SetCapabilities():
            yield from _capset(operation)
        case SetUmask(mask=mask):
            yield f"os.umask(0o{mask:03o})"
        case CloseDescriptors():
            yield 'os.closerange(3, os.sysconf("SC_OPEN_MAX"))'
        case Execve(program=program, args=args):
            yield f"environment = {_environment(operation)}"
            yield f"os.execve({program!r}, {list(args)!r}, environment)"
        case _:
            yield "# (no line of Python says this; it is left out)"


def _capset(operation: SetCapabilities) -> Iterator[str]:
    masks = [
        capabilities.mask(each)
        for each in (operation.effective, operation.permitted, operation.inheritable)
    ]
    words = [mask & 0xFFFFFFFF for mask in masks] + [mask >> 32 for mask in masks]
    yield _CAPSET.format(words=", ".join(f"{each:#x}" for each in words))
    for name in operation.ambient:
        yield f'call("prctl", 47, 2, {NUMBERS[name]}, 0, 0)  # raise {name}'


def _environment(operation: Execve) -> str:
    pairs = (each.partition("=") for each in operation.environment)
    lines = (
        f"    {name!r}: {f'os.environ[{name!r}]' if value == MASK else repr(value)},\n"
        for name, _, value in pairs
        if name
    )
    return "{\n" + "".join(lines) + "}"
