"""What the daemon, the spawner and the shims say to each other.

Messages are those of `kit.messages`: one packet each, with a version byte and descriptors.

    daemon to spawner  spawn + channel     -> nothing; the shim itself answers on the channel
                       log + channel       -> the same; the logger answers (`shim.logger`)
                       network_namespace   -> journal + a netlink socket
                       netlink             -> a netlink socket
                       sysctl              -> journal
                       view                -> a descriptor of a container's files
    daemon to shim     start, signal, pause, resume, resize, attach + stream, exec, end,
                       state, collect, discard, delete
    shim to daemon     an answer to each request, by its serial number; the first message, with
                       serial 0, says that the container is parked (or why it could not be made)
                       exit and oom notices, without a serial

An answer has the member `failure` when the request failed.
"""

from collections.abc import Mapping

from wherry.kit.messages import Message
from wherry.kit.values import dataclass
from wherry.logs.options import LogTarget
from wherry.logs.receivers.messages import LogSource
from wherry.oci.json_fields import INT32, INT64
from wherry.oci.runtime_json import PROCESS, ROOTFS
from wherry.oci.runtime_spec import Process, RootfsMount
from wherry.oci.shapes import flag, number, one, plain, text, texts, texts_by_name

RECORD_VERSION = 1
SOCKET_NAME = "shim.sock"
EXIT_NAME = "exit.json"
JOURNAL_NAME = "journal.json"
CONFIG_NAME = "config.json"

BORN = 0
"""The serial of the shim's first message."""
INIT = ""
"""The session of the container's first process."""

EXIT_NOTICE = "exit"
OOM_NOTICE = "oom"
DROPPED_NOTICE = "dropped"
READY_NOTICE = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignRuntimeChoice:
    """An OCI runtime other than ours, to make a container with."""

    name: str
    """As the user calls it."""
    path: str
    """Of its program; a name without a slash is looked for in PATH."""
    arguments: tuple[str, ...] = ()
    """Global ones, before the verb."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnOrder:
    """All that a shim needs, beside the bundle's `config.json`."""

    container_id: str
    bundle: str
    record_directory: str
    rootfs: RootfsMount | None = None
    user: str | None = None
    group_add: tuple[str, ...]
    seccomp_program: str
    """Path of a BPF program; empty: unconfined."""
    init_binary: str
    log: LogTarget
    opens_stdin: bool
    closes_stdin_after_first: bool
    runtime: ForeignRuntimeChoice | None = None
    """None: ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOrder:
    """A log to be fed to a receiver."""

    container_id: str
    record_directory: str
    path: str
    driver: str
    options: Mapping[str, str]
    source: LogSource
    is_resumed: bool
    """The container runs already: nothing waits for the connection to the receiver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecOrder:
    """One more process for a container."""

    session: str
    process: Process
    user: str | None = None
    group_add: tuple[str, ...]
    seccomp_program: str
    opens_stdin: bool
    can_be_ended: bool = False
    """Whether it gets a cgroup of its own below the container's, by which `end` finds all that it
    has started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewMount:
    """What is mounted in a view."""

    source: str
    """A path of the host."""
    destination: str
    subpath: str = ""
    is_read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a process ended; `model.tasks.ExitRecord` on the daemon's side."""

    exit_code: int
    """As a shell says it: 128 + n after signal n."""
    exited_at_ns: int
    was_oom_killed: bool = False
    error: str = ""
    lost_output_bytes: int = 0
    """What could not be written to the local log, as on a full disk."""


# -- as they cross the channels ----------------------------------------------------------------

_RUNTIME = plain(ForeignRuntimeChoice, name=text(), path=text(), arguments=texts())
_LOG = plain(
    LogTarget, driver=text(), path=text(), options=texts_by_name(), attributes=texts_by_name()
)
_SOURCE = plain(
    LogSource,
    container_id=text(),
    container_name=text(),
    image_id=text(),
    image_name=text(),
    command=text(),
    created=text(),
    hostname=text(),
    tag=text(),
    attributes=texts_by_name(),
)
SPAWN_ORDER = plain(
    SpawnOrder,
    container_id=text(),
    bundle=text(),
    record_directory=text(),
    rootfs=one(ROOTFS),
    user=text(),
    group_add=texts(),
    seccomp_program=text(),
    init_binary=text(),
    log=one(_LOG),
    opens_stdin=flag(),
    closes_stdin_after_first=flag(),
    runtime=one(_RUNTIME),
)
LOG_ORDER = plain(
    LogOrder,
    container_id=text(),
    record_directory=text(),
    path=text(),
    driver=text(),
    options=texts_by_name(),
    source=one(_SOURCE),
    is_resumed=flag(),
)
EXEC_ORDER = plain(
    ExecOrder,
    session=text(),
    process=one(PROCESS),
    user=text(),
    group_add=texts(),
    seccomp_program=text(),
    opens_stdin=flag(),
    can_be_ended=flag(),
)
VIEW_MOUNT = plain(
    ViewMount, source=text(), destination=text(), subpath=text(), is_read_only=flag()
)
ENDING = plain(
    Ending,
    exit_code=number(INT32),
    exited_at_ns=number(INT64),
    was_oom_killed=flag(),
    error=text(),
    lost_output_bytes=number(INT64),
)
"""Also in `exit.json`."""


class Refused(Exception):
    """A request that failed, in the form that crosses the channel.

    `kind` is one of `runtime.container.CreateFailed`, or `refused` where the container is not
    in a state for it, or `gone` where the session is not there.
    """

    def __init__(self, kind: str, message: str, program: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.program = program

    def to_message(self) -> Message:
        """The member `failure` of an answer."""
        return {"kind": self.kind, "message": self.message, "program": self.program}

    @staticmethod
    def from_message(message: Mapping[str, str]) -> "Refused":
        """Raises: KeyError."""
        return Refused(message["kind"], message["message"], message["program"])


def request(serial: int, verb: str, **operands: object) -> Message:
    """A request of the daemon."""
    return {"serial": serial, "verb": verb, **operands}


def answer(serial: int, **results: object) -> Message:
    """An answer that all went well."""
    return {"serial": serial, **results}


def refusal(serial: int, refused: Refused) -> Message:
    """An answer that it did not."""
    return {"serial": serial, "failure": refused.to_message()}


def exit_notice(session: str, ending: Ending) -> Message:
    """A process has ended."""
    return {"notice": EXIT_NOTICE, "session": session, "ending": ENDING.to_json(ending)}


def oom_notice() -> Message:
    """The container ran into its memory limit."""
    return {"notice": OOM_NOTICE}
