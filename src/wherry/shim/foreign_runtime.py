"""Another OCI runtime (runc, crun, runsc) in the place of ours, behind the same face.

    shim                                     runtime
    a mount namespace of its own
    the root, mounted at BUNDLE/rootfs
    config.json: user as numbers, init
    create --bundle BUNDLE ID        ----->  a parked first process, whose parent goes away
    (subreaper: it becomes our child)
    start ID                         ----->  it runs its program
    exec --process FILE --detach ID  ----->  one more process, ours in the same way
    delete --force ID                ----->  nothing is left

So whatever made the container, its processes are children of the shim, its output goes through
the shim's pipes, and its log, its end and its exec sessions are the same to everybody else. The
root is mounted in a mount namespace that ends with this process: nothing of it is left on the
host.
"""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress

from wherry.kit.values import dataclass, replace
from wherry.linux.cgroups import CgroupLayout
from wherry.linux.mounts import closing
from wherry.linux.process import set_child_subreaper
from wherry.linux.sockets import bind_at
from wherry.oci import runtime_json
from wherry.oci.runtime_spec import Mount, Process, RootfsMount
from wherry.operations.files.mounts import ROOT
from wherry.operations.files.nodes import MakeDirectory
from wherry.operations.files.roots import SetPropagation
from wherry.operations.plan import (
    Hands,
    Journal,
    Operation,
    OperationFailed,
    execute,
    explain_error,
    undo,
)
from wherry.operations.processes.foreign_runtime import (
    PIDFD,
    CreateByRuntime,
    RuntimeMissing,
    RuntimeRefused,
    run,
)
from wherry.operations.processes.namespaces import Unshare
from wherry.operations.processes.terminals import STDIO
from wherry.runtime import accounts, signals
from wherry.runtime.accounts import AccountNotFound
from wherry.runtime.container import CreateFailed, CreateRequest
from wherry.runtime.joining import JoinRequest
from wherry.runtime.machine import this_machine
from wherry.runtime.mount_options import mount_words
from wherry.runtime.mount_plan import INIT_IN_CONTAINER, mount_operations
from wherry.runtime.root_plan import whole_root
from wherry.shim.faces import Living
from wherry.shim.protocol import CONFIG_NAME, ForeignRuntimeChoice

_CONSOLE_NAME = "console.sock"
_OLDEST_VERSION = "1.0.2"
"""What all of them read; members that they don't know they pass over."""
_PROCESS_NAME = "process.json"
_CONSOLE_TIMEOUT_S = 10
_ROOT_NAME = "rootfs"
_MOUNTS_NAME = "mounts"
_PROGRAM_PROBLEM = re.compile(
    r'exec: "(?P<program>[^"]*)": (?P<reason>executable file not found in \$PATH'
    r"|stat [^:]*: no such file or directory|no such file or directory|permission denied"
    r"|is a directory)"
)
_CRUN_MISSING = re.compile(
    r"executable file `(?P<program>[^`]*)` not found(?P<reason> in \$PATH)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProcess:
    """A process of the container that the runtime made and we adopted."""

    pid: int
    pidfd: int
    console: int | None


class ForeignInit:
    """A container's first process, parked by its runtime."""

    def __init__(
        self, process: ForeignProcess, operation: CreateByRuntime, journal: Journal, name: str
    ) -> None:
        self.pid, self.pidfd, self.console = process.pid, process.pidfd, process.console
        self.journal = journal
        self._operation = operation
        self._name = name

    def start(self) -> None:
        """Let it run its program. Raises: CreateFailed; then nothing is left."""
        operation = self._operation
        try:
            run(operation.command, operation.bundle, ("start", operation.container_id))
        except (RuntimeRefused, OSError) as error:
            self.discard()
            raise _create_failed(self._name, error, self.journal) from error

    def discard(self) -> None:
        """Have the runtime delete it, and reap it."""
        undo(self.journal, Hands())
        _end(self.pid, self.pidfd)
        if self.console is not None:
            os.close(self.console)
            self.console = None


class ForeignRuntime:
    """The face of a runtime (`shim.faces.Runtime`), for one container."""

    def __init__(self, choice: ForeignRuntimeChoice, container_id: str, bundle: str) -> None:
        self._container_id, self._bundle = container_id, bundle
        self._name = choice.name
        # Its own state goes with the bundle.
        self._command = (choice.path, *choice.arguments, "--root", f"{bundle}/runtime")

    def preload(self) -> None:
        """The spawner has done so for all runtimes."""

    def create(self, request: CreateRequest) -> ForeignInit:
        """Raises: CreateFailed; what was done has been undone."""
        hands, journal = Hands(), Journal()
        for name, each in zip(STDIO, request.stdio or (), strict=False):
            hands.hold(name, os.dup(each))
        console = None
        try:
            set_child_subreaper()
            execute(_root_plan(request), hands, journal)
            self._write_config(request, hands.get(ROOT), journal)
            hands.release(ROOT)
            process = request.spec.process
            with _ConsoleSocket(request.bundle if process.terminal else "") as socket_:
                operation = CreateByRuntime(
                    command=self._command,
                    container_id=request.container_id,
                    bundle=request.bundle,
                    cgroup=request.spec.linux.cgroups_path,
                    console_socket=socket_.path,
                    why=f"--runtime {self._name}",
                )
                execute((operation,), hands, journal)
                console = socket_.master() if process.terminal else None
            pid = int(str(journal[-1].evidence["pid"]))
            made = ForeignProcess(pid=pid, pidfd=hands.give(PIDFD), console=console)
        except AccountNotFound as error:
            undo(journal, hands)
            kind = "group_not_found" if error.is_group else "user_not_found"
            raise CreateFailed(kind, str(error), error.reference, journal) from error
        except OperationFailed as error:
            undo(journal, hands)
            raise _create_failed(self._name, error.cause, journal) from error
        except (OSError, ValueError) as error:
            undo(journal, hands)
            raise CreateFailed("step", explain_error(error), "", journal) from error
        finally:
            hands.close()
        return ForeignInit(made, operation, journal, self._name)

    def enter_pid_namespace(self, init: Living) -> None:
        """The runtime finds the container by itself."""

    def join(self, init: Living, cgroups: tuple[str, ...], request: JoinRequest) -> ForeignProcess:
        """Raises: CreateFailed."""
        bundle, container_id = self._bundle, self._container_id
        file, pid_file = f"{bundle}/{_PROCESS_NAME}", f"{bundle}/exec.pid"
        try:
            process = _with_identity(init, request.process, request.user, request.group_add)
            with open(file, "wb") as opened:
                opened.write(json.dumps(runtime_json.PROCESS.to_json(process)).encode())
            options = ["--process", file, "--pid-file", pid_file, "--detach"]
            with _ConsoleSocket(bundle if process.terminal else "") as socket_:
                if process.terminal:
                    options += ["--console-socket", socket_.path]
                stdio = tuple(os.dup(each) for each in request.stdio or ())
                try:
                    run(self._command, bundle, ("exec", *options, container_id), stdio)
                finally:
                    for each in stdio:
                        os.close(each)
                console = socket_.master() if process.terminal else None
            with open(pid_file, encoding="ascii") as opened_pid:
                pid = int(opened_pid.read())
            _move(pid, cgroups)
            return ForeignProcess(pid=pid, pidfd=os.pidfd_open(pid), console=console)
        except AccountNotFound as error:
            kind = "group_not_found" if error.is_group else "user_not_found"
            raise CreateFailed(kind, str(error), error.reference, []) from error
        except (RuntimeRefused, OSError, ValueError) as error:
            raise _create_failed(self._name, error, []) from error
        finally:
            for path in (file, pid_file):
                with suppress(FileNotFoundError):
                    os.unlink(path)

    def destroy(self, journal: Journal) -> list[str]:
        """Have the runtime delete it; what it left, if it could not."""
        return undo(journal, Hands())

    def cgroup_directories(self, journal: Journal) -> tuple[str, ...]:
        """Where the runtime was told to put it, in the hierarchies that it uses."""
        layout: CgroupLayout = this_machine().layout
        made = (each.operation for each in journal if isinstance(each.operation, CreateByRuntime))
        return tuple(
            directory
            for operation in made
            for hierarchy in layout.hierarchies()
            if os.path.isdir(directory := f"{hierarchy.mount_point}{operation.cgroup}")
        )

    def group_parent(self, cgroups: tuple[str, ...]) -> str:
        """As for our own containers: they are the kernel's directories all the same."""
        return signals.group_parent(cgroups)

    def kill_group(self, cgroup: str) -> None:
        """Raises: OSError."""
        signals.kill_group(cgroup)

    def freeze(self, cgroups: tuple[str, ...]) -> None:
        """Raises: OSError."""
        signals.freeze(cgroups)

    def thaw(self, cgroups: tuple[str, ...]) -> None:
        """Raises: OSError."""
        signals.thaw(cgroups)

    def _write_config(self, request: CreateRequest, root: int, journal: Journal) -> None:
        """The bundle's configuration as other runtimes read it: no name, no time namespace,
        which the runtimes of Debian 12 don't know, and no mount that only ours understands."""
        path = f"{self._bundle}/{CONFIG_NAME}"
        with open(path, "rb") as file:
            spec = runtime_json.decode(file.read())
        process = _identified(root, spec.process, request.user, request.group_add)
        mounts: tuple[Mount, ...] = ()
        if request.init_binary:
            process = replace(process, args=(INIT_IN_CONTAINER, "--", *process.args))
            mounts = (
                Mount(
                    destination=INIT_IN_CONTAINER,
                    type="bind",
                    source=request.init_binary,
                    options=("bind", "ro"),
                ),
            )
        # They know no user namespace by the network that it owns: theirs is another one.
        namespaces = tuple(
            replace(each, path="") if each.type == "user" else each
            for each in spec.linux.namespaces
            if each.type != "time" or each.path
        )
        spec = replace(
            spec,
            oci_version=_OLDEST_VERSION,
            process=process,
            root=replace(spec.root, path=_ROOT_NAME),
            mounts=(*_understood(self._bundle, spec.mounts, journal), *mounts),
            linux=replace(spec.linux, namespaces=namespaces),
        )
        with open(path, "wb") as file:
            file.write(runtime_json.encode(spec))


def _root_plan(request: CreateRequest) -> tuple[Operation, ...]:
    """The root where the runtime looks for it, in a mount namespace of the shim's own."""
    target = f"{request.bundle}/{_ROOT_NAME}"
    rootfs = request.rootfs or RootfsMount(
        type="bind", directory=request.bundle, source=request.spec.root.path
    )
    return (
        MakeDirectory(path=target, why="the runtime expects the root in its bundle"),
        Unshare(namespaces=("mnt",), why="the root must not be seen on the host"),
        SetPropagation(path="/", propagation="rslave", why="the same"),
        *whole_root(rootfs, target),
    )


def _understood(bundle: str, mounts: tuple[Mount, ...], journal: Journal) -> Iterator[Mount]:
    """The mounts in words that every runtime knows.

    A part of a volume and the layers of an image are put together here, in the shim's own mount
    namespace, and the runtime binds what is there.

    Raises: OperationFailed.
    """
    for number, mount in enumerate(mounts):
        words = mount_words(mount)
        if not words.subpath and mount.type != "overlay":
            yield mount
            continue
        directory = f"{bundle}/{_MOUNTS_NAME}"
        os.makedirs(directory, mode=0o700, exist_ok=True)
        hands = Hands({ROOT: os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)})
        try:
            place = f"/{number}"
            execute(mount_operations(replace(mount, destination=place)), hands, journal)
        finally:
            hands.close()
        is_read_only = "ro" in words.attributes or "ro" in words.recursive_attributes
        yield Mount(
            destination=mount.destination,
            type="bind",
            source=directory + place,
            options=("rbind", "ro", "rprivate") if is_read_only else ("rbind", "rprivate"),
        )


def _identified(
    root: int, process: Process, user: str | None, group_add: tuple[str, ...]
) -> Process:
    """A process with numbers for its user, looked up in a root. Raises: AccountNotFound."""
    if user is None:
        return process
    identity = accounts.resolve(root, user, group_add)
    environment = process.env
    if not any(each.startswith("HOME=") for each in environment):
        environment = (*environment, f"HOME={identity.home}")
    return replace(
        process,
        env=environment,
        user=replace(
            process.user,
            uid=identity.uid,
            gid=identity.gid,
            additional_gids=identity.groups,
        ),
    )


def _with_identity(
    init: Living, process: Process, user: str | None, group_add: tuple[str, ...]
) -> Process:
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    with closing(os.open(f"/proc/{init.pid}/root", flags)) as root:
        return _identified(root, process, user, group_add)


class _ConsoleSocket:
    """Where a runtime sends a terminal's master to; nothing for a process without one."""

    def __init__(self, directory: str) -> None:
        """The directory is the bundle, or empty."""
        self.path = ""
        self._listener: socket.socket | None = None
        self._directory = -1
        if directory:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            self._directory = os.open(directory, flags)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            bind_at(self._listener, self._directory, _CONSOLE_NAME)
            self._listener.listen(1)
            # By our descriptor: a bundle's path may be longer than a socket's may be.
            self.path = f"/proc/{os.getpid()}/fd/{self._directory}/{_CONSOLE_NAME}"

    def __enter__(self) -> "_ConsoleSocket":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._listener is not None:
            self._listener.close()
            with suppress(FileNotFoundError):
                os.unlink(_CONSOLE_NAME, dir_fd=self._directory)
            os.close(self._directory)

    def master(self) -> int:
        """The descriptor that the runtime has sent before it ended. Raises: OSError."""
        assert self._listener is not None
        self._listener.settimeout(_CONSOLE_TIMEOUT_S)
        connection, _address = self._listener.accept()
        with connection:
            _data, descriptors, _flags, _from = socket.recv_fds(connection, 4096, 1)
        if len(descriptors) != 1:
            raise OSError("the runtime sent no terminal")
        os.set_inheritable(descriptors[0], False)
        return descriptors[0]


def _create_failed(name: str, error: BaseException, journal: Journal) -> CreateFailed:
    """The runtime's words, with the kinds of failure that have an exit code of their own."""
    words = explain_error(error)
    found = _PROGRAM_PROBLEM.search(words) or _CRUN_MISSING.search(words)
    if found is None or isinstance(error, RuntimeMissing):
        return CreateFailed("runtime", words, name, journal)
    program, reason = found["program"], found["reason"] or ""
    if "$PATH" in reason:
        return CreateFailed("command_not_found_in_path", words, program, journal)
    if "no such file" in reason or found.re is _CRUN_MISSING:
        return CreateFailed("command_not_found", words, program, journal)
    return CreateFailed("not_executable", f"exec {program}: {reason}", program, journal)


def _move(pid: int, cgroups: tuple[str, ...]) -> None:
    """Into the cgroups that it was meant for: `exec` knows only the container's own."""
    for directory in cgroups:
        # It may have ended already.
        with suppress(OSError), open(f"{directory}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(pid))


def _end(pid: int, pidfd: int) -> None:
    signals.kill(pidfd, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
    os.close(pidfd)
