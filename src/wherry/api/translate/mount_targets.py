"""What every way of asking for a mount shares: its place, and words for how it spreads."""

DEFAULT_PROPAGATION = "rprivate"
PROPAGATIONS = frozenset({"shared", "rshared", "slave", "rslave", "private", "rprivate"})
RELABELLED = "z"
"""The mode that Docker shows of a volume that was named without one."""


def target_problem(target: str) -> str:
    """Why nothing can be mounted there, in Docker's words; empty when it can."""
    if not target:
        return "field Target must not be empty"
    if not target.startswith("/"):
        return f"invalid mount path: '{target}' mount path must be absolute"
    if not target.strip("/"):
        return "invalid specification: destination can't be '/'"
    return ""
