"""Commands that join running containers."""

from msgspec import Struct

from wherry.wire.container_config import Int64


class ExecCreateRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /containers/{id}/exec`."""

    User: str = ""
    Privileged: bool = False
    Tty: bool = False
    ConsoleSize: list[Int64] | None = None
    AttachStdin: bool = False
    AttachStderr: bool = False
    AttachStdout: bool = False
    Detach: bool = False
    DetachKeys: str = ""
    Env: list[str] | None = None
    WorkingDir: str = ""
    Cmd: list[str] | str | None = None


class ExecCreateAnswer(Struct):
    """An exec session was made."""

    Id: str


class ExecStartRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /exec/{id}/start`."""

    Detach: bool = False
    Tty: bool = False
    ConsoleSize: list[Int64] | None = None


class ProcessConfig(Struct, kw_only=True):
    """What an exec session runs."""

    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool
    user: str = ""


class ExecInspectAnswer(Struct, kw_only=True):
    """Everything about one exec session."""

    ID: str
    Running: bool
    ExitCode: int | None
    ProcessConfig: ProcessConfig
    OpenStdin: bool
    OpenStderr: bool
    OpenStdout: bool
    CanRemove: bool
    ContainerID: str
    DetachKeys: str
    Pid: int
