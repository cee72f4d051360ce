"""`start`, alone or with this terminal attached."""

from wherry.cli.command import ONE_OR_MORE, Command
from wherry.cli.containers.attach import DETACH_KEYS
from wherry.cli.containers.interaction import (
    Interaction,
    Streams,
    check_terminal,
    container_resizer,
    signal_sender,
)
from wherry.cli.containers.streaming import Ending
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import SWITCH, Flag, Parsed, absent_flag
from wherry.cli.session import Session, explain
from wherry.client.documents import child, flag, text
from wherry.client.errors import ApiError


def run(session: Session, parsed: Parsed) -> int:
    """Start containers; with -a or -i just one, whose exit code this is."""
    if parsed.is_on("attach") or parsed.is_on("interactive"):
        if len(parsed.arguments) > 1:
            raise CommandFailed("you cannot start and attach multiple containers at once")
        return _start_attached(session, parsed)
    failed = []
    for name in parsed.arguments:
        try:
            session.client.containers.start(name, detach_keys=_keys(session, parsed))
        except ApiError as problem:
            session.complain(explain(problem))
            failed.append(name)
        else:
            session.say(name)
    if failed:
        raise CommandFailed(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _start_attached(session: Session, parsed: Parsed) -> int:
    name = parsed.arguments[0]
    client = session.client
    found = client.containers.inspect(name)
    config = child(found, "Config")
    has_terminal = flag(config, "Tty")
    streams = Streams(
        stdin=parsed.is_on("interactive") and flag(config, "OpenStdin"),
        stdout=True,
        stderr=True,
        has_terminal=has_terminal,
        detach_keys=_keys(session, parsed),
    )
    try:
        check_terminal(stdin=streams.stdin, has_terminal=has_terminal)
    except ValueError as problem:
        raise CommandFailed(str(problem)) from None
    identifier = text(found, "Id")
    stream = client.containers.attach(
        identifier,
        stdin=streams.stdin,
        stdout=True,
        stderr=True,
        detach_keys=streams.detach_keys,
    )
    removes_itself = flag(child(found, "HostConfig"), "AutoRemove")
    waiting = client.containers.begin_wait(
        identifier, "removed" if removes_itself else "next-exit"
    )
    with Interaction(
        streams,
        resize=container_resizer(client, identifier),
        send_signal=None if has_terminal else signal_sender(client, identifier),
    ) as interaction:
        client.containers.start(identifier)
        interaction.fit_terminal()
        if interaction.carry(stream) is Ending.DETACHED:
            return 0
        return interaction.exit_code(waiting)


def _keys(session: Session, parsed: Parsed) -> str:
    return parsed.text("detach-keys") or session.setting("detachKeys")


START = Command(
    shape="CONTAINER [CONTAINER...]",
    summary="Start one or more stopped containers",
    arguments=ONE_OR_MORE,
    run=run,
    flags=(
        Flag("attach", SWITCH, "Attach STDOUT and STDERR, and hand signals on", short="a"),
        absent_flag("checkpoint", "restore from this checkpoint", label="string"),
        absent_flag("checkpoint-dir", "where checkpoints are", label="string"),
        DETACH_KEYS,
        Flag("interactive", SWITCH, "Attach the container's STDIN", short="i"),
    ),
)
