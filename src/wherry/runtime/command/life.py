"""create, start, run, kill, delete: a container from its bundle to its end."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wherry.kit.timestamps import rfc3339_nano
from wherry.kit.values import replace
from wherry.linux import cgroups
from wherry.linux.mounts import closing
from wherry.linux.process import set_child_subreaper
from wherry.linux.sockets import bind_at, connect_at
from wherry.oci import runtime_json
from wherry.oci.runtime_spec import RuntimeSpec
from wherry.operations.plan import Hands
from wherry.operations.processes.cgroups import MakeCgroup
from wherry.runtime import handshake, signals
from wherry.runtime.attending import ContainerFacts, run_hooks, state_json
from wherry.runtime.codecs import warm_codecs
from wherry.runtime.command.arguments import Arguments, UsageError
from wherry.runtime.command.consoles import (
    Relay,
    check_console_use,
    send_console,
    standard_streams,
)
from wherry.runtime.command.records import (
    CommandFailed,
    Record,
    StateDirectory,
    is_alive,
    process_start,
    status_of,
)
from wherry.runtime.container import (
    CreateFailed,
    CreateRequest,
    InitProcess,
    cgroup_directories,
    create,
)

_LONGEST_KILL_S = 10.0
_NOT_STARTED = "unable to start container process"
_SIGNALS_KEPT = frozenset({signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP, signal.SIGURG})


# -- create, start, run ----------------------------------------------------------------------


def create_container(state: StateDirectory, arguments: Arguments) -> int:
    """Make a container that waits for `start`. Raises: CommandFailed; OSError; ValueError."""
    container_id = _only_operand(arguments)
    with _begun(state, container_id, arguments, waits_at_gate=True) as (init, _spec, record):
        _hand_over_console(init, arguments)
        init.leave_at_gate()
        write_pid_file(arguments, record.pid)
    return 0


def start_container(state: StateDirectory, arguments: Arguments) -> int:
    """Let a created container go. Raises: CommandFailed; OSError; ValueError."""
    container_id = _only_operand(arguments)
    record = state.read(container_id)
    status = status_of(state, record)
    if status == "stopped":
        raise CommandFailed("cannot start a container that has stopped")
    if status != "created":
        raise CommandFailed("cannot start an already running container")
    directory = os.open(state.directory(container_id), os.O_PATH | os.O_DIRECTORY)
    with (
        closing(directory),
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel,
    ):
        connect_at(channel, directory, "start.sock")
        failure = handshake.release(channel)
        os.unlink("start.sock", dir_fd=directory)
    if failure is not None and failure.kind != handshake.NOT_EXECUTED:
        raise CommandFailed(f"{_NOT_STARTED}: {failure.message}")
    spec = state.read_spec(container_id)
    try:
        _run_poststart(spec, record)
    except CommandFailed:
        _kill_and_wait(record)  # It is stopped, and `delete` clears it away.
        raise
    return 0


def _run_poststart(spec: RuntimeSpec, record: Record) -> None:
    """Tell the hooks that the program runs; one that fails ends it (runtime.md, "Lifecycle").

    Raises: CommandFailed.
    """
    state = _state(record, "running")
    problems = run_hooks("poststart", spec.hooks.poststart, state, record.pid, goes_on=False)
    if problems:
        raise CommandFailed(problems[0])


def run_container(state: StateDirectory, arguments: Arguments) -> int:
    """create and start in one; the exit status is the program's, unless it goes on alone.

    Raises: CommandFailed; OSError; ValueError.
    """
    container_id = _only_operand(arguments)
    is_detached = arguments.has("detach")
    if not is_detached:
        hold_signals()
        if not arguments.has("no-subreaper"):
            set_child_subreaper()
    with _begun(state, container_id, arguments, waits_at_gate=False) as (init, spec, record):
        console = None
        if is_detached or arguments.text("console-socket"):
            _hand_over_console(init, arguments)
        else:
            console = init.console
        init.start()
        write_pid_file(arguments, record.pid)
        _run_poststart(spec, record)
    if is_detached:
        return 0
    status = wait_in_foreground(init.pid, init.pidfd, console)
    if not arguments.has("keep"):
        _clear_away(state, record, spec)
    return status


@contextmanager
def _begun(
    state: StateDirectory, container_id: str, arguments: Arguments, *, waits_at_gate: bool
) -> Iterator[tuple[InitProcess, RuntimeSpec, Record]]:
    """A container that has been made and written down; if the block fails, it is undone."""
    bundle = os.path.abspath(arguments.text("bundle") or ".")
    content, spec = _read_bundle(bundle)
    check_console_use(
        spec.process,
        socket_path=arguments.text("console-socket"),
        is_detached=waits_at_gate or arguments.has("detach"),
    )
    directory = state.claim(container_id)
    try:
        with open(f"{directory}/config.json", "wb") as file:
            file.write(content)
        init = _made(container_id, bundle, spec, directory, arguments, waits_at_gate)
        try:
            record = _record(container_id, bundle, spec, init)
            state.write(record)
            yield init, spec, record
        except CreateFailed:
            raise  # Nothing remains of the process.
        except BaseException:
            init.discard()
            raise
    except CreateFailed as error:
        state.forget(container_id)
        raise CommandFailed(f"{_NOT_STARTED}: {error.message}") from error
    except BaseException:
        state.forget(container_id)
        raise


def _read_bundle(bundle: str) -> tuple[bytes, RuntimeSpec]:
    try:
        with open(f"{bundle}/config.json", "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise CommandFailed("JSON specification file config.json not found") from None
    return content, runtime_json.decode(content)


def _made(
    container_id: str,
    bundle: str,
    spec: RuntimeSpec,
    directory: str,
    arguments: Arguments,
    waits_at_gate: bool,
) -> InitProcess:
    preserved, spec = preserved_descriptors(arguments, spec)
    request = CreateRequest(
        container_id=container_id,
        bundle=bundle,
        spec=spec,
        stdio=None if spec.process.terminal else standard_streams(),
        preserved=preserved,
        moves_root=arguments.has("no-pivot"),
        has_own_keyring=not arguments.has("no-new-keyring"),
    )
    warm_codecs()
    if not waits_at_gate:
        return create(request)
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    with (
        closing(opened),
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as gate,
    ):
        bind_at(gate, opened, "start.sock")
        gate.listen(1)
        return create(replace(request, gate=gate.fileno()))


def preserved_descriptors(arguments: Arguments, spec: RuntimeSpec) -> tuple[int, RuntimeSpec]:
    """How many descriptors after 2 go to the program, and what it is told of them.

    Raises: CommandFailed for one that is not open.
    """
    asked = arguments.number("preserve-fds")
    listening = int(os.environ.get("LISTEN_FDS", "0") or 0)
    for number in range(3, 3 + asked + listening):
        try:
            os.fstat(number)
        except OSError:
            raise CommandFailed(f"unable to stat preserved fd {number}") from None
        os.set_inheritable(number, True)
    if listening:
        env = (*spec.process.env, f"LISTEN_FDS={listening}", "LISTEN_PID=1")
        spec = replace(spec, process=replace(spec.process, env=env))
    return asked + listening, spec


def _record(container_id: str, bundle: str, spec: RuntimeSpec, init: InitProcess) -> Record:
    return Record(
        container_id=container_id,
        bundle=bundle,
        rootfs=os.path.normpath(os.path.join(bundle, spec.root.path)),
        pid=init.pid,
        start_time=process_start(init.pid) or 0,
        created=rfc3339_nano(time.time_ns()),
        cgroup_paths=cgroup_directories(init.parents_journal),
        has_pid_namespace=any(each.type == "pid" for each in spec.linux.namespaces),
        annotations=spec.annotations,
    )


def _hand_over_console(init: InitProcess, arguments: Arguments) -> None:
    if init.console is None:
        return
    send_console(arguments.text("console-socket"), init.console)
    os.close(init.console)
    init.console = None


def write_pid_file(arguments: Arguments, pid: int) -> None:
    """Write `--pid-file`, if there is to be one. Raises: OSError."""
    path = arguments.text("pid-file")
    if not path:
        return
    # Hidden and renamed: who waits for the file must never read half of a number.
    directory, name = os.path.split(os.path.abspath(path))
    staged = f"{directory}/.{name}"
    with open(staged, "w", encoding="ascii") as file:
        file.write(str(pid))
    os.rename(staged, path)


# -- the foreground --------------------------------------------------------------------------


def hold_signals() -> None:
    """Keep what is sent to us until there is a program to pass it on to."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _passed_on())


def _passed_on() -> set[signal.Signals]:
    known = (each for each in signal.valid_signals() if isinstance(each, signal.Signals))
    return {each for each in known if each not in _SIGNALS_KEPT and each < signal.SIGRTMIN}


def wait_in_foreground(pid: int, pidfd: int, console: int | None) -> int:
    """Pass signals on and the terminal's bytes to and fro, until the program ends.

    Returns its exit status, or 128 and the signal that ended it.
    """
    for number in _passed_on() - {signal.SIGWINCH}:
        signal.signal(number, lambda got, _frame: _pass_on(pidfd, got))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _passed_on())
    if console is not None:
        with Relay(console) as relay:
            relay.run(pidfd)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


def _pass_on(pidfd: int, number: int) -> None:
    signals.kill(pidfd, number)


# -- kill, delete ----------------------------------------------------------------------------


def kill_container(state: StateDirectory, arguments: Arguments) -> int:
    """Send a signal to a container's process 1. Raises: CommandFailed; OSError."""
    if not 1 <= len(arguments.operands) <= 2:
        raise UsageError("kill needs a container and at most one signal")
    container_id, *rest = arguments.operands
    number = signal_number(rest[0] if rest else "SIGTERM")
    record = state.read(container_id)
    if arguments.has("all") or (number == signal.SIGKILL and not record.has_pid_namespace):
        _signal_all(record, number)
        return 0
    if not is_alive(record):
        raise CommandFailed("container not running")
    with closing(os.pidfd_open(record.pid)) as pidfd:
        if not (is_alive(record) and signals.kill(pidfd, number)):
            raise CommandFailed("container not running")
    if number == signal.SIGKILL:
        # A frozen process dies only when it is thawed.
        signals.thaw(record.cgroup_paths)
    return 0


def signal_number(text: str) -> int:
    """The number of `KILL`, `SIGKILL` or `9`. Raises: CommandFailed."""
    if text.isdecimal():
        if int(text) in signal.valid_signals():
            return int(text)
    else:
        name = text.upper()
        name = name if name.startswith("SIG") else f"SIG{name}"
        found = getattr(signal, name, None)
        if isinstance(found, signal.Signals):
            return found.value
    raise CommandFailed(f"unknown signal {text!r}")


def _signal_all(record: Record, number: int) -> None:
    if number == signal.SIGKILL:
        signals.kill_all(record.cgroup_paths)
        return
    for pid in {pid for path in record.cgroup_paths for pid in cgroups.processes(path)}:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def delete_container(state: StateDirectory, arguments: Arguments) -> int:
    """Remove a container that has stopped. Raises: CommandFailed; OSError."""
    container_id = _only_operand(arguments)
    is_forced = arguments.has("force")
    try:
        record = state.read(container_id)
    except CommandFailed:
        if is_forced:
            if os.path.isdir(state.directory(container_id)):
                state.forget(container_id)
            return 0
        raise
    status = status_of(state, record)
    if status not in ("stopped", "created") and not is_forced:
        raise CommandFailed(
            f"cannot delete container {container_id} that is not stopped: {status}"
        )
    if status != "stopped":
        _kill_and_wait(record)
    try:
        spec = state.read_spec(container_id)
    except (OSError, ValueError):
        spec = None
    _clear_away(state, record, spec)
    return 0


def _kill_and_wait(record: Record) -> None:
    try:
        pidfd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    with closing(pidfd):
        if is_alive(record):
            signals.kill(pidfd, signal.SIGKILL)
            signals.thaw(record.cgroup_paths)
            if not signals.has_ended(pidfd, timeout_s=_LONGEST_KILL_S):
                raise CommandFailed(f"container init {record.pid} still running")


def _clear_away(state: StateDirectory, record: Record, spec: RuntimeSpec | None) -> None:
    """After the end of its process: cgroups, hooks, state. Raises: OSError."""
    signals.kill_all(record.cgroup_paths)
    for path in record.cgroup_paths:
        MakeCgroup(path=path, why="delete").undo(Hands(), {})
    if spec is not None:
        _tell(run_hooks("poststop", spec.hooks.poststop, _state(record, "stopped"), 0))
    state.forget(record.container_id)


# -- small parts -----------------------------------------------------------------------------


def _only_operand(arguments: Arguments) -> str:
    if len(arguments.operands) != 1:
        raise UsageError("needs exactly one container id")
    return arguments.operands[0]


def _state(record: Record, status: str) -> str:
    facts = ContainerFacts(
        container_id=record.container_id, bundle=record.bundle, annotations=record.annotations
    )
    return state_json(facts, status)


def _tell(problems: list[str]) -> None:
    """A hook that comes too late to stop anything can only be complained of."""
    for each in problems:
        with suppress(OSError):
            os.write(2, f"warning: {each}\n".encode("utf-8", "surrogateescape"))
