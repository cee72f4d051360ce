"""`update`: what containers may use, changed while they run."""

from wherry.cli.command import ONE_OR_MORE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, Flag, Parsed
from wherry.cli.options.container_config import given_limits
from wherry.cli.options.container_flags import CONTAINER_FLAGS
from wherry.cli.options.limits import restart_policy
from wherry.cli.session import Session, explain
from wherry.client.documents import texts
from wherry.client.errors import ApiError

_LIMITS = frozenset({
    "blkio-weight", "blkio-weight-device", "cpu-period", "cpu-quota", "cpu-rt-period",
    "cpu-rt-runtime", "cpu-shares", "cpus", "cpuset-cpus", "cpuset-mems", "device-read-bps",
    "device-read-iops", "device-write-bps", "device-write-iops", "memory", "memory-reservation",
    "memory-swap", "pids-limit",
})  # fmt: skip


def run(session: Session, parsed: Parsed) -> int:
    """Change each container and print its name; warnings come last, as docker prints them."""
    if not parsed.values:
        raise CommandFailed("you must provide one or more flags when using this command")
    try:
        policy = restart_policy(parsed.text("restart"))
    except ValueError as problem:
        raise CommandFailed(str(problem)) from None
    changes = {**given_limits(parsed), "RestartPolicy": policy}
    warnings: list[str] = []
    failed = False
    for name in parsed.arguments:
        try:
            answer = session.client.containers.update(name, changes)
        except ApiError as problem:
            session.complain(explain(problem))
            failed = True
        else:
            session.say(name)
            warnings += texts(answer, "Warnings")
    for warning in warnings:
        session.say(warning)
    return 1 if failed else 0


UPDATE = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    ONE_OR_MORE,
    run,
    flags=(
        *(flag for flag in CONTAINER_FLAGS if flag.name in _LIMITS),
        Flag("restart", STRING, "When to restart the container"),
    ),
)
