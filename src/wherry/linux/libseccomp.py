"""libseccomp by its soname: what seccomp(3) offers, with its own names.

Nothing is loaded before the first call: a process that only loads compiled filters never opens
the library.
"""

import ctypes
import errno
import os
from collections.abc import Mapping, Sequence
from functools import cache

from wherry.linux.syscall import KernelError

UNRESOLVED = -1
"""__NR_SCMP_ERROR: a name that the library does not know."""

ARCHITECTURES = {
    "SCMP_ARCH_X86": 0x4000_0003,
    "SCMP_ARCH_X86_64": 0xC000_003E,
    "SCMP_ARCH_X32": 0x4000_003E,
    "SCMP_ARCH_ARM": 0x4000_0028,
    "SCMP_ARCH_AARCH64": 0xC000_00B7,
    "SCMP_ARCH_LOONGARCH64": 0xC000_0102,
    "SCMP_ARCH_MIPS": 0x0000_0008,
    "SCMP_ARCH_MIPS64": 0x8000_0008,
    "SCMP_ARCH_MIPS64N32": 0xA000_0008,
    "SCMP_ARCH_MIPSEL": 0x4000_0008,
    "SCMP_ARCH_MIPSEL64": 0xC000_0008,
    "SCMP_ARCH_MIPSEL64N32": 0xE000_0008,
    "SCMP_ARCH_PPC": 0x0000_0014,
    "SCMP_ARCH_PPC64": 0x8000_0015,
    "SCMP_ARCH_PPC64LE": 0xC000_0015,
    "SCMP_ARCH_S390": 0x0000_0016,
    "SCMP_ARCH_S390X": 0x8000_0016,
    "SCMP_ARCH_PARISC": 0x0000_000F,
    "SCMP_ARCH_PARISC64": 0x8000_000F,
    "SCMP_ARCH_RISCV64": 0xC000_00F3,
}
"""libseccomp's tokens: the kernel's AUDIT_ARCH_* (linux/audit.h), but for x32."""

OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}


class ArgCmp(ctypes.Structure):
    """struct scmp_arg_cmp (seccomp.h)."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


assert ctypes.sizeof(ArgCmp) == 24, "struct scmp_arg_cmp, seccomp.h"

_CTL_OPTIMIZE, _BINARY_TREE = 8, 2
"""SCMP_FLTATR_CTL_OPTIMIZE and its second level (seccomp_attr_set(3))."""

FlatRule = tuple[str, int, tuple[ArgCmp, ...]]
"""A name, an action as the kernel writes it, and comparisons of different arguments."""


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libseccomp.so.2")
    context = ctypes.c_void_p
    signatures: dict[str, tuple[object, tuple[object, ...]]] = {
        "seccomp_init": (context, (ctypes.c_uint32,)),
        "seccomp_release": (None, (context,)),
        "seccomp_merge": (ctypes.c_int, (context, context)),
        "seccomp_attr_set": (ctypes.c_int, (context, ctypes.c_int, ctypes.c_uint32)),
        "seccomp_arch_native": (ctypes.c_uint32, ()),
        "seccomp_arch_add": (ctypes.c_int, (context, ctypes.c_uint32)),
        "seccomp_arch_remove": (ctypes.c_int, (context, ctypes.c_uint32)),
        "seccomp_syscall_resolve_name": (ctypes.c_int, (ctypes.c_char_p,)),
        "seccomp_syscall_resolve_name_arch": (
            ctypes.c_int,
            (ctypes.c_uint32, ctypes.c_char_p),
        ),
        "seccomp_rule_add_array": (
            ctypes.c_int,
            (context, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(ArgCmp)),
        ),
        "seccomp_export_bpf": (ctypes.c_int, (context, ctypes.c_int)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def native_architecture() -> int:
    """The token of this machine. Raises: OSError when there is no libseccomp."""
    token: int = _library().seccomp_arch_native()
    return token


@cache
def resolve(architecture: int, name: str) -> int:
    """The number of a name; UNRESOLVED when unknown, below that when another has the call."""
    resolved: int = _library().seccomp_syscall_resolve_name_arch(architecture, name.encode())
    return resolved


class Context:
    """A filter under construction: `scmp_filter_ctx`, at first of the native architecture."""

    def __init__(self, default: int) -> None:
        self._handle: int | None = _library().seccomp_init(default)
        if self._handle is None:
            raise KernelError(errno.EINVAL, "seccomp_init", hex(default))

    def release(self) -> None:
        """Free it, unless a merge took it."""
        if self._handle is not None:
            _library().seccomp_release(self._handle)
            self._handle = None

    def replace_architecture(self, native: int, others: Sequence[int]) -> None:
        """Filter for other architectures in place of the native one. Raises: KernelError."""
        for token in others:
            self._check(_library().seccomp_arch_add(self._handle, token), "seccomp_arch_add")
        removed = _library().seccomp_arch_remove(self._handle, native)
        self._check(removed, "seccomp_arch_remove")

    def add(self, rules: Sequence[FlatRule], newer: Mapping[str, int]) -> None:
        """Add rules; names that libseccomp can't resolve by number. Raises: KernelError."""
        library = _library()
        for name, action, comparisons in rules:
            resolved = library.seccomp_syscall_resolve_name(name.encode())
            if resolved == UNRESOLVED:
                resolved = newer.get(name, UNRESOLVED)
            if resolved == UNRESOLVED:
                continue
            array = (ArgCmp * len(comparisons))(*comparisons)
            added = library.seccomp_rule_add_array(
                self._handle, action, resolved, len(comparisons), array
            )
            self._check(added, "seccomp_rule_add_array", name)

    def optimise_for_load(self) -> None:
        """Sort the calls into a binary tree in place of a list. Raises: KernelError.

        The kernel works every call's verdict out when a filter is loaded
        (kernel/seccomp.c, seccomp_cache_prepare): with a list that costs a millisecond.
        """
        attribute_set = _library().seccomp_attr_set(self._handle, _CTL_OPTIMIZE, _BINARY_TREE)
        self._check(attribute_set, "seccomp_attr_set")

    def merge(self, other: "Context") -> None:
        """Take over the rules of a context with other architectures. Raises: KernelError."""
        merged = _library().seccomp_merge(self._handle, other._handle)
        if merged < 0:
            other.release()
        self._check(merged, "seccomp_merge")
        other._handle = None

    def export(self) -> bytes:
        """The BPF program. Raises: KernelError."""
        descriptor = os.memfd_create("seccomp", os.MFD_CLOEXEC)
        try:
            exported = _library().seccomp_export_bpf(self._handle, descriptor)
            self._check(exported, "seccomp_export_bpf")
            return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        finally:
            os.close(descriptor)

    @staticmethod
    def _check(result: int, call: str, *operands: object) -> None:
        if result < 0:
            raise KernelError(-result, call, *operands)
