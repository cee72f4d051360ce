"""A virtual machine with another kernel, for what the kernel here does not have.

Debian's kernel brings version 2 cgroups with all controllers, AppArmor that enforces, and real
memory limits of its own. It runs emulated (no /dev/kvm is needed), on this machine's own file
system: read-only by 9p, with a tmpfs above it, so that a guest can neither change the host nor
leave anything. Prepared by `scripts/prepare-vm.sh`.

    host  tests ──qemu──▶ initramfs-init.sh ──switch_root──▶ guest-init.sh ──▶ the work
          verdict ◀────────────── serial line: GUEST: RUN-RC n ◀───────────────────┘

The guest is 5 to 30 times slower than the host: give it time, and expect nothing to be quick.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PREPARED = REPOSITORY / ".work" / "vm"
_KERNEL_WORDS = (
    "console=ttyS0 panic=-1 quiet loglevel=3 reboot=t mitigations=off random.trust_cpu=on "
    "apparmor=1 security=apparmor systemd.unified_cgroup_hierarchy=1"
)
_VERDICT = re.compile(r"^GUEST: RUN-RC ([0-9]+)\r?$", re.MULTILINE)
_UP = re.compile(r"^GUEST: up after ([0-9.]+) s\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a guest said of its work."""

    status: int | None
    """Exit status of the work; None when the guest ended, or was ended, before saying it."""
    up_after_s: float | None
    """How long the guest's kernel and initramfs took, by its own clock."""
    output: str
    """All that came over the serial line."""


def prepare() -> None:
    """Fetch and unpack what the guest boots, unless it is there. Raises: CalledProcessError."""
    subprocess.run([REPOSITORY / "scripts" / "prepare-vm.sh"], check=True, timeout=600)


def run_in_vm(
    work: str,
    *,
    timeout_s: float,
    memory_mib: int = 1024,
    hears: Callable[[str], None] = lambda _line: None,
) -> Verdict:
    """Boot, run a shell command as root in the checkout, and end the guest.

    `hears` is told each line as it comes. The guest is killed after `timeout_s`.
    """
    with _stage2(work) as stage2:
        qemu = subprocess.Popen(
            _command(stage2, memory_mib),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # Qemu itself is killed: a shell or `timeout` around it would be killed alone.
        ending = threading.Timer(timeout_s, qemu.kill)
        ending.start()
        lines = []
        try:
            assert qemu.stdout is not None
            for line in qemu.stdout:
                lines.append(line.decode(errors="replace"))
                hears(lines[-1].rstrip())
                if _VERDICT.match(lines[-1]):
                    break
        finally:
            ending.cancel()
            qemu.kill()
            qemu.wait()
    return verdict_of("".join(lines))


def verdict_of(output: str) -> Verdict:
    """Read the guest's verdict out of what came over the serial line; the last one counts."""
    up = _UP.search(output)
    verdicts = _VERDICT.findall(output)
    return Verdict(
        status=int(verdicts[-1]) if verdicts else None,
        up_after_s=float(up.group(1)) if up else None,
        output=output,
    )


@contextlib.contextmanager
def _stage2(work: str) -> Iterator[Path]:
    """A script in the checkout (the guest's /tmp is its own) that hands the work on."""
    runs = PREPARED / "runs"
    runs.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(dir=runs))
    script = directory / "stage2.sh"
    init = REPOSITORY / "tests" / "vm" / "guest-init.sh"
    script.write_text(f"export WORK={shlex.quote(work)}\nexec /bin/sh {shlex.quote(str(init))}\n")
    try:
        yield script
    finally:
        shutil.rmtree(directory)


def _command(stage2: Path, memory_mib: int) -> list[str]:
    return [
        "qemu-system-x86_64",
        *("-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"),
        *("-m", str(memory_mib), "-smp", "2"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-kernel", str(PREPARED / "kernel" / "vmlinux")),
        *("-initrd", str(PREPARED / "initramfs.gz")),
        *("-append", f"{_KERNEL_WORDS} stage2={stage2}"),
        # All mounts of the host come along; without `remap` their inode numbers would clash.
        *("-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=host,mount_tag=host"),
        *("-drive", f"file={PREPARED / 'disk.raw'},format=raw,if=none,id=disk,snapshot=on"),
        *("-device", "virtio-blk-pci,drive=disk"),
    ]


def is_possible() -> str | None:
    """Why no guest can be booted here, or None when it can."""
    return None if os.uname().machine == "x86_64" else "this host has no x86-64 processor"
