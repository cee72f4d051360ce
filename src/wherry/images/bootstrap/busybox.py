"""`busybox:latest` from the host's static busybox: one program under all of its names.

The tree has the shape of the official image: applets are hard links in /bin. It is a function
of the program alone, times included, so the same program gives the same image id everywhere.
"""

import os
import struct
import subprocess
from collections.abc import Iterator

from wherry.images.bootstrap.recipe import SEARCH_PATH, BaseImage, TreeWriter
from wherry.model.errors import HostLacks, StepFailed
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import ExecutionDefaults
from wherry.snapshots import Writable

_PLACES = ("/bin/busybox", "/usr/bin/busybox")
_LISTING_TIMEOUT_S = 10
_PT_INTERP = 3
_ELF_HEADER = struct.Struct("<16xHHIQQQIHHHHHH")

_DIRECTORIES = (
    ("bin", 0o755), ("dev", 0o755), ("etc", 0o755), ("home", 0o755), ("lib", 0o755),
    ("proc", 0o755), ("root", 0o700), ("sys", 0o755), ("tmp", 0o1777), ("usr", 0o755),
    ("usr/bin", 0o755), ("usr/sbin", 0o755), ("var", 0o755), ("var/spool", 0o755),
    ("var/spool/mail", 0o755), ("var/www", 0o755),
)  # fmt: skip

PASSWD = b"""\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
GROUP = b"""\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
lp:x:7:
mail:x:8:
kmem:x:9:
wheel:x:10:root
cdrom:x:11:
dialout:x:18:
floppy:x:19:
video:x:28:
audio:x:29:
tape:x:32:
www-data:x:33:
operator:x:37:
utmp:x:43:
plugdev:x:46:
staff:x:50:
lock:x:54:
netdev:x:82:
users:x:100:
nobody:x:65534:
"""
_SHADOW = b"".join(
    line.split(b":")[0]
    + (b"::" if line.startswith(b"root:") else b":*:")
    + b"10933:0:99999:7:::\n"
    for line in PASSWD.splitlines()
)
_NSSWITCH = b"passwd: files\ngroup: files\nhosts: files dns\n"


def recipe() -> BaseImage:
    """How to make busybox:latest."""
    return BaseImage(
        name="busybox:latest",
        created_by="the host's static busybox, under the names of its applets",
        config=ExecutionDefaults(env=(SEARCH_PATH,), cmd=("sh",)),
        write_layer=_write_layer,
        created_at_ns=lambda _now: program_time_ns(),
    )


def static_busybox() -> str:
    """The path of a busybox that needs no library. Raises: HostLacks."""
    for path in _PLACES:
        if os.path.exists(path) and is_static(path):
            return path
    raise HostLacks("image bootstrap", "a static busybox (Debian: busybox-static)")


def program_time_ns() -> int:
    """The program's own time, in whole seconds."""
    return int(os.stat(static_busybox()).st_mtime) * 1_000_000_000


def is_static(path: str) -> bool:
    """Whether an ELF program names no interpreter (elf(5), PT_INTERP)."""
    with open(path, "rb") as file:
        start = file.read(4096)
    if len(start) < _ELF_HEADER.size or not start.startswith(b"\x7fELF\x02\x01"):
        return False
    _type, _machine, _version, _entry, offset, *_rest = _ELF_HEADER.unpack_from(start)
    entry_size, count = _rest[3], _rest[4]
    kinds = [
        int.from_bytes(start[offset + index * entry_size :][:4], "little")
        for index in range(count)
    ]
    return bool(kinds) and _PT_INTERP not in kinds


def _write_layer(_workspace: str, out: Writable) -> Iterator[Progress]:
    program = static_busybox()
    names = _applets(program)
    yield Progress(stream=f"{program}: {len(names)} applets\n")
    tree = TreeWriter(out, mtime_ns=program_time_ns())
    for path, mode in _DIRECTORIES:
        tree.directory(path, mode)
    with open(program, "rb") as file:
        tree.file("bin/busybox", file.read(), 0o755)
    for name in names:
        tree.hard_link(f"bin/{name}", "bin/busybox")
    tree.symlink("usr/bin/env", "../../bin/env")
    tree.file("etc/passwd", PASSWD)
    tree.file("etc/group", GROUP)
    tree.file("etc/shadow", _SHADOW, 0o640)
    tree.file("etc/nsswitch.conf", _NSSWITCH)
    tree.end()


def _applets(program: str) -> list[str]:
    """What the program can be called. Raises: StepFailed."""
    try:
        listed = subprocess.run(
            [program, "--list"],
            capture_output=True,
            check=True,
            timeout=_LISTING_TIMEOUT_S,
            env={},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StepFailed("ask busybox for its applets", str(error)) from error
    names = sorted(set(listed.stdout.decode().split()) - {"busybox"})
    if not names or any("/" in name for name in names):
        raise StepFailed("ask busybox for its applets", "it named none that make sense")
    return names
