"""create, start, run: a container from its bundle to its program."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wherry.kit.timestamps import rfc3339_nano
from wherry.kit.values import dataclass, replace
from wherry.linux.mounts import closing
from wherry.linux.process import set_child_subreaper
from wherry.linux.sockets import bind_at, connect_at
from wherry.oci import runtime_json
from wherry.oci.runtime_spec import RuntimeSpec
from wherry.runtime import handshake
from wherry.runtime.attending import run_hooks, state_json
from wherry.runtime.codecs import warm_codecs
from wherry.runtime.command.arguments import Arguments
from wherry.runtime.command.callers import (
    preserved_descriptors,
    told_of_sockets,
    write_pid_file,
)
from wherry.runtime.command.consoles import check_console_use, hand_over, standard_streams
from wherry.runtime.command.ending import clear_away, kill_and_wait
from wherry.runtime.command.foreground import hold_signals, wait_in_foreground
from wherry.runtime.command.records import (
    CommandFailed,
    Record,
    StateDirectory,
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

_NOT_STARTED = "unable to start container process"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bundle:
    """A container as its caller describes it."""

    path: str
    content: bytes
    """Of config.json, as it is."""
    spec: RuntimeSpec


def create_container(state: StateDirectory, arguments: Arguments) -> int:
    """Make a container that waits for `start`. Raises: CommandFailed; OSError; ValueError."""
    bundle = _bundle(arguments, is_detached=True)
    with _begun(state, bundle, arguments, _made_at_gate) as (init, record):
        _give_console(init, arguments)
        write_pid_file(arguments, record.pid)
        init.leave_at_gate()
    return 0


def start_container(state: StateDirectory, arguments: Arguments) -> int:
    """Let a created container go. Raises: CommandFailed; OSError; ValueError."""
    container_id = arguments.container_id()
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
        kill_and_wait(record)  # It is stopped, and `delete` clears it away.
        raise
    return 0


def _run_poststart(spec: RuntimeSpec, record: Record) -> None:
    """Tell the hooks that the program runs; one that fails ends it (runtime.md, "Lifecycle").

    Raises: CommandFailed.
    """
    state = state_json(record.facts, "running")
    problems = run_hooks("poststart", spec.hooks.poststart, state, record.pid, goes_on=False)
    if problems:
        raise CommandFailed(problems[0])


def run_container(state: StateDirectory, arguments: Arguments) -> int:
    """create and start in one; the exit status is the program's, unless it goes on alone.

    Raises: CommandFailed; OSError; ValueError.
    """
    is_detached = arguments.has("detach")
    bundle = _bundle(arguments, is_detached=is_detached)
    if not is_detached:
        hold_signals()
        if not arguments.has("no-subreaper"):
            set_child_subreaper()
    with _begun(state, bundle, arguments, _made) as (init, record):
        if is_detached:
            _give_console(init, arguments)
        init.start()
        write_pid_file(arguments, record.pid)
        _run_poststart(bundle.spec, record)
    if is_detached:
        return 0
    status = wait_in_foreground(init.pid, init.pidfd, init.console)
    if not arguments.has("keep"):
        clear_away(state, record, bundle.spec)
    return status


def _bundle(arguments: Arguments, *, is_detached: bool) -> _Bundle:
    """Raises: CommandFailed; OSError; ValueError, naming the field."""
    path = os.path.abspath(arguments.text("bundle") or ".")
    try:
        with open(f"{path}/config.json", "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise CommandFailed("JSON specification file config.json not found") from None
    spec = runtime_json.decode(content)
    check_console_use(
        spec.process, socket_path=arguments.text("console-socket"), is_detached=is_detached
    )
    return _Bundle(path=path, content=content, spec=spec)


@contextmanager
def _begun(
    state: StateDirectory,
    bundle: _Bundle,
    arguments: Arguments,
    make: Callable[[CreateRequest, str], InitProcess],
) -> Iterator[tuple[InitProcess, Record]]:
    """A container that has been made and written down; if the block fails, it is undone.

    `make` gets the container's state directory, too.
    """
    container_id = arguments.container_id()
    directory = state.claim(container_id)
    try:
        with open(f"{directory}/config.json", "wb") as file:
            file.write(bundle.content)
        request = _request(container_id, bundle, arguments)
        warm_codecs()
        init = make(request, directory)
        try:
            record = _record(container_id, bundle, init)
            state.write(record)
            yield init, record
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


def _request(container_id: str, bundle: _Bundle, arguments: Arguments) -> CreateRequest:
    process = bundle.spec.process
    return CreateRequest(
        container_id=container_id,
        bundle=bundle.path,
        spec=replace(bundle.spec, process=told_of_sockets(process)),
        stdio=None if process.terminal else standard_streams(),
        preserved=preserved_descriptors(arguments),
        moves_root=arguments.has("no-pivot"),
        has_own_keyring=not arguments.has("no-new-keyring"),
    )


def _made(request: CreateRequest, _directory: str) -> InitProcess:
    return create(request)


def _made_at_gate(request: CreateRequest, directory: str) -> InitProcess:
    """One whose `start` comes through a socket in its state directory."""
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    with (
        closing(opened),
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as gate,
    ):
        bind_at(gate, opened, "start.sock")
        gate.listen(1)
        return create(replace(request, gate=gate.fileno()))


def _give_console(init: InitProcess, arguments: Arguments) -> None:
    if init.console is not None:
        console, init.console = init.console, None
        hand_over(arguments.text("console-socket"), console)


def _record(container_id: str, bundle: _Bundle, init: InitProcess) -> Record:
    spec = bundle.spec
    return Record(
        container_id=container_id,
        bundle=bundle.path,
        rootfs=os.path.normpath(os.path.join(bundle.path, spec.root.path)),
        pid=init.pid,
        start_time=process_start(init.pid) or 0,
        created=rfc3339_nano(time.time_ns()),
        cgroup_paths=cgroup_directories(init.parents_journal),
        has_pid_namespace=any(each.type == "pid" for each in spec.linux.namespaces),
        annotations=spec.annotations,
    )
