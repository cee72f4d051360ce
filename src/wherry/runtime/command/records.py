"""What is remembered of a container between two commands: a directory for each.

    ROOT/ID/state.json    who its process is, its cgroups, when it was made
    ROOT/ID/config.json   its configuration as it was at `create`
    ROOT/ID/start.sock    the gate that its process waits at, until `start`

A container is what its process is: there is no status on disk that could be wrong. A process is
known by its pid and the time that it began, because the kernel gives pids again.
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from wherry.kit.atomic_files import write_atomically
from wherry.kit.values import dataclass
from wherry.linux import cgroups
from wherry.linux.files import remove_tree
from wherry.linux.mounts import closing
from wherry.oci import json_fields, runtime_json
from wherry.oci.runtime_spec import VERSION, RuntimeSpec
from wherry.oci.shapes import Shape, flag, number, text, texts, texts_by_name
from wherry.runtime.attending import ContainerFacts

_ID = re.compile(r"[A-Za-z0-9_+.-]+", re.ASCII)
_NUMBER = (0, (1 << 63) - 1)


class CommandFailed(Exception):
    """A command can't be done; the text says why, in runc's words where it has some."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NotRunning(CommandFailed):
    """A container's process has ended."""

    def __init__(self) -> None:
        super().__init__("container not running")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A container, as the state directory has it."""

    container_id: str
    bundle: str
    rootfs: str
    pid: int
    start_time: int
    """Of the process, in clock ticks since boot (/proc/PID/stat, field 22)."""
    created: str
    cgroup_paths: tuple[str, ...]
    has_pid_namespace: bool
    annotations: Mapping[str, str]

    @property
    def facts(self) -> ContainerFacts:
        """What others are told of it."""
        return ContainerFacts(
            container_id=self.container_id, bundle=self.bundle, annotations=self.annotations
        )


_RECORD = Shape(
    Record,
    container_id=text("id"),
    bundle=text(),
    rootfs=text(),
    pid=number(_NUMBER, "init_process_pid"),
    start_time=number(_NUMBER, "init_process_start"),
    created=text(),
    cgroup_paths=texts("cgroup_paths"),
    has_pid_namespace=flag("has_pid_namespace"),
    annotations=texts_by_name(),
)


class StateDirectory:
    """The containers below one root."""

    def __init__(self, root: str) -> None:
        self.root = root

    def directory(self, container_id: str) -> str:
        """A container's own directory. Raises: CommandFailed for what is no id."""
        if not _ID.fullmatch(container_id) or container_id in (".", ".."):
            raise CommandFailed("invalid container ID format")
        return f"{self.root}/{container_id}"

    def claim(self, container_id: str) -> str:
        """Make a container's directory. Raises: CommandFailed when there is one."""
        directory = self.directory(container_id)
        os.makedirs(self.root, 0o700, exist_ok=True)
        try:
            os.mkdir(directory, 0o711)
        except FileExistsError:
            raise CommandFailed("container with given ID already exists") from None
        return directory

    def write(self, record: Record) -> None:
        """Remember a container. Raises: OSError."""
        members = {"ociVersion": VERSION, **_RECORD.to_json(record)}
        path = f"{self.directory(record.container_id)}/state.json"
        write_atomically(path, json.dumps(members).encode())

    def read(self, container_id: str) -> Record:
        """A container by its id. Raises: CommandFailed when there is none."""
        try:
            with open(f"{self.directory(container_id)}/state.json", "rb") as file:
                return _RECORD.read(json_fields.parse(file.read()))
        except FileNotFoundError:
            raise CommandFailed("container does not exist") from None

    def read_spec(self, container_id: str) -> RuntimeSpec:
        """A container's configuration. Raises: CommandFailed; OSError; ValueError."""
        with open(f"{self.directory(container_id)}/config.json", "rb") as file:
            return runtime_json.decode(file.read())

    def all(self) -> Iterator[Record]:
        """Every container, by id."""
        try:
            names = sorted(os.listdir(self.root))
        except FileNotFoundError:
            return
        for name in names:
            try:
                yield self.read(name)
            except (CommandFailed, OSError, ValueError):
                continue

    def forget(self, container_id: str) -> None:
        """Remove what is remembered of a container. Raises: OSError."""
        directory = self.directory(container_id)
        opened = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(opened, os.path.basename(directory))
        finally:
            os.close(opened)

    def gate(self, container_id: str) -> str:
        """Where a created container's process waits."""
        return f"{self.directory(container_id)}/start.sock"


def process_start(pid: int) -> int | None:
    """When a process began, in ticks since boot; None for one that has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(record: Record) -> bool:
    """Whether the container's process 1 has not ended."""
    return process_start(record.pid) == record.start_time


@contextmanager
def living(record: Record) -> Iterator[int]:
    """A pidfd of the container's process 1, and of no other that got its pid.

    Raises: NotRunning.
    """
    try:
        pidfd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        raise NotRunning from None
    with closing(pidfd):
        if not is_alive(record):
            raise NotRunning
        yield pidfd


def status_of(state: StateDirectory, record: Record) -> str:
    """`created`, `running`, `paused` or `stopped`."""
    if not is_alive(record):
        return "stopped"
    if _is_gate(state.gate(record.container_id)):
        return "created"
    return "paused" if is_frozen(record.cgroup_paths) else "running"


def is_frozen(cgroup_paths: tuple[str, ...]) -> bool:
    """Whether the container's processes are stopped by the freezer."""
    for path in cgroup_paths:
        for name, frozen in (("freezer.state", "FROZEN"), ("cgroup.freeze", "1")):
            try:
                if cgroups.read_text(path, name) == frozen:
                    return True
            except OSError:
                continue
    return False


def _is_gate(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
