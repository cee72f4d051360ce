"""A thin pool of the device mapper: block devices that share their blocks until one is written.

A pool knows its devices by number, and forgets none over a reboot. To be read, a device is
*activated*: it gets a name, which lasts until it is deactivated or the machine goes down. A
snapshot of a device is another device, made at once whatever its size
(Documentation/admin-guide/device-mapper/thin-provisioning.rst).

    thin-pool/data, metadata   sparse files on loop devices, where nobody brought a pool
    thin-pool/base/device      the empty file system that all others begin as
    DIRECTORY/device           which device a directory of ours stands for

A pool without room holds writes back until it has some, for a minute; then they fail.

A record is written before its device is made and removed after it is gone, so whatever a crash
leaves in the pool is found by its record. The pool is this engine's alone: it chooses numbers.
"""

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from wherry.kit.atomic_files import write_durably
from wherry.kit.byte_sizes import human_size, parse_size
from wherry.kit.values import dataclass
from wherry.model.errors import StateUnreadable
from wherry.operations.files.held_mounts import HoldDevice
from wherry.operations.files.mounts import held_tree
from wherry.operations.plan import Hands
from wherry.snapshots.performing import perform

SECTOR = 512
_BLOCK_SECTORS = 128
_METADATA_BLOCK = 4096
_RECORD = "device"
_FILESYSTEMS = {
    "ext4": ("mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"),
    "xfs": ("mkfs.xfs", "-q"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """What `--storage-opt dm.NAME=` says of a pool."""

    pool: str = ""
    """A thin pool that is there; empty: one on loop files."""
    base_bytes: int = 10 << 30
    """The size of the file system of a container that asks for no other."""
    filesystem: str = "ext4"
    data_bytes: int = 100 << 30
    """What the loop files may grow to."""
    metadata_bytes: int = 2 << 30

    @staticmethod
    def read(options: Mapping[str, str]) -> "PoolOptions":
        """Raises: ValueError that names the option."""
        words = {"dm.thinpooldev": "pool", "dm.fs": "filesystem"}
        sizes = {
            "dm.basesize": "base_bytes",
            "dm.loopdatasize": "data_bytes",
            "dm.loopmetadatasize": "metadata_bytes",
        }
        given: dict[str, str | int] = {}
        for name, value in options.items():
            if name in words:
                given[words[name]] = value
            elif name in sizes:
                try:
                    given[sizes[name]] = parse_size(value)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from error
            else:
                raise ValueError(f"devmapper: Unknown option {name}")
        if given.get("filesystem", "ext4") not in _FILESYSTEMS:
            raise ValueError(f"devmapper: Unsupported filesystem type {options['dm.fs']}")
        return PoolOptions(**given)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinDevice:
    """A device of a pool, active or not."""

    number: int
    size_bytes: int

    @property
    def sectors(self) -> int:
        """Its size as tables have it."""
        return self.size_bytes // SECTOR


class ThinPool:
    """One pool, active; every method may be called from any thread."""

    def __init__(self, directory: str, options: PoolOptions) -> None:
        """Find or make the pool, with its base. Raises: StateUnreadable."""
        self._directory = directory
        self._options = options
        self._lock = threading.Lock()
        self._taken = 0
        self.filesystem = options.filesystem
        try:
            _require_kernel()
            if options.pool:
                _require_pool(options.pool)
            os.makedirs(f"{directory}/base", mode=0o700, exist_ok=True)
            state = os.stat(directory)
            place = f"{os.major(state.st_dev)}:{os.minor(state.st_dev)}-{state.st_ino}"
            self.prefix = f"wherry-{place}"
            """What the names of its devices begin with: as Docker's, by the place of the data."""
            self.name = os.path.basename(options.pool) or f"{self.prefix}-pool"
            with ExitStack() as undo:
                self._open(undo)
                self.base = self._made_base()
                undo.pop_all()
        except OSError as error:
            raise StateUnreadable(
                directory, f"error initializing graphdriver: devicemapper: {error.strerror}"
            ) from error

    # -- devices -----------------------------------------------------------------------------

    def record(self, directory: str) -> ThinDevice | None:
        """The device that a directory stands for; None for none."""
        try:
            with open(f"{directory}/{_RECORD}") as file:
                device = ThinDevice(**json.load(file))
        except (FileNotFoundError, NotADirectoryError):
            return None
        self._taken = max(self._taken, device.number)
        return device

    def snapshot(self, directory: str, origin: ThinDevice, size_bytes: int = 0) -> ThinDevice:
        """A device with the content of one that is not active; a directory stands for it.

        Raises: OSError.
        """
        while True:
            with self._lock:
                self._taken += 1
                number = self._taken
            device = ThinDevice(number=number, size_bytes=size_bytes or origin.size_bytes)
            _write_record(directory, device)
            try:
                self._tell(f"create_snap {number} {origin.number}")
            except OSError as error:
                if "File exists" in str(error.strerror):
                    continue
                raise
            return device

    def drop(self, directory: str) -> bool:
        """Remove the device of a directory and its record; False for none. Raises: OSError."""
        device = self.record(directory)
        if device is None:
            return False
        self.deactivate(device)
        self._delete(device.number)
        os.unlink(f"{directory}/{_RECORD}")
        return True

    def device_name(self, device: ThinDevice) -> str:
        """Its name while it is active."""
        return f"{self.prefix}-{device.number}"

    def path(self, device: ThinDevice) -> str:
        """Where it is while it is active."""
        return f"/dev/mapper/{self.device_name(device)}"

    def activate(self, device: ThinDevice) -> str:
        """Have it read and written at its path; it may be active already. Raises: OSError."""
        path = self.path(device)
        if not _is_active(self.device_name(device)):
            table = f"0 {device.sectors} thin /dev/mapper/{self.name} {device.number}"
            _dmsetup("create", self.device_name(device), "--table", table)
        return path

    @contextmanager
    def mounted(self, device: ThinDevice) -> Iterator[str]:
        """A path of its files, in no namespace; it is as active afterwards as before.

        Raises: StepFailed; OSError.
        """
        was_active = _is_active(self.device_name(device))
        hands = Hands()
        try:
            hold = HoldDevice(
                device=self.activate(device),
                filesystem=self.filesystem,
                why="the engine looks at the files of a snapshot",
            )
            perform(hold, hands=hands)
            # Programs that the engine runs see it, too; the dot is no link.
            yield f"/proc/{os.getpid()}/fd/{hands.get(held_tree('/'))}/."
        finally:
            hands.close()
            if not was_active:
                self.deactivate(device)

    def grow(self, device: ThinDevice) -> None:
        """Let the file system of an active device have all of it. Raises: OSError."""
        path = self.path(device)
        if self.filesystem == "xfs":
            mount = 'mount -t xfs -o nouuid "$0" /mnt && xfs_growfs -d /mnt'
            _run("unshare", "--mount", "sh", "-c", mount, path)
        else:
            _run("resize2fs", "-f", path)

    def deactivate(self, device: ThinDevice) -> None:
        """Take its name away. Raises: OSError while somebody has it mounted."""
        if _is_active(self.device_name(device)):
            # A container's mounts go a moment after its last process.
            _dmsetup("remove", "--retry", self.device_name(device))

    # -- the whole ---------------------------------------------------------------------------

    def status(self) -> tuple[tuple[str, str], ...]:
        """Docker's lines of `docker info`."""
        words = _dmsetup("status", self.name).split()
        metadata, data = (
            tuple(int(number) * unit for number in words[at].split("/"))
            for at, unit in ((4, _METADATA_BLOCK), (5, _BLOCK_SECTORS * SECTOR))
        )
        lines = [
            ("Pool Name", self.name),
            ("Pool Blocksize", human_size(_BLOCK_SECTORS * SECTOR)),
            ("Base Device Size", human_size(self.base.size_bytes)),
            ("Backing Filesystem", self.filesystem),
        ]
        for name, (used, total) in (("Data", data), ("Metadata", metadata)):
            lines += [
                (f"{name} Space Used", human_size(used)),
                (f"{name} Space Total", human_size(total)),
                (f"{name} Space Available", human_size(total - used)),
            ]
        if not self._options.pool:
            lines += [
                (f"{name} loop file", f"{self._directory}/{name.lower()}")
                for name in ("Data", "Metadata")
            ]
        return tuple(lines)

    # -- inside ------------------------------------------------------------------------------

    def _open(self, undo: ExitStack) -> None:
        """Put the pool on loop files, unless it is there."""
        if not self._options.pool and not _is_active(self.name):
            with ExitStack() as loops:
                metadata = self._loop("metadata", self._options.metadata_bytes, loops)
                data = self._loop("data", self._options.data_bytes, loops)
                with open(data, "rb") as device:
                    sectors = device.seek(0, os.SEEK_END) // SECTOR
                devices = f"{metadata} {data} {_BLOCK_SECTORS}"
                table = f"0 {sectors} thin-pool {devices} 0 1 skip_block_zeroing"
                _dmsetup("create", self.name, "--table", table)
            undo.callback(_dmsetup, "remove", self.name)

    def _loop(self, name: str, size_bytes: int, undo: ExitStack) -> str:
        """A loop device of a file; let go of while it is in use, it goes when the pool does."""
        path = f"{self._directory}/{name}"
        if not os.path.exists(path):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.truncate(size_bytes)
        loop = _run("losetup", "--find", "--show", "--nooverlap", path).strip()
        undo.callback(_run, "losetup", "--detach", loop)
        return loop

    def _made_base(self) -> ThinDevice:
        """The base, formatted unless a record says that it is."""
        place, wanted = f"{self._directory}/base", self._options.base_bytes
        base = self.record(place)
        if base is None:
            base = ThinDevice(number=0, size_bytes=wanted)
            self.deactivate(base)
            self._delete(base.number)
            self._tell(f"create_thin {base.number}")
            path = self.activate(base)
            _run(*_FILESYSTEMS[self.filesystem], path)
            with self.mounted(base) as root, suppress(FileNotFoundError):
                os.rmdir(f"{root}/lost+found")
            self.deactivate(base)
            _write_record(place, base)
        return base

    def _delete(self, number: int) -> None:
        try:
            self._tell(f"delete {number}")
        except OSError as error:
            if "No data available" not in str(error.strerror):
                raise

    def _tell(self, message: str) -> None:
        _dmsetup("message", self.name, "0", message)


def _write_record(directory: str, device: ThinDevice) -> None:
    content = {"number": device.number, "size_bytes": device.size_bytes}
    write_durably(f"{directory}/{_RECORD}", json.dumps(content).encode())


def _require_kernel() -> None:
    """Raises: OSError where the kernel has no thin pools."""
    with suppress(OSError):
        # Nobody asks for the modules before a table names them. They may be built in.
        _run("modprobe", "-a", "-q", "dm-thin-pool", "loop")
    if not os.path.exists("/dev/mapper/control") or "thin-pool" not in _dmsetup("targets"):
        raise OSError(0, "driver not supported: this kernel has no thin pools (dm-thin-pool)")


def _require_pool(device: str) -> None:
    """Raises: OSError where it is no thin pool."""
    try:
        status = _dmsetup("status", os.path.basename(device))
    except OSError:
        status = ""
    if " thin-pool " not in status:
        raise OSError(0, f"dm.thinpooldev: {device} is no thin pool")


def _is_active(name: str) -> bool:
    """Whether the kernel has a device of that name; a file in /dev may be of an earlier one."""
    try:
        number = os.stat(f"/dev/mapper/{name}").st_rdev
        place = f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/dm/name"
        with open(place) as file:
            return file.read().strip() == name
    except OSError:
        return False


def _dmsetup(command: str, *arguments: str) -> str:
    # Not every machine has udev: the tool itself sees to the names in /dev/mapper.
    changes = ("--noudevsync", "--verifyudev") if command in ("create", "remove") else ()
    return _run("dmsetup", command, *changes, *arguments)


def _run(*command: str) -> str:
    """What a program of the host says. Raises: OSError with what went wrong."""
    try:
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={"PATH": f"{os.defpath}:/usr/sbin:/sbin", "LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError as error:
        raise OSError(0, f"the program {command[0]} is not installed") from error
    if ran.returncode:
        said = ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"]
        raise OSError(0, f"{command[0]}: {said[0]}")
    return ran.stdout
