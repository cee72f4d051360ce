"""AppArmor as a process meets it: which profiles there are, and which one its execve gets.

The kernel tells of policy in securityfs (security/apparmor/apparmorfs.c) and takes a task's own
wishes in /proc/PID/attr/apparmor (Linux 5.8; before that /proc/PID/attr).
"""

import errno
import os

_ENABLED = "/sys/module/apparmor/parameters/enabled"
_SECURITYFS = "/sys/kernel/security/apparmor"
_PROFILES = f"{_SECURITYFS}/profiles"
_ATTRIBUTES = ("attr/apparmor", "attr")

UNCONFINED = "unconfined"


def is_enabled() -> bool:
    """Whether this kernel confines by AppArmor and lets us see its policy."""
    return _is_in_the_kernel() and os.path.exists(_PROFILES)


def is_loaded(profile: str) -> bool:
    """Whether the kernel has a profile of this name. Raises: OSError."""
    with open(_PROFILES, encoding="utf-8", errors="replace") as file:
        return any(line.rpartition(" (")[0] == profile for line in file)


def replace_policy(policy: bytes) -> None:
    """Load compiled profiles, in place of those of the same names. Raises: OSError."""
    file = os.open(f"{_SECURITYFS}/.replace", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, policy)  # the kernel takes a policy whole, in one call
    finally:
        os.close(file)


def profile_of(process: str = "self") -> str:
    """The profile that a process is confined by, without its mode. Raises: OSError."""
    with open(_attribute(process, "current"), encoding="utf-8", errors="replace") as file:
        return file.read().strip("\0\n").rpartition(" (")[0] or UNCONFINED


def open_on_exec() -> int:
    """Open what takes the profile of this process's next execve; the caller's to close.

    Raises: OSError: EOPNOTSUPP without AppArmor.
    """
    if not _is_in_the_kernel():
        raise OSError(errno.EOPNOTSUPP, "AppArmor is not enabled on this host")
    return os.open(_attribute("self", "exec"), os.O_WRONLY | os.O_CLOEXEC)


def change_on_exec(opened: int, profile: str) -> None:
    """Let the next execve of this process put it under a profile (aa_change_onexec(2)).

    Raises: OSError: ENOENT for a profile that is not loaded.
    """
    try:
        os.write(opened, f"exec {profile}".encode())
    except FileNotFoundError as error:
        raise OSError(errno.ENOENT, "the kernel has no profile of this name") from error


def _is_in_the_kernel() -> bool:
    try:
        with open(_ENABLED, encoding="ascii") as file:
            return file.read().strip() == "Y"
    except OSError:
        return False


def _attribute(process: str, name: str) -> str:
    new, old = (f"/proc/{process}/{directory}/{name}" for directory in _ATTRIBUTES)
    return new if os.path.exists(new) else old
