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
import signal
from contextlib import suppress

from wherry.kit.values import dataclass
from wherry.linux.cgroups import CgroupLayout
from wherry.linux.process import set_child_subreaper
from wherry.oci.runtime_json import PROCESS
from wherry.oci.runtime_spec import Process, RootfsMount
from wherry.operations.files.mounts import ROOT
from wherry.operations.files.nodes import MakeDirectory
from wherry.operations.files.roots import SetPropagation
from wherry.operations.plan import (
    Hands,
    Journal,
    Operation,
    OperationFailed,
    execute,
    undo,
)
from wherry.operations.processes.foreign_runtime import (
    PIDFD,
    CreateByRuntime,
    RuntimeRefused,
    run,
)
from wherry.operations.processes.namespaces import Unshare
from wherry.operations.processes.terminals import STDIO
from wherry.runtime import signals
from wherry.runtime.accounts import AccountNotFound
from wherry.runtime.container import CreateRequest
from wherry.runtime.joining import JoinRequest, habitable
from wherry.runtime.machine import this_machine
from wherry.runtime.root_plan import whole_root
from wherry.shim.console_socket import ConsoleSocket
from wherry.shim.faces import Living
from wherry.shim.foreign_config import ROOT_NAME, identified_inside, write_config
from wherry.shim.foreign_failures import create_failed
from wherry.shim.protocol import ForeignRuntimeChoice

_PROCESS_NAME = "process.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProcess:
    """A process of the container that the runtime made and we adopted."""

    pid: int
    pidfd: int
    console: int | None

    def discard(self) -> None:
        """Kill it, reap it, and close what is its."""
        signals.kill(self.pidfd, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        if self.console is not None:
            os.close(self.console)


class ForeignInit:
    """A container's first process, parked by its runtime."""

    def __init__(
        self, process: ForeignProcess, operation: CreateByRuntime, journal: Journal, name: str
    ) -> None:
        self.pid, self.pidfd, self.console = process.pid, process.pidfd, process.console
        self.journal = journal
        self._process = process
        self._operation = operation
        self._name = name

    def start(self) -> None:
        """Let it run its program. Raises: CreateFailed; then nothing is left."""
        operation = self._operation
        try:
            run(operation.command, operation.bundle, ("start", operation.container_id))
        except (RuntimeRefused, OSError) as error:
            self.discard()
            raise create_failed(self._name, error, self.journal) from error

    def discard(self) -> None:
        """Have the runtime delete it, and reap it."""
        undo(self.journal, Hands())
        self._process.discard()
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
            write_config(request, hands.get(ROOT), journal)
            hands.release(ROOT)
            process = request.spec.process
            with ConsoleSocket(request.bundle if process.terminal else "") as socket_:
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
        except (AccountNotFound, OperationFailed, OSError, ValueError) as error:
            undo(journal, hands)
            raise create_failed(self._name, error, journal) from error
        finally:
            hands.close()
        return ForeignInit(made, operation, journal, self._name)

    def enter_pid_namespace(self, init: Living) -> None:
        """The runtime finds the container by itself."""

    def join(self, init: Living, cgroups: tuple[str, ...], request: JoinRequest) -> ForeignProcess:
        """Raises: CreateFailed."""
        try:
            unified = this_machine().layout.unified
            groups = tuple(habitable(each, init.pid, unified) for each in cgroups)
            process = identified_inside(init, request.process, request.user, request.group_add)
            pid, console = self._executed(process, request.stdio or ())
            joined = ForeignProcess(pid=pid, pidfd=os.pidfd_open(pid), console=console)
            try:
                _move(pid, groups)
            except OSError:
                joined.discard()
                raise
        except (AccountNotFound, RuntimeRefused, OSError, ValueError) as error:
            raise create_failed(self._name, error, []) from error
        return joined

    def _executed(self, process: Process, stdio: tuple[int, ...]) -> tuple[int, int | None]:
        """Have the runtime run a process in the container: its pid, and its terminal's master.

        Raises: RuntimeRefused; OSError; ValueError.
        """
        file, pid_file = f"{self._bundle}/{_PROCESS_NAME}", f"{self._bundle}/exec.pid"
        options = ["--process", file, "--pid-file", pid_file, "--detach"]
        try:
            with open(file, "wb") as opened:
                opened.write(json.dumps(PROCESS.to_json(process)).encode())
            with ConsoleSocket(self._bundle if process.terminal else "") as socket_:
                if process.terminal:
                    options += ["--console-socket", socket_.path]
                verb = ("exec", *options, self._container_id)
                run(self._command, self._bundle, verb, stdio)
                console = socket_.master() if process.terminal else None
            with open(pid_file, encoding="ascii") as opened_pid:
                return int(opened_pid.read()), console
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


def _root_plan(request: CreateRequest) -> tuple[Operation, ...]:
    """The root where the runtime looks for it, in a mount namespace of the shim's own."""
    target = f"{request.bundle}/{ROOT_NAME}"
    rootfs = request.rootfs or RootfsMount(
        type="bind", directory=request.bundle, source=request.spec.root.path
    )
    return (
        MakeDirectory(path=target, why="the runtime expects the root in its bundle"),
        Unshare(namespaces=("mnt",), why="the root must not be seen on the host"),
        SetPropagation(path="/", propagation="rslave", why="the same"),
        *whole_root(rootfs, target),
    )


def _move(pid: int, cgroups: tuple[str, ...]) -> None:
    """Into the cgroups that it was meant for: `exec` knows only the container's own.

    Raises: OSError; not for a process that has ended meanwhile.
    """
    for directory in cgroups:
        with (
            suppress(ProcessLookupError),
            open(f"{directory}/cgroup.procs", "w", encoding="ascii") as file,
        ):
            file.write(str(pid))
