"""An image whose init is this machine's systemd, with one service: as small as it boots."""

import io
import re
import subprocess
import tarfile
from pathlib import Path

SYSTEMD = Path("/lib/systemd/systemd")
_PROGRAMS = (SYSTEMD, *map(Path, (
    "/lib/systemd/systemd-shutdown", "/lib/systemd/systemd-executor", "/bin/systemctl",
)))  # fmt: skip
"""The executor is a program of its own since version 255."""
_UNITS = (
    "basic.target", "emergency.target", "final.target", "halt.target", "local-fs.target",
    "multi-user.target", "paths.target", "shutdown.target", "slices.target", "sockets.target",
    "swap.target", "sysinit.target", "systemd-halt.service", "timers.target", "umount.target",
)  # fmt: skip
_SERVICE = """\
[Unit]
Description=says that it was started and stopped
[Service]
ExecStart=/bin/sh -c 'touch /run/started; exec sleep 1000'
ExecStop=/bin/touch /stopped
"""


def write_systemd_image(path: Path) -> None:
    """The file system, for `docker import`."""
    with tarfile.open(path, "w") as archive:
        for name in ("bin", "sbin", "lib", "lib64"):
            _link(archive, name, f"usr/{name}")
        for program in filter(Path.exists, _PROGRAMS):
            for file in (program, *_libraries(program)):
                _add(archive, f"usr{file}", file.read_bytes(), mode=0o755)
        _add(archive, "usr/bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755)
        for name in ("sh", "sleep", "touch", "cat", "ls", "rm"):
            _link(archive, f"usr/bin/{name}", "busybox")
        for unit in _UNITS:
            _add(archive, f"usr/lib/systemd/system/{unit}", (SYSTEMD.parent / "system" / unit)
                 .read_bytes())  # fmt: skip
        _link(archive, "usr/lib/systemd/system/default.target", "multi-user.target")
        _add(archive, "etc/systemd/system/hello.service", _SERVICE.encode())
        wants = "etc/systemd/system/multi-user.target.wants/hello.service"
        _link(archive, wants, "../hello.service")
        _add(archive, "etc/machine-id", b"")
        _add(archive, "etc/passwd", b"root:x:0:0::/:/bin/sh\n")
        _add(archive, "etc/group", b"root:x:0:\n")


def _libraries(program: Path) -> list[Path]:
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return [Path(each) for each in re.findall(r"/\S+", listed)]


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name.replace("usr/usr/", "usr/"))
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _link(archive: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    archive.addfile(entry)
