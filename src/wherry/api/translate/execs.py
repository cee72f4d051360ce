"""Exec sessions, both ways."""

from base64 import b64encode

from wherry.api.detach_keys import parse_detach_keys
from wherry.api.translate.creation import console_size
from wherry.model.containers import ExecSpec, ExecStatus
from wherry.model.errors import InvalidValue
from wherry.model.ids import ContainerId
from wherry.wire.execs import ExecCreateRequest, ExecInspectAnswer, ProcessConfig


def to_exec_spec(request: ExecCreateRequest | None, reference: str) -> ExecSpec:
    """What the user asked for; the engine puts the container's id in place of the reference.

    Raises: InvalidValue.
    """
    if request is None or not request.Cmd:
        raise InvalidValue("No exec command specified")
    if request.WorkingDir and not request.WorkingDir.startswith("/"):
        raise InvalidValue(
            f"the working directory '{request.WorkingDir}' is invalid, "
            "it needs to be an absolute path"
        )
    rows, columns = console_size(request.ConsoleSize)
    command = (request.Cmd,) if isinstance(request.Cmd, str) else tuple(request.Cmd)
    return ExecSpec(
        container_id=ContainerId(reference),
        command=command,
        environment=tuple(request.Env or ()),
        working_directory=request.WorkingDir,
        user=request.User,
        is_tty=request.Tty,
        is_privileged=request.Privileged,
        attaches_stdin=request.AttachStdin,
        attaches_stdout=request.AttachStdout,
        attaches_stderr=request.AttachStderr,
        detach_keys=request.DetachKeys,
        rows=rows,
        columns=columns,
    )


def to_exec_answer(status: ExecStatus) -> ExecInspectAnswer:
    """Everything about an exec session."""
    spec = status.spec
    keys = parse_detach_keys(spec.detach_keys) if spec.detach_keys else b""
    return ExecInspectAnswer(
        ID=status.id,
        Running=status.is_running,
        ExitCode=status.exit_code,
        ProcessConfig=ProcessConfig(
            tty=spec.is_tty,
            entrypoint=spec.command[0],
            arguments=list(spec.command[1:]),
            privileged=spec.is_privileged,
            user=spec.user,
        ),
        OpenStdin=spec.attaches_stdin,
        OpenStderr=spec.attaches_stderr,
        OpenStdout=spec.attaches_stdout,
        CanRemove=False,
        ContainerID=spec.container_id,
        DetachKeys=b64encode(keys).decode(),
        Pid=status.pid,
    )
