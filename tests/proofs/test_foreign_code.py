"""RELIABILITY row 6 (PY1, R17): nothing of a container's file system is loaded or executed.

The image is full of traps: Python's own modules, name service libraries, and the programs that
engines like to call, each of which leaves a canary when it is loaded or run. All processes of
the engine are traced while it works on containers of that image.
"""

import io
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from support.daemon import Engine
from support.mutants import Mutant, mutated_engine
from support.tracing import TracedCall, traced

PROGRAMS = (
    "xz", "unxz", "unpigz", "gzip", "zstd", "bzip2", "tar", "id", "ps", "ldconfig", "gcc", "cc",
    "modprobe", "iptables", "nft", "ip", "mount", "nsenter", "getent", "python3", "setpriv",
    "apparmor_parser",
)  # fmt: skip
MODULES = (
    "encodings/__init__.py", "encodings/idna.py", "json/__init__.py", "os.py", "pwd.py", "grp.py",
    "socket.py", "subprocess.py", "stringprep.py", "colorsys.py", "tarfile.py", "ctypes/util.py",
    "traceback.py", "linecache.py", "sitecustomize.py", "usercustomize.py", "wherry/__init__.py",
)  # fmt: skip
LIBRARIES = (
    "libnss_files.so.2", "libnss_dns.so.2", "libnss_compat.so.2", "libc.so.6", "libseccomp.so.2",
    "libnftables.so.1", "libffi.so.8",
)  # fmt: skip
PLACES = ("usr/lib/python3.11", "usr/lib/python3/dist-packages", "usr/local/lib/python3.11")
CALLS = ("open", "openat", "openat2", "execve", "execveat", "pivot_root", "setns", "chroot")
_CODE = re.compile(r"\.(py|pyc|pth)\"|\.so(\.[0-9.]+)?\"")
_MNT = re.compile(r"CLONE_NEWNS|0x20000\b")


def trapped_image(engine: Engine) -> str:
    """Import an image of busybox with every trap."""
    content = io.BytesIO()
    canary = "#!/bin/busybox sh\necho ran > /canary-{}\n"
    with tarfile.open(fileobj=content, mode="w") as archive:

        def add(path: str, body: bytes, mode: int = 0o755) -> None:
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(body), mode
            archive.addfile(member, io.BytesIO(body))

        add("bin/busybox", Path("/bin/busybox").read_bytes())
        for name in ("sh", "sleep", "true", "cat", "ls", "find"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        add("etc/passwd", b"root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n")
        add("etc/group", b"root:x:0:\nstaff:x:50:bob\n")
        add("etc/nsswitch.conf", b"passwd: files dns\ngroup: files dns\nhosts: dns files\n")
        for name in PROGRAMS:
            for place in ("usr/local/sbin", "usr/local/bin", "usr/bin", "sbin"):
                add(f"{place}/{name}", canary.format(name).encode())
        for place in PLACES:
            for name in MODULES:
                add(f"{place}/{name}", b"open('/canary-module', 'w').close()\n")
        for place in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib"):
            for name in LIBRARIES:
                add(f"{place}/{name}", b"not a library")
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        file.write(content.getvalue())
        file.flush()
        engine.docker_ok("import", file.name, "trapped")
    return "trapped"


def enters(call: TracedCall) -> bool:
    """Whether a call moved its process into another root."""
    if call.has_failed:
        return False
    if call.name == "setns":
        return _MNT.search(call.arguments) is not None
    return call.name in ("pivot_root", "chroot")


def foreign_code(calls: Iterable[TracedCall]) -> list[str]:
    """Code that was opened or executed by a process between its entering a container's root
    and its becoming the container's program."""
    inside: set[int] = set()
    found = []
    for call in calls:
        if call.name.startswith("execve"):
            inside.discard(call.pid)
        elif enters(call):
            inside.add(call.pid)
        elif call.pid in inside and _CODE.search(call.arguments):
            found.append(call.line[:300])
    return found


def work(engine: Engine, directory: Path) -> int:
    """What an engine does to a container; how many operations."""
    file = directory / "file"
    file.write_text("x")
    poison = ("-e", "LD_PRELOAD=/usr/lib/libffi.so.8", "-e", "PYTHONPATH=/usr/lib/python3.11",
              "-e", "PYTHONSTARTUP=/usr/lib/python3.11/colorsys.py")  # fmt: skip
    flags = ("-d", "--name", "trap", "-u", "bob:staff", *poison)
    operations: tuple[tuple[str, ...], ...] = (
        ("run", *flags, "trapped", "/bin/sleep", "1000"),
        ("exec", "trap", "/bin/true"),
        ("exec", "-u", "bob", "trap", "/bin/true"),
        ("top", "trap"),
        ("cp", str(file), "trap:/tmp-file"),
        ("cp", "trap:/etc/passwd", str(directory / "out")),
        ("diff", "trap"),
        ("stats", "--no-stream", "trap"),
        ("logs", "trap"),
        ("commit", "trap", "trapped-too"),
        ("export", "-o", str(directory / "export.tar"), "trap"),
        ("restart", "-t", "0", "trap"),
        ("run", "--rm", "--init", "--tmpfs", "/scratch", "-h", "named", "trapped", "/bin/true"),
    )
    done = 0
    for words in operations:
        ran = engine.docker(*words)
        if "does not have this yet" in ran.stderr:
            continue  # somebody is still building it
        assert ran.returncode == 0, (words, ran.stderr)
        done += 1
    return done


def outcome(engine: Engine, directory: Path) -> tuple[int, list[str], list[str]]:
    """Operations, foreign opens, canaries."""
    trapped_image(engine)
    with traced([engine.pid, *engine.spawners()], CALLS) as trace:
        done = work(engine, directory)
        calls = trace.calls()
    listing = "ls -d /canary* 2>/dev/null; :"
    canaries = engine.docker_ok("exec", "-u", "0", "trap", "/bin/sh", "-c", listing)
    engine.docker_ok("rm", "-f", "trap")
    assert any(call.name == "pivot_root" for call in calls), "the trace saw no start"
    return done, foreign_code(calls), canaries.split()


@pytest.mark.stock_differs
def test_nothing_foreign_is_loaded(
    fresh_engine: Engine, tmp_path: Path, figure: list[str]
) -> None:
    """Whatever is done to the container, no trap of its image is opened or sprung."""
    done, opened, canaries = outcome(fresh_engine, tmp_path)
    figure.append(f"{done} operations, {len(opened)} foreign opens, {len(canaries)} canaries")
    assert (opened, canaries) == ([], [])
    assert done >= 9


@pytest.mark.stock_differs
def test_no_environment_of_the_image(fresh_engine: Engine) -> None:
    """PY7: no process of the engine has a variable of the image's."""
    flags = ("-e", "LD_PRELOAD=/evil.so", "-e", "PYTHONPATH=/evil", "-e", "PATH=/evil:/bin")
    fresh_engine.docker_ok("run", "-d", *flags, "busybox", "/bin/sleep", "1000")
    container = fresh_engine.docker_ok("ps", "-q")
    own = subprocess.run(["docker", "exec", container, "/bin/true"], check=False,
                         env=fresh_engine.environment)  # fmt: skip
    assert own.returncode == 0
    inside = fresh_engine.container_pid(container)
    for pid in fresh_engine.machine.processes():
        if pid != inside and os.path.exists(f"/proc/{pid}/environ"):
            assert b"evil" not in Path(f"/proc/{pid}/environ").read_bytes()


MUTANT = Mutant(
    "a module is imported after the root has changed",
    "runtime/child.py",
    '    """Who the program runs as. Raises: AccountNotFound."""\n',
    '    """Who the program runs as."""\n    import colorsys\n',
)
UNGUARDED = Mutant(
    "imports after the fork are not refused",
    "shim/imports.py",
    "    sys.meta_path[:] = [_NoImports()]\n",
    "",
)


def test_foreign_code_mutant(tmp_path: Path, figure: list[str]) -> None:
    """A late import is looked for in the container, and found there."""
    with mutated_engine(MUTANT, UNGUARDED) as engine:
        _done, opened, canaries = outcome(engine, tmp_path)
    figure.append(f"killed: {MUTANT.name} ({len(opened)} opens, {len(canaries)} canaries)")
    assert opened
