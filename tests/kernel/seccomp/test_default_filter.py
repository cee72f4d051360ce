"""The default filter as the kernel applies it, call by call."""

import errno
import platform
import socket

import pytest

from support.filters import errnos_in_child, number_of
from wherry.linux.libseccomp import ARCHITECTURES, native_architecture
from wherry.model.containers import Security
from wherry.specgen import compiled_seccomp, container_seccomp, read_host_facts

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="this kernel has no x86_64 calls"),
]

X86_64 = "SCMP_ARCH_X86_64"
BAD_POINTER = 1
NEW_NAMESPACES = 0x7E020000
CLONE_NEWUSER = 0x10000000

REFUSED = {
    # name: arguments that the kernel itself answers with anything but EPERM or ENOSYS
    "unshare": (0,),
    "setns": (-1, 0),
    "mount": (BAD_POINTER, BAD_POINTER, BAD_POINTER, 0, 0),
    "umount2": (BAD_POINTER, 0),
    "mount_setattr": (-1, BAD_POINTER, 0, BAD_POINTER, 0),
    "move_mount": (-1, BAD_POINTER, -1, BAD_POINTER, 0),
    "open_tree": (-1, BAD_POINTER, 0),
    "fsopen": (BAD_POINTER, 0),
    "fsmount": (-1, 0, 0),
    "fsconfig": (-1, 0, 0, 0, 0),
    "fspick": (-1, BAD_POINTER, 0),
    "bpf": (-1, 0, 0),
    "perf_event_open": (BAD_POINTER, 0, -1, -1, 0),
    "fanotify_init": (-1, 0),
    "quotactl": (-1, 0, 0, 0),
    "sethostname": (BAD_POINTER, 64),
    "setdomainname": (BAD_POINTER, 64),
    "syslog": (99, 0, 0),
    "open_by_handle_at": (-1, BAD_POINTER, 0),
    "reboot": (0, 0, 0, 0),
    "acct": (BAD_POINTER,),
    "iopl": (99,),
    "settimeofday": (BAD_POINTER, 0),
    "mbind": (0, 0, 99, 0, 0, 0),
    "set_mempolicy": (99, 0, 0),
    "kcmp": (-1, -1, 0, 0, 0),
    "pidfd_getfd": (-1, -1, 0),
    "io_uring_setup": (1, BAD_POINTER),
    "io_uring_enter": (-1, 0, 0, 0, 0),
    "io_uring_register": (-1, 0, 0, 0),
    "keyctl": (99, 0, 0, 0, 0),
    "add_key": (BAD_POINTER, 0, 0, 0, 0),
    "request_key": (BAD_POINTER, 0, 0, 0),
    "userfaultfd": (-1,),
    "pivot_root": (BAD_POINTER, BAD_POINTER),
    "move_pages": (-1, 1, 0, 0, 0, 0),
    "swapon": (BAD_POINTER, 0),
    "swapoff": (BAD_POINTER,),
}
ALLOWED = {
    "ptrace": (0x4200, -1, 0, 0),
    "process_vm_readv": (-1, 0, 0, 0, 0, 0),
    "chroot": (BAD_POINTER,),
    "getpid": (),
    "getrandom": (BAD_POINTER, 1, 0),
    "openat2": (-1, BAD_POINTER, BAD_POINTER, 24),
    "close_range": (1000, 999, 0),
    "statx": (-1, BAD_POINTER, 0, 0, BAD_POINTER),
}
"""Calls that pass the filter, with arguments that fail afterwards or do nothing."""


@pytest.fixture(scope="module")
def default_filter() -> bytes:
    """The filter of a container with the default capabilities."""
    return compiled_for(Security())


def compiled_for(security: Security) -> bytes:
    """The filter of a container with these options."""
    profile = container_seccomp(security, read_host_facts())
    assert profile is not None
    return compiled_seccomp(profile)


def call(name: str, *arguments: int) -> tuple[int, ...]:
    """A call by name."""
    found = number_of(name, X86_64)
    assert found >= 0, name
    return (found, *arguments)


def test_what_needs_a_capability_is_refused_without_it(default_filter: bytes) -> None:
    """Each refused call gets EPERM from the filter, where the bare kernel says something else."""
    calls = [call(name, *arguments) for name, arguments in REFUSED.items()]
    filtered = dict(zip(REFUSED, errnos_in_child(default_filter, calls), strict=True))
    bare = dict(zip(REFUSED, errnos_in_child(None, calls), strict=True))
    assert filtered == dict.fromkeys(REFUSED, errno.EPERM)
    # some kernels are built without one or the other; enough must differ to mean something
    told_apart = [name for name in REFUSED if bare[name] != errno.EPERM]
    assert len(told_apart) >= len(REFUSED) - 4, sorted(set(REFUSED) - set(told_apart))


def test_ordinary_calls_pass(default_filter: bytes) -> None:
    """Calls that containers need reach the kernel: the answer is the same as without a filter."""
    calls = [call(name, *arguments) for name, arguments in ALLOWED.items()]
    filtered = errnos_in_child(default_filter, calls)
    assert filtered == errnos_in_child(None, calls)
    assert errno.EPERM not in filtered


def test_sockets_by_family(default_filter: bytes) -> None:
    """AF_ALG (38) and AF_VSOCK (40) are refused; 39 and everything else passes."""
    families = {
        socket.AF_UNIX: 0,
        socket.AF_INET: 0,
        socket.AF_NETLINK: 0,
        38: errno.EPERM,
        40: errno.EPERM,
    }
    calls = [call("socket", family, socket.SOCK_RAW if family == socket.AF_NETLINK else 1, 0)
             for family in families]  # fmt: skip
    assert errnos_in_child(default_filter, calls) == list(families.values())
    (kcm,) = errnos_in_child(default_filter, [call("socket", 39, 1, 0)])
    assert kcm != errno.EPERM


def test_families_can_not_be_disguised(default_filter: bytes) -> None:
    """The kernel ignores the upper half of a family, and so does the filter."""
    calls = [call("socket", 1 << 32 | family, socket.SOCK_STREAM, 0) for family in (2, 38, 40)]
    assert errnos_in_child(default_filter, calls) == [0, errno.EPERM, errno.EPERM]


@pytest.mark.parametrize(
    "flag", [1 << bit for bit in range(32) if NEW_NAMESPACES >> bit & 1], ids=hex
)
def test_clone_makes_no_namespace(default_filter: bytes, flag: int) -> None:
    """clone with any of the seven namespace flags gets EPERM."""
    assert errnos_in_child(default_filter, [call("clone", flag, 0, 0, 0, 0)]) == [errno.EPERM]


def test_clone3_says_that_it_does_not_exist(default_filter: bytes) -> None:
    """clone3 gets ENOSYS, so that a C library falls back to clone."""
    found = errnos_in_child(default_filter, [call("clone3", BAD_POINTER, 64)])
    assert found == [errno.ENOSYS]


def test_personality_takes_five_values(default_filter: bytes) -> None:
    """personality passes with 0, 8, 0x20000, 0x20008 and the query, and with nothing else."""
    good = [0, 8, 0x20000, 0x20008, 0xFFFFFFFF]
    bad = [1, 0x0040000, 0x20001, 0x0800000]
    calls = [call("personality", value) for value in (*good, *bad)]
    expected = [0] * len(good) + [errno.EPERM] * len(bad)
    assert errnos_in_child(default_filter, calls) == expected


def test_unknown_numbers_do_not_exist(default_filter: bytes) -> None:
    """Numbers of a future kernel get ENOSYS, natively and as x32."""
    calls = [(600,), (1000,), (0x3FFFFFFF,), (0x40000000 | 600,)]
    assert errnos_in_child(default_filter, calls) == [errno.ENOSYS] * len(calls)


def test_capabilities_open_their_calls() -> None:
    """With CAP_SYS_ADMIN, unshare, mount and clone3 reach the kernel."""
    compiled = compiled_for(Security(capabilities_added=("SYS_ADMIN",)))
    calls = [
        call("unshare", 0),
        call("mount", BAD_POINTER, BAD_POINTER, BAD_POINTER, 0, 0),
        call("clone3", BAD_POINTER, 64),
        call("clone", CLONE_NEWUSER | 0x00000200, 0, 0, 0, 0),
        call("keyctl", 99, 0, 0, 0, 0),
    ]
    found = errnos_in_child(compiled, calls)
    assert found[:3] == [0, errno.EFAULT, errno.EFAULT]
    assert found[3] == errno.EINVAL  # CLONE_FS with a user namespace: refused by the kernel
    assert found[4] == errno.EPERM


def test_the_native_architecture_is_the_kernels() -> None:
    """libseccomp compiles for the word that the kernel puts into seccomp_data here."""
    assert native_architecture() == ARCHITECTURES[X86_64]
