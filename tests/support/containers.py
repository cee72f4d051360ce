"""Real containers made straight from the runtime, without an engine: for its kernel tests.

`contained` forks a process that takes the shim's place: the runtime changes the namespaces of
whoever calls it. What the container writes comes back through a pipe, what the runtime says of
it as a small JSON document.
"""

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wherry.oci.runtime_spec import (
    Capabilities,
    DeviceRule,
    Linux,
    Mount,
    Namespace,
    Process,
    Resources,
    RootfsMount,
    RuntimeSpec,
)
from wherry.operations.journal import to_json
from wherry.operations.plan import Journal
from wherry.operations.render import look
from wherry.runtime.container import (
    CreateFailed,
    CreateRequest,
    InitProcess,
    cgroup_directories,
    create,
    destroy,
)
from wherry.runtime.machine import Machine

BUSYBOX = "/bin/busybox"
APPLETS = (
    "sh", "true", "false", "id", "ls", "cat", "mount", "sleep", "echo", "pwd", "env", "hostname",
    "tty", "stat", "grep", "readlink", "mkdir", "mknod", "dd", "touch", "chmod", "wc", "stty",
    "umask", "ps", "kill", "rm", "ln", "sort", "head", "tail", "ip",
)  # fmt: skip

CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
    "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
)  # fmt: skip
DEFAULT_MOUNTS = (
    Mount(destination="/proc", type="proc", source="proc", options=("nosuid", "noexec", "nodev")),
    Mount(
        destination="/dev",
        type="tmpfs",
        source="tmpfs",
        options=("nosuid", "strictatime", "mode=755", "size=65536k"),
    ),
    Mount(
        destination="/dev/pts",
        type="devpts",
        source="devpts",
        options=("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    ),
    Mount(
        destination="/sys",
        type="sysfs",
        source="sysfs",
        options=("nosuid", "noexec", "nodev", "ro"),
    ),
    Mount(
        destination="/sys/fs/cgroup",
        type="cgroup",
        source="cgroup",
        options=("ro", "nosuid", "noexec", "nodev"),
    ),
    Mount(
        destination="/dev/shm",
        type="tmpfs",
        source="shm",
        options=("nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
    ),
)
MASKED_PATHS = (
    "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/timer_list",
    "/sys/firmware", "/proc/scsi",
)  # fmt: skip
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
DEVICE_RULES = (
    DeviceRule(allow=False),
    *(
        DeviceRule(allow=True, type="c", major=major, minor=minor)
        for major, minor in ((1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1))
    ),
    DeviceRule(allow=False, type="c", major=10, minor=229),
)
NAMESPACES = tuple(
    Namespace(type=kind) for kind in ("mount", "network", "uts", "pid", "ipc", "time", "cgroup")
)


@dataclass(slots=True)
class Outcome:
    """What came of a container."""

    status: int | None
    """Exit status of its process 1; None when it never was one."""
    output: str
    failure: tuple[str, str, str] | None
    """Kind, message and program of CreateFailed."""
    journal: list[dict[str, Any]]
    problems: list[str]
    """What `destroy` could not remove."""
    left: list[str]
    """Its cgroups that are still there afterwards."""
    notes: Any = None
    """What the test's own function returned."""


@dataclass(slots=True)
class Box:
    """A root file system in a temporary directory, and a container's worth of defaults."""

    directory: Path
    name: str
    spec: RuntimeSpec = field(init=False)

    def __post_init__(self) -> None:
        layer = self.directory / "layer"
        for part in ("bin", "etc", "proc", "sys", "dev", "tmp", "bundle"):
            (layer / part if part != "bundle" else self.directory / part).mkdir(
                parents=True, exist_ok=True
            )
        (layer / "tmp").chmod(0o1777)
        shutil.copy(BUSYBOX, layer / "bin/busybox")
        for applet in APPLETS:
            (layer / "bin" / applet).symlink_to("busybox")
        (layer / "etc/passwd").write_text(
            "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n"
        )
        (layer / "etc/group").write_text("root:x:0:\nwheel:x:10:root,bob\nbob:x:1000:\n")
        for each in ("upper", "work"):
            (self.directory / each).mkdir()
        self.spec = default_spec(self.name)

    @property
    def layer(self) -> Path:
        """The read-only layer: what an image's author wrote."""
        return self.directory / "layer"

    def rootfs(self, *lower: str) -> RootfsMount:
        """The layers and the writable directory."""
        return RootfsMount(
            type="overlay",
            directory=str(self.directory),
            lower=(*lower, "layer"),
            upper="upper",
            work="work",
        )

    def fresh_rootfs(self) -> RootfsMount:
        """The same layers below an empty writable directory: for a second container."""
        number = len(list(self.directory.iterdir()))
        for each in ("upper", "work"):
            (self.directory / f"{each}{number}").mkdir()
        return replace(self.rootfs(), upper=f"upper{number}", work=f"work{number}")

    def runs(
        self,
        *args: str,
        process: Mapping[str, Any] | None = None,
        linux: Mapping[str, Any] | None = None,
        mounts: tuple[Mount, ...] = (),
        meanwhile: Callable[[InitProcess], Any] | None = None,
        machine: Machine | None = None,
        readonly: bool = False,
        **request: Any,
    ) -> Outcome:
        """Run a command to its end; `meanwhile` is called once it runs, in the shim's place.

        A process that is to be looked at should end by itself only after `meanwhile`: it is
        killed then.
        """
        spec = replace(
            self.spec,
            process=replace(self.spec.process, args=args, **(process or {})),
            linux=replace(self.spec.linux, **(linux or {})),
            mounts=(*self.spec.mounts, *mounts),
            root=replace(self.spec.root, readonly=readonly),
        )
        request.setdefault("rootfs", self.rootfs())
        request.setdefault("user", "")
        return _in_a_process(
            lambda output: _life(
                CreateRequest(
                    container_id=self.name,
                    bundle=str(self.directory / "bundle"),
                    spec=spec,
                    stdio=None if spec.process.terminal else (output, output, output),
                    **request,
                ),
                meanwhile,
                machine,
            )
        )


def default_spec(name: str) -> RuntimeSpec:
    """Docker's defaults, in a cgroup of the tests' own."""
    return RuntimeSpec(
        process=Process(
            args=("true",),
            env=("PATH=/usr/bin:/bin",),
            capabilities=Capabilities(
                bounding=CAPABILITIES, effective=CAPABILITIES, permitted=CAPABILITIES
            ),
        ),
        hostname="box",
        mounts=DEFAULT_MOUNTS,
        linux=Linux(
            namespaces=NAMESPACES,
            cgroups_path=f"/wherry-runtime-test/{name}",
            masked_paths=MASKED_PATHS,
            readonly_paths=READ_ONLY_PATHS,
            resources=Resources(devices=DEVICE_RULES),
        ),
    )


def _life(
    request: CreateRequest, meanwhile: Callable[[InitProcess], Any] | None, machine: Machine | None
) -> dict[str, Any]:
    """A container from create to destroy."""
    try:
        init = create(request, machine)
        init.start()
    except CreateFailed as error:
        return {
            "failure": (error.kind, error.message, error.program),
            "journal": to_json(error.journal),
            "left": _left(error.journal),
        }
    notes = None
    if meanwhile is not None:
        notes = meanwhile(init)
        os.kill(init.pid, 9)
    if init.console is not None and meanwhile is None:
        notes = _drained(init.console)
    _, status = os.waitpid(init.pid, 0)
    problems = destroy(init.journal)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "journal": to_json(init.journal),
        "problems": problems,
        "left": _left(init.journal),
        "notes": notes,
    }


def findings(init: InitProcess) -> list[tuple[str, str, str]]:
    """Kind, verdict and sight of each step of a living container."""
    return [
        (entry.operation.kind, finding.verdict.value, finding.seen)
        for entry, finding in zip(init.journal, look(init.journal), strict=True)
    ]


def _left(journal: Journal) -> list[str]:
    return [path for path in cgroup_directories(journal) if os.path.exists(path)]


def _drained(console: int) -> str:
    """What a terminal shows until its last process closes it (then reading gives EIO)."""
    shown = b""
    while True:
        try:
            chunk = os.read(console, 4096)
        except OSError:
            return shown.decode(errors="replace")
        if not chunk:
            return shown.decode(errors="replace")
        shown += chunk


def _in_a_process(work: Callable[[int], dict[str, Any]]) -> Outcome:
    """Run `work` in a fork; its argument is where the container writes to."""
    output = os.memfd_create("output")
    try:
        document = run_in_fork(lambda: work(output))
        written = os.pread(output, 1 << 24, 0).decode(errors="replace")
    finally:
        os.close(output)
    failure = document.get("failure")
    return Outcome(
        status=document.get("status"),
        output=written,
        failure=None if failure is None else tuple(failure),
        journal=document["journal"],
        problems=document.get("problems", []),
        left=document["left"],
        notes=document.get("notes"),
    )


def run_in_fork(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run `work` in a process of its own, and return what it returns."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(read)
            said = json.dumps(work()).encode()
            while said:
                said = said[os.write(write, said) :]
            status = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.close(write)
    with open(read, "rb") as file:
        answer = file.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, "the process in the shim's place failed; its traceback is on stderr"
    document: dict[str, Any] = json.loads(answer)
    return document
