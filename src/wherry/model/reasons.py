"""Why a container is in the state that it is in: a claim, how sure it is, and its evidence."""

from enum import Enum

from wherry.kit.values import dataclass


class Certainty(Enum):
    """How far the evidence carries."""

    FACT = "fact"
    """The kernel or the engine saw it happen."""
    LIKELY = "likely"
    """It fits, and something else would fit too."""
    UNKNOWN = "unknown"


class Cause(Enum):
    """Kinds of reasons, for programs."""

    RUNNING = "running"
    NEVER_STARTED = "never-started"
    START_FAILED = "start-failed"
    FINISHED = "finished"
    PROGRAM_FAILED = "program-failed"
    COMMAND_FAILED = "command-failed"
    """126 or 127 of a shell inside: something could not be run."""
    OUT_OF_MEMORY = "out-of-memory"
    STOPPED = "stopped"
    """Somebody asked the engine."""
    SIGNALLED = "signalled"
    CRASHED = "crashed"
    SUPERVISOR_LOST = "supervisor-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """The answer to `why`."""

    container_id: str
    name: str
    state: str
    exit_code: int
    cause: Cause
    certainty: Certainty
    sentence: str
    evidence: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    """What one could do about it."""
    last_lines: tuple[str, ...] = ()
    """What it wrote last, oldest first."""
