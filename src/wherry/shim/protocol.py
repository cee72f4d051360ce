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
from wherry.oci.runtime_json import PROCESS, ROOTFS
from wherry.oci.runtime_spec import Process, RootfsMount

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

    def to_message(self) -> Message:
        """As it crosses the channel."""
        return {
            "name": self.name,
            "path": self.path,
            "arguments": list(self.arguments),
        }

    @staticmethod
    def from_message(message: Message) -> "ForeignRuntimeChoice":
        """Raises: KeyError."""
        return ForeignRuntimeChoice(
            name=message["name"],
            path=message["path"],
            arguments=tuple(message["arguments"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnOrder:
    """All that a shim needs, beside the bundle's `config.json`."""

    container_id: str
    bundle: str
    record_directory: str
    rootfs: RootfsMount | None
    user: str | None
    group_add: tuple[str, ...]
    seccomp_program: str
    """Path of a BPF program; empty: unconfined."""
    init_binary: str
    log: LogTarget
    opens_stdin: bool
    closes_stdin_after_first: bool
    runtime: ForeignRuntimeChoice | None = None
    """None: ours."""

    def to_message(self) -> Message:
        """As it crosses the channel."""
        return {
            "container_id": self.container_id,
            "bundle": self.bundle,
            "record_directory": self.record_directory,
            "rootfs": None if self.rootfs is None else ROOTFS.to_json(self.rootfs),
            "user": self.user,
            "group_add": list(self.group_add),
            "seccomp_program": self.seccomp_program,
            "init_binary": self.init_binary,
            "log": {
                "driver": self.log.driver,
                "path": self.log.path,
                "options": dict(self.log.options),
                "attributes": dict(self.log.attributes),
            },
            "opens_stdin": self.opens_stdin,
            "closes_stdin_after_first": self.closes_stdin_after_first,
            "runtime": None if self.runtime is None else self.runtime.to_message(),
        }

    @staticmethod
    def from_message(message: Message) -> "SpawnOrder":
        """Raises: KeyError, ValueError."""
        log, runtime = message["log"], message["runtime"]
        rootfs = message["rootfs"]
        return SpawnOrder(
            container_id=message["container_id"],
            bundle=message["bundle"],
            record_directory=message["record_directory"],
            rootfs=None if rootfs is None else ROOTFS.from_json(rootfs, "rootfs"),
            user=message["user"],
            group_add=tuple(message["group_add"]),
            seccomp_program=message["seccomp_program"],
            init_binary=message["init_binary"],
            log=LogTarget(
                driver=log["driver"],
                path=log["path"],
                options=log["options"],
                attributes=log["attributes"],
            ),
            opens_stdin=message["opens_stdin"],
            closes_stdin_after_first=message["closes_stdin_after_first"],
            runtime=None if runtime is None else ForeignRuntimeChoice.from_message(runtime),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOrder:
    """A log to be fed to a receiver."""

    container_id: str
    record_directory: str
    path: str
    driver: str
    options: Mapping[str, str]
    source: Mapping[str, str | Mapping[str, str]]
    """The fields of `logs.receivers.messages.LogSource`."""
    is_resumed: bool
    """The container runs already: nothing waits for the connection to the receiver."""

    def to_message(self) -> Message:
        """As it crosses the channel."""
        return {
            "container_id": self.container_id,
            "record_directory": self.record_directory,
            "path": self.path,
            "driver": self.driver,
            "options": dict(self.options),
            "source": dict(self.source),
            "is_resumed": self.is_resumed,
        }

    @staticmethod
    def from_message(message: Message) -> "LogOrder":
        """Raises: KeyError."""
        return LogOrder(
            container_id=message["container_id"],
            record_directory=message["record_directory"],
            path=message["path"],
            driver=message["driver"],
            options=message["options"],
            source=message["source"],
            is_resumed=message["is_resumed"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecOrder:
    """One more process for a container."""

    session: str
    process: Process
    user: str | None
    group_add: tuple[str, ...]
    seccomp_program: str
    opens_stdin: bool
    can_be_ended: bool = False
    """Whether it gets a cgroup of its own below the container's, by which `end` finds all that it
    has started."""

    def to_message(self) -> Message:
        """As it crosses the channel."""
        return {
            "session": self.session,
            "process": PROCESS.to_json(self.process),
            "user": self.user,
            "group_add": list(self.group_add),
            "seccomp_program": self.seccomp_program,
            "opens_stdin": self.opens_stdin,
            "can_be_ended": self.can_be_ended,
        }

    @staticmethod
    def from_message(message: Message) -> "ExecOrder":
        """Raises: KeyError, ValueError."""
        return ExecOrder(
            session=message["session"],
            process=PROCESS.from_json(message["process"], "process"),
            user=message["user"],
            group_add=tuple(message["group_add"]),
            seccomp_program=message["seccomp_program"],
            opens_stdin=message["opens_stdin"],
            can_be_ended=message.get("can_be_ended", False),
        )


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

    def to_message(self) -> Message:
        """As it crosses the channel and lies in `exit.json`."""
        return {
            "exit_code": self.exit_code,
            "exited_at_ns": self.exited_at_ns,
            "was_oom_killed": self.was_oom_killed,
            "error": self.error,
            "lost_output_bytes": self.lost_output_bytes,
        }

    @staticmethod
    def from_message(message: Message) -> "Ending":
        """Raises: KeyError."""
        return Ending(
            exit_code=message["exit_code"],
            exited_at_ns=message["exited_at_ns"],
            was_oom_killed=message["was_oom_killed"],
            error=message["error"],
            lost_output_bytes=message.get("lost_output_bytes", 0),
        )


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
    return {"notice": EXIT_NOTICE, "session": session, "ending": ending.to_message()}


def oom_notice() -> Message:
    """The container ran into its memory limit."""
    return {"notice": OOM_NOTICE}
