"""`update`: what containers may use, changed while they run."""

from wherry.cli.command import ONE_OR_MORE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import LIST, STRING, SWITCH, Flag, Parsed
from wherry.cli.options.container_config import given_limits
from wherry.cli.options.container_flags import CONTAINER_FLAGS
from wherry.cli.options.limits import restart_policy
from wherry.cli.options.ports import parse_publish, port_bindings
from wherry.cli.session import Session, explain
from wherry.client.documents import Document, texts
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
        changes = {**given_limits(parsed), "RestartPolicy": policy, **_publishing(parsed)}
    except ValueError as problem:
        raise CommandFailed(str(problem)) from None
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


def _publishing(parsed: Parsed) -> Document:
    """Only what was asked for: other engines know nothing of it. Raises: ValueError."""
    changes: Document = {}
    added = [each for text in parsed.texts("publish-add") for each in parse_publish(text)]
    if added:
        changes["PublishAdd"] = port_bindings(added)
    if parsed.texts("publish-rm"):
        changes["PublishRm"] = [*parsed.texts("publish-rm")]
        changes["KeepFlows"] = parsed.is_on("keep-flows")
    return changes


UPDATE = Command(
    "CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    ONE_OR_MORE,
    run,
    flags=(
        *(flag for flag in CONTAINER_FLAGS if flag.name in _LIMITS),
        Flag("restart", STRING, "When to restart the container"),
        Flag("publish-add", LIST, "Publish more ports, while it runs"),
        Flag("publish-rm", LIST, "Publish ports no longer: [ADDRESS:]HOSTPORT[:PORT][/udp]"),
        Flag("keep-flows", SWITCH, "Let connections through ports that go, go on"),
    ),
)
