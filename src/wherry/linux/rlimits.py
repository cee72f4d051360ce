"""Resource limits by the names of getrlimit(2)."""

import resource

from wherry.linux.syscall import KernelError

UNLIMITED = (1 << 64) - 1

NUMBERS = {
    "RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4,
    "RLIMIT_RSS": 5, "RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8,
    "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10, "RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12,
    "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}  # fmt: skip
"""asm-generic/resource.h."""


def prlimit(pid: int, name: str, soft: int, hard: int) -> None:
    """prlimit(2) on a process, 0 for the caller; -1 and 2**64-1 are unlimited.

    Raises: KernelError; KeyError for an unknown name.
    """
    try:
        resource.prlimit(pid, NUMBERS[name], (_limit(soft), _limit(hard)))
    except ValueError as error:
        # resource.prlimit says EINVAL and EPERM of the hard limit as ValueError.
        raise KernelError(22, "prlimit64", name, soft, hard) from error
    except OSError as error:
        raise KernelError(error.errno or 22, "prlimit64", name, soft, hard) from None


def prlimit_of(pid: int, name: str) -> tuple[int, int]:
    """Soft and hard limit of a process, 0 for the caller; -1 is unlimited. Raises: OSError."""
    return resource.prlimit(pid, NUMBERS[name])


def _limit(value: int) -> int:
    return resource.RLIM_INFINITY if value in (-1, UNLIMITED) else value
