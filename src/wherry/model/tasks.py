"""What ended, how and when."""

from wherry.kit.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """The end of a container's init or of an exec session."""

    exit_code: int
    """As a shell says it: 128 + n after signal n."""
    exited_at_ns: int
    was_oom_killed: bool = False
    error: str = ""
    """Set when the true code can't be known, for instance because the shim was killed."""
    lost_output_bytes: int = 0
    """What could not be written to its log."""
