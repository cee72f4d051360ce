"""`attach`: this terminal's streams at a running container."""

from wherry.cli.command import ONE, Command
from wherry.cli.containers.interaction import (
    Interaction,
    Streams,
    check_terminal,
    container_resizer,
    signal_sender,
)
from wherry.cli.containers.streaming import Ending
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.client.documents import Document, child, flag

DETACH_KEYS = Flag("detach-keys", STRING, "The keys that detach, as ctrl-p,ctrl-q")


def run(session: Session, parsed: Parsed) -> int:
    """Attach to a container; its exit code, or 1 after detaching."""
    name = parsed.arguments[0]
    client = session.client
    found = client.containers.inspect(name)
    check_attachable(found)
    config = child(found, "Config")
    streams = Streams(
        stdin=flag(config, "OpenStdin") and not parsed.is_on("no-stdin"),
        stdout=True,
        stderr=True,
        has_terminal=flag(config, "Tty"),
        detach_keys=parsed.text("detach-keys") or session.setting("detachKeys"),
    )
    try:
        check_terminal(stdin=streams.stdin, has_terminal=streams.has_terminal)
    except ValueError as problem:
        raise CommandFailed(str(problem)) from None
    proxies = parsed.is_on("sig-proxy", default=True) and not streams.has_terminal
    waiting = client.containers.begin_wait(name)
    stream = client.containers.attach(
        name, stdin=streams.stdin, stdout=True, stderr=True, detach_keys=streams.detach_keys
    )
    sender = signal_sender(client, name) if proxies else None
    with Interaction(
        streams, resize=container_resizer(client, name), send_signal=sender
    ) as interaction:
        interaction.redraw()
        if interaction.carry(stream) is Ending.DETACHED:
            raise CommandFailed("read escape sequence")
        return interaction.exit_code(waiting)


def check_attachable(container: Document) -> None:
    """Raises: CommandFailed when nothing runs there that could be attached to."""
    state = child(container, "State")
    if not flag(state, "Running"):
        raise CommandFailed("You cannot attach to a stopped container, start it first")
    if flag(state, "Paused"):
        raise CommandFailed("You cannot attach to a paused container, unpause it first")
    if flag(state, "Restarting"):
        raise CommandFailed(
            "You cannot attach to a restarting container, wait until it is running"
        )


ATTACH = Command(
    shape="CONTAINER",
    summary="Attach this terminal's input, output and error streams to a running container",
    arguments=ONE,
    run=run,
    flags=(
        DETACH_KEYS,
        Flag("no-stdin", SWITCH, "Leave STDIN out"),
        Flag("sig-proxy", SWITCH, "Hand signals on to the process", default="true"),
    ),
)
