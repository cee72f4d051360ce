"""exec: one more process in a container that runs."""

import signal
from contextlib import suppress

from wherry.kit.values import replace
from wherry.linux.process import CLONE_NEWPID, CLONE_NEWTIME, set_child_subreaper, setns
from wherry.linux.seccomp_compiler import compile_filter
from wherry.oci import json_fields
from wherry.oci.runtime_json import PROCESS
from wherry.oci.runtime_spec import Capabilities, Hooks, Process, RuntimeSpec, User
from wherry.operations.looking import namespace_inode
from wherry.runtime import signals
from wherry.runtime.attending import Attendant
from wherry.runtime.codecs import warm_codecs
from wherry.runtime.command.arguments import Arguments, UsageError
from wherry.runtime.command.callers import (
    preserved_descriptors,
    told_of_sockets,
    write_pid_file,
)
from wherry.runtime.command.consoles import check_console_use, hand_over, standard_streams
from wherry.runtime.command.foreground import hold_signals, wait_in_foreground
from wherry.runtime.command.records import (
    CommandFailed,
    NotRunning,
    Record,
    StateDirectory,
    living,
    status_of,
)
from wherry.runtime.container import CreateFailed
from wherry.runtime.joining import JoinedProcess, JoinRequest, join

EXEC_FAILED = 255
"""runc's exit code for a process that never ran."""


def exec_process(state: StateDirectory, arguments: Arguments) -> int:
    """Run a process in a container; the exit status is its own, unless it goes on alone.

    Raises: CommandFailed; OSError; ValueError.
    """
    if not arguments.operands:
        raise UsageError("exec needs a container id")
    container_id, *words = arguments.operands
    record = state.read(container_id)
    status = status_of(state, record)
    if status == "stopped":
        raise _stopped()
    if status == "paused" and not arguments.has("ignore-paused"):
        raise CommandFailed(
            "cannot exec in a paused container (use --ignore-paused to override)",
            exit_code=EXEC_FAILED,
        )
    spec = state.read_spec(container_id)
    process = wanted_process(spec.process, arguments, words)
    is_detached = arguments.has("detach")
    check_console_use(
        process, socket_path=arguments.text("console-socket"), is_detached=is_detached
    )
    if not is_detached:
        hold_signals()
        set_child_subreaper()
    joined = _joined(record, spec, process, arguments)
    console = joined.console
    try:
        if console is not None and is_detached:
            given, console = console, None
            hand_over(arguments.text("console-socket"), given)
        write_pid_file(arguments, joined.pid)
    except BaseException:
        # Nobody would know of it.
        signals.kill(joined.pidfd, signal.SIGKILL)
        raise
    return 0 if is_detached else wait_in_foreground(joined.pid, joined.pidfd, console)


def _stopped() -> CommandFailed:
    return CommandFailed("cannot exec in a stopped container", exit_code=EXEC_FAILED)


def wanted_process(base: Process, arguments: Arguments, words: list[str]) -> Process:
    """The process of a file (`--process`), or the container's own with what the flags change.

    Raises: CommandFailed; OSError; ValueError.
    """
    path = arguments.text("process")
    if path:
        with open(path, "rb") as file:
            return PROCESS.read(json_fields.parse(file.read(), "process"))
    if not words:
        raise UsageError("process args cannot be empty")
    return replace(
        base,
        args=tuple(words),
        cwd=arguments.text("cwd", base.cwd),
        env=(*base.env, *arguments.texts("env")),
        terminal=arguments.has("tty"),
        user=_user(base.user, arguments),
        capabilities=_capabilities(base.capabilities, arguments.texts("cap")),
        no_new_privileges=base.no_new_privileges or arguments.has("no-new-privs"),
        apparmor_profile=arguments.text("apparmor", base.apparmor_profile),
        selinux_label=arguments.text("process-label", base.selinux_label),
    )


def _user(base: User, arguments: Arguments) -> User:
    user = base
    text = arguments.text("user")
    if text:
        uid, _, gid = text.partition(":")
        user = replace(user, uid=_number(uid, "uid"), gid=_number(gid, "gid") if gid else 0)
    added = tuple(_number(each, "gid") for each in arguments.texts("additional-gids"))
    return replace(user, additional_gids=(*user.additional_gids, *added))


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 1 << 32):
        raise CommandFailed(f"parsing {text[:64]!r} as int for {what} failed")
    return int(text)


def _capabilities(base: Capabilities | None, added: tuple[str, ...]) -> Capabilities | None:
    if not added:
        return base
    sets = base or Capabilities()
    return replace(
        sets,
        bounding=_united(sets.bounding, added),
        effective=_united(sets.effective, added),
        permitted=_united(sets.permitted, added),
    )


def _united(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _joined(
    record: Record, spec: RuntimeSpec, process: Process, arguments: Arguments
) -> JoinedProcess:
    seccomp = spec.linux.seccomp
    request = JoinRequest(
        process=told_of_sockets(process),
        seccomp_program=b"" if seccomp is None else compile_filter(seccomp),
        stdio=None if process.terminal else standard_streams(),
        personality=spec.linux.personality,
        preserved=preserved_descriptors(arguments),
        attendant=Attendant(record.facts, Hooks(), seccomp, status="running"),
    )
    warm_codecs()
    try:
        with living(record) as pidfd:
            _have_children_born_there(record.pid, pidfd)
            return join(record.pid, pidfd, record.cgroup_paths, request)
    except NotRunning:
        raise _stopped() from None
    except CreateFailed as error:
        raise CommandFailed(f"exec failed: {error.message}", exit_code=EXEC_FAILED) from error


def _have_children_born_there(pid: int, pidfd: int) -> None:
    """Pid and time namespaces are those that a process is born in. Raises: OSError."""
    for name, flag in (("pid", CLONE_NEWPID), ("time", CLONE_NEWTIME)):
        with suppress(FileNotFoundError):  # a kernel without time namespaces
            if namespace_inode(f"/proc/{pid}", name) != namespace_inode("/proc/self", name):
                setns(pidfd, flag)
