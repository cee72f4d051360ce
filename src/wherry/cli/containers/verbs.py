"""Verbs that take containers by name and print each name when it is done."""

from collections.abc import Callable, Sequence

from wherry.cli.command import ONE_OR_MORE, TWO, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import INT, STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session, explain
from wherry.client.errors import ApiError

NOT_FOUND = 404


def for_each(session: Session, names: Sequence[str], act: Callable[[str], None]) -> int:
    """Act on each and print its name; go on after a refusal, and fail in the end."""
    failed = False
    for name in names:
        try:
            act(name)
        except ApiError as problem:
            session.complain(explain(problem))
            failed = True
        else:
            session.say(name)
    return 1 if failed else 0


def stop(session: Session, parsed: Parsed) -> int:
    """Stop containers."""
    containers = session.client.containers
    return for_each(
        session,
        parsed.arguments,
        lambda name: containers.stop(
            name, signal=parsed.text("signal"), timeout_s=_timeout_s(parsed)
        ),
    )


def restart(session: Session, parsed: Parsed) -> int:
    """Stop containers and start them again."""
    containers = session.client.containers
    return for_each(
        session,
        parsed.arguments,
        lambda name: containers.restart(
            name, signal=parsed.text("signal"), timeout_s=_timeout_s(parsed)
        ),
    )


def kill(session: Session, parsed: Parsed) -> int:
    """Send a signal to containers."""
    containers = session.client.containers
    signal = parsed.text("signal")
    return for_each(session, parsed.arguments, lambda name: containers.kill(name, signal))


def pause(session: Session, parsed: Parsed) -> int:
    """Freeze containers."""
    return for_each(session, parsed.arguments, session.client.containers.pause)


def unpause(session: Session, parsed: Parsed) -> int:
    """Thaw containers."""
    return for_each(session, parsed.arguments, session.client.containers.unpause)


def wait(session: Session, parsed: Parsed) -> int:
    """Wait for containers one after the other, and print their exit codes."""
    failed = False
    for name in parsed.arguments:
        try:
            session.say(str(session.client.containers.wait(name)))
        except ApiError as problem:
            session.complain(explain(problem))
            failed = True
    return 1 if failed else 0


def rename(session: Session, parsed: Parsed) -> int:
    """Give a container another name."""
    old, new = (argument.strip() for argument in parsed.arguments)
    if not old or not new:
        raise CommandFailed("Error: Neither old nor new names may be empty")
    try:
        session.client.containers.rename(old, new)
    except ApiError as problem:
        session.complain(explain(problem))
        raise CommandFailed(f"Error: failed to rename container named {old}") from None
    return 0


def remove(session: Session, parsed: Parsed) -> int:
    """Remove containers; by force, one that isn't there is no failure."""
    is_forced = parsed.is_on("force")
    failed = False
    for argument in parsed.arguments:
        name = argument.strip("/")
        if not name:
            session.complain("container name cannot be empty")
            failed = True
            continue
        try:
            session.client.containers.remove(
                name,
                with_volumes=parsed.is_on("volumes"),
                is_forced=is_forced,
                is_link=parsed.is_on("link"),
            )
        except ApiError as problem:
            session.complain(explain(problem))
            failed = failed or not (is_forced and problem.status == NOT_FOUND)
        else:
            session.say(argument)
    return 1 if failed else 0


def _timeout_s(parsed: Parsed) -> int | None:
    for name in ("timeout", "time"):
        if parsed.was_given(name):
            return parsed.number(name)
    return None


_SIGNAL = Flag("signal", STRING, "Signal to send", short="s")
_ENDING = (
    _SIGNAL,
    Flag("time", INT, "The older name of --timeout", is_hidden=True),
    Flag("timeout", INT, "Seconds to wait before killing the container", short="t"),
)
_SHAPE = "CONTAINER [CONTAINER...]"

STOP = Command(_SHAPE, "Stop one or more running containers", ONE_OR_MORE, stop, _ENDING)
RESTART = Command(_SHAPE, "Restart one or more containers", ONE_OR_MORE, restart, _ENDING)
KILL = Command(_SHAPE, "Kill one or more running containers", ONE_OR_MORE, kill, (_SIGNAL,))
PAUSE = Command(_SHAPE, "Pause all processes of one or more containers", ONE_OR_MORE, pause)
UNPAUSE = Command(_SHAPE, "Unpause one or more containers", ONE_OR_MORE, unpause)
WAIT = Command(
    _SHAPE, "Wait until containers stop, then print their exit codes", ONE_OR_MORE, wait
)
RENAME = Command("CONTAINER NEW_NAME", "Rename a container", TWO, rename)
REMOVE = Command(
    _SHAPE,
    "Remove one or more containers",
    ONE_OR_MORE,
    remove,
    (
        Flag("force", SWITCH, "Remove a running container too (by SIGKILL)", short="f"),
        Flag("link", SWITCH, "Remove the link named", short="l"),
        Flag("volumes", SWITCH, "Remove the container's anonymous volumes", short="v"),
    ),
)
