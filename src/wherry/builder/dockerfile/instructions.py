"""Instructions as values. Words still have their quotes and variables in them."""

from collections.abc import Mapping

from wherry.builder.dockerfile.lines import Line
from wherry.kit.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Inline:
    """A here-document in the place of a file."""

    name: str
    content: str
    expands: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """A command: words of the exec form, or one line for the shell."""

    words: tuple[str, ...]
    is_for_shell: bool
    files: tuple[Inline, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What all instructions have: where they stand, and how they were written."""

    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Written):
    """`FROM [--platform=P] BASE [AS NAME]`."""

    base: str
    name: str = ""
    """In lower case; empty for a stage without one."""
    platform: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMount:
    """`RUN --mount=...`, its values as they were written."""

    kind: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Written):
    """`RUN`."""

    command: CommandLine
    mounts: tuple[RunMount, ...] = ()
    network: str = ""
    """`default`, `none` or `host`; empty where it is not said."""
    security: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Written):
    """`COPY`."""

    sources: tuple[str, ...]
    inlines: tuple[Inline, ...]
    target: str
    origin: str = ""
    """`--from`: a stage, an image, a number; empty for the context."""
    owner: str = ""
    mode: str = ""
    is_linked: bool = False
    keeps_parents: bool = False
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Written):
    """`ADD`."""

    sources: tuple[str, ...]
    inlines: tuple[Inline, ...]
    target: str
    owner: str = ""
    mode: str = ""
    is_linked: bool = False
    checksum: str = ""
    unpacks: bool | None = None
    """None: local archives are, downloads are not."""
    keeps_git_dir: bool = False
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Written):
    """`ENV`."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Written):
    """`ARG`: names, each with a default or None."""

    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Written):
    """`LABEL`."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Written):
    """`EXPOSE`."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Written):
    """`VOLUME`."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Written):
    """`USER`."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDir(Written):
    """`WORKDIR`."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Written):
    """`CMD`."""

    command: CommandLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Written):
    """`ENTRYPOINT`."""

    command: CommandLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Written):
    """`SHELL`."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Written):
    """`STOPSIGNAL`."""

    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckWish(Written):
    """`HEALTHCHECK`; times in nanoseconds, zero for the engine's default."""

    command: CommandLine | None
    """None: `HEALTHCHECK NONE`."""
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBuild(Written):
    """`ONBUILD`."""

    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Written):
    """`MAINTAINER`, which Docker would rather see as a label."""

    name: str


Instruction = (
    Run
    | Copy
    | Add
    | Env
    | Arg
    | Label
    | Expose
    | Volume
    | User
    | WorkDir
    | Cmd
    | Entrypoint
    | Shell
    | StopSignal
    | HealthCheckWish
    | OnBuild
    | Maintainer
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A FROM and what follows it."""

    start: From
    steps: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """All of a Dockerfile."""

    stages: tuple[Stage, ...]
    arguments: tuple[Arg, ...] = ()
    """ARG before the first FROM."""
    lines: tuple[Line, ...] = ()
    """All that instructions were read from."""
    escape: str = "\\"
    directives: Mapping[str, str] = field(default_factory=dict)
