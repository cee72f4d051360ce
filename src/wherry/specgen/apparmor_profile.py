"""The AppArmor profile that confines a container unless it asks for another one.

It is what `docker-default` is in this field: everything that capabilities, namespaces and the
system call filter leave open stays open, except the parts of /proc and /sys that belong to the
host, and mounting. It is a second wall: it holds also where a mask was circumvented, and where
a container was given CAP_SYS_ADMIN.

The text includes nothing of the host's /etc/apparmor.d, so it means the same everywhere.
"""

from wherry.linux.apparmor import UNCONFINED
from wherry.model.containers import Security
from wherry.model.errors import InvalidValue
from wherry.specgen.host import HostFacts

DEFAULT_PROFILE = "wherry-default"

_TEXT = """\
profile {name} flags=(attach_disconnected,mediate_deleted) {{
  network,
  capability,
  file,
  umount,

  # The host may signal and look at the container's processes, and they each other.
  signal (receive) peer={engine},
  signal (receive) peer=unconfined,
  signal (send, receive) peer={name},
  ptrace (readby, tracedby) peer=unconfined,
  ptrace (trace, read, tracedby, readby) peer={name},

  # Of /proc, only what is of a process (its number is the directory) and the settings of the
  # container's own ipc namespace may be written.
  deny /proc/* w,
  deny /proc/{{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}}/** w,
  deny /proc/sys/[^k]** w,
  deny /proc/sys/kernel/{{?,??,[^s][^h][^m]**}} w,
  deny /proc/sysrq-trigger rwklx,
  deny /proc/kcore rwklx,

  deny mount,

  # Of /sys, only the cgroups may be written (and they are mounted read-only).
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}}
"""


def default_profile_text(*, engine: str = UNCONFINED) -> str:
    """The source of `wherry-default`; `engine` is the profile that the daemon itself is under."""
    return _TEXT.format(name=DEFAULT_PROFILE, engine=engine)


def container_apparmor(security: Security, host: HostFacts) -> str:
    """The profile of a container's processes; empty on a host without AppArmor, as in Docker."""
    if not host.has_apparmor:
        return ""
    if security.is_privileged:
        return UNCONFINED
    return security.apparmor or DEFAULT_PROFILE


def check_apparmor(security: Security) -> None:
    """Refuse what can be no profile's name. Raises: InvalidValue."""
    name = security.apparmor
    if any(character.isspace() or character == "\0" for character in name):
        raise InvalidValue(f"invalid AppArmor profile {name!r} (--security-opt apparmor=NAME)")


def apparmor_warnings(security: Security, host: HostFacts) -> tuple[str, ...]:
    """What a user must know who asked for a profile where none can be."""
    if host.has_apparmor or security.apparmor in ("", UNCONFINED):
        return ()
    return (
        f"Your kernel does not support AppArmor or it is not enabled. "
        f"Profile {security.apparmor} discarded.",
    )
