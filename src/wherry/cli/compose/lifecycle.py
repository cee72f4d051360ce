"""`compose start`, `stop`, `restart`, `kill`, `pause`, `unpause`, `rm`, `scale` and `wait`."""

from collections.abc import Sequence

from wherry.cli.command import ANY, ONE_OR_MORE
from wherry.cli.compose.bringing_up import see_with_images
from wherry.cli.compose.carrying_out import carry_out
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.selection import (
    Named,
    application_of,
    containers_of,
    named_project,
    part_of,
    remembered_application,
)
from wherry.cli.compose.telling import asker
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import INT, STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.client.documents import document, number
from wherry.compose import (
    Application,
    Clients,
    Observed,
    Plan,
    SeenContainer,
    UpWishes,
    Verb,
    plan_remove,
    plan_restart,
    plan_start,
    plan_stop,
    plan_up,
    plan_verb,
)


def _timeout_s(parsed: Parsed) -> int | None:
    return parsed.number("timeout") if parsed.was_given("timeout") else None


def start(session: Session, parsed: Parsed) -> int:
    """Start what was stopped, in the order of the dependencies."""
    named = named_project(session, parsed)
    if named.project is not None:
        made = part_of(named.project, parsed, parsed.arguments)
    else:
        made = remembered_application(session, parsed, named)
    found = containers_of(session, named)
    _carry_out(session, parsed, plan_start(made, found), made, found)
    return 0


def stop(session: Session, parsed: Parsed) -> int:
    """Stop, in the opposite order."""
    _named, made, found = _found(session, parsed)
    _carry_out(session, parsed, plan_stop(made, found, _timeout_s(parsed)), made, found)
    return 0


def restart(session: Session, parsed: Parsed) -> int:
    """Stop and start, in the order of the dependencies."""
    named = named_project(session, parsed)
    made = remembered_application(session, parsed, named)
    containers_of(session, named, parsed.arguments)
    found = containers_of(session, named)
    plan = plan_restart(
        made,
        found,
        _chosen(named, parsed),
        _timeout_s(parsed),
        with_dependents=not parsed.is_on("no-deps"),
    )
    _carry_out(session, parsed, plan, made, found)
    return 0


def kill(session: Session, parsed: Parsed) -> int:
    """Send a signal to what runs."""
    named, made, found = _found(session, parsed)
    known = named.services
    if parsed.is_on("remove-orphans") and known is not None:
        orphans = [each for each in containers_of(session, named) if each.service not in known]
        _carry_out(session, parsed, plan_remove(orphans, with_volumes=False), made, orphans)
    running = [
        each
        for each in found
        if each.state in ("running", "paused") and (known is None or each.service in known)
    ]
    if not running:
        session.complain("no container to kill")
        return 0
    signal = parsed.text("signal", "SIGKILL")
    _carry_out(session, parsed, plan_verb(Verb.KILL, running, signal), made, running)
    return 0


def pause(session: Session, parsed: Parsed) -> int:
    """Freeze what runs."""
    _named, made, found = _found(session, parsed)
    running = [each for each in found if each.is_running]
    _carry_out(session, parsed, plan_verb(Verb.PAUSE, running), made, running)
    return 0


def unpause(session: Session, parsed: Parsed) -> int:
    """Thaw what is frozen."""
    _named, made, found = _found(session, parsed)
    paused = [each for each in found if each.state == "paused"]
    _carry_out(session, parsed, plan_verb(Verb.UNPAUSE, paused), made, paused)
    return 0


def remove(session: Session, parsed: Parsed) -> int:
    """Remove what has stopped, after a question."""
    named, made, found = _found(session, parsed)
    if parsed.is_on("stop"):
        _carry_out(session, parsed, plan_stop(made, found), made, found)
        found = containers_of(session, named, _chosen(named, parsed))
    stopped = [each for each in found if each.state not in ("running", "paused", "restarting")]
    if not stopped:
        session.complain("No stopped containers")
        return 0
    names = ", ".join(each.name for each in stopped)
    ask = asker(session, assumes_yes=parsed.is_on("dry-run"))
    if parsed.is_on("force"):
        session.say(f"Going to remove {names}")
    elif not ask(f"Going to remove {names}\nAre you sure?"):
        return 0
    plan = plan_remove(stopped, with_volumes=parsed.is_on("volumes"))
    _carry_out(session, parsed, plan, made, stopped)
    return 0


def scale(session: Session, parsed: Parsed) -> int:
    """Run numbers of containers of services."""
    scales: dict[str, int] = {}
    for argument in parsed.arguments:
        name, equals, count = argument.partition("=")
        if not equals:
            raise CommandFailed(f"invalid scale specifier: {argument}")
        if not count.isdigit():
            raise CommandFailed(
                f"invalid scale specifier: can't parse replica value as int: {argument}"
            )
        scales[name] = int(count)
    made = application_of(
        session,
        parsed,
        list(scales),
        scales=scales,
        with_dependencies=not parsed.is_on("no-deps"),
    )
    seen = see_with_images(session, parsed, made)
    carry_out(session, parsed, plan_up(made, seen, UpWishes(targets=list(scales))), made, seen)
    return 0


def wait(session: Session, parsed: Parsed) -> int:
    """Wait until the containers have ended; the exit code of the first that does."""
    named = named_project(session, parsed)
    found = containers_of(session, named, parsed.arguments, must_exist=False)
    if not found:
        raise CommandFailed(f'no containers for project "{named.name}"')
    code = _wait_for(session, found, all_of_them=not parsed.is_on("down-project"))
    if parsed.is_on("down-project"):
        made = remembered_application(session, parsed, named)
        left = containers_of(session, named)
        _carry_out(session, parsed, plan_stop(made, left), made, left)
        _carry_out(session, parsed, plan_remove(left, with_volumes=False), made, left)
    return code


def _wait_for(session: Session, found: Sequence[SeenContainer], *, all_of_them: bool) -> int:
    """Tell each end as it comes; the last exit code, or the first that isn't 0."""
    import queue
    import threading

    clients = Clients(session.client)
    ends: queue.SimpleQueue[tuple[SeenContainer, int]] = queue.SimpleQueue()

    def wait_for(each: SeenContainer) -> None:
        with clients.listener() as client:
            answer = document(client.containers.begin_wait(each.identifier).json())
            ends.put((each, number(answer, "StatusCode")))

    for each in found:
        threading.Thread(target=wait_for, args=(each,), daemon=True).start()
    code = 0
    for _ in found if all_of_them else found[:1]:
        ended, status = ends.get()
        session.say(f'container "{ended.identifier}" exited with status code {status}')
        code = status
    return code


def _found(session: Session, parsed: Parsed) -> tuple[Named, Application, list[SeenContainer]]:
    """The project, all its services, and the containers that the command is about."""
    named = named_project(session, parsed)
    made = remembered_application(session, parsed, named)
    found = containers_of(session, named, _chosen(named, parsed))
    return named, made, found


def _chosen(named: Named, parsed: Parsed) -> list[str]:
    """The services that were named, or those that the profiles enable; without files, all."""
    if parsed.arguments or named.project is None:
        return parsed.arguments
    return list(named.project.services())


def _carry_out(
    session: Session,
    parsed: Parsed,
    plan: Plan,
    made: Application,
    containers: Sequence[SeenContainer],
) -> None:
    if plan.steps:
        carry_out(session, parsed, plan, made, Observed(containers=list(containers)))


_TIMEOUT = Flag("timeout", INT, "Seconds until a container that is stopped is killed", short="t")
_SHAPE = "[SERVICE...]"
START = ComposeCommand(_SHAPE, "Start services", ANY, start)
STOP = ComposeCommand(_SHAPE, "Stop services", ANY, stop, (_TIMEOUT,))
RESTART = ComposeCommand(
    _SHAPE,
    "Restart service containers",
    ANY,
    restart,
    (Flag("no-deps", SWITCH, "Don't restart what depends on them"), _TIMEOUT),
)
KILL = ComposeCommand(
    _SHAPE,
    "Force stop service containers",
    ANY,
    kill,
    (
        Flag("remove-orphans", SWITCH, "Remove containers of services that the files don't have"),
        Flag("signal", STRING, "The signal to send", short="s", default='"SIGKILL"'),
    ),
)
PAUSE = ComposeCommand(_SHAPE, "Pause services", ANY, pause)
UNPAUSE = ComposeCommand(_SHAPE, "Unpause services", ANY, unpause)
RM = ComposeCommand(
    _SHAPE,
    "Remove stopped service containers",
    ANY,
    remove,
    (
        Flag("force", SWITCH, "Don't ask", short="f"),
        Flag("stop", SWITCH, "Stop them first", short="s"),
        Flag("volumes", SWITCH, "Remove their anonymous volumes too", short="v"),
    ),
)
SCALE = ComposeCommand(
    "SERVICE=REPLICAS...",
    "Scale services",
    ONE_OR_MORE,
    scale,
    (Flag("no-deps", SWITCH, "Don't start what they depend on"),),
)
WAIT = ComposeCommand(
    "SERVICE [SERVICE...]",
    "Block until containers of all (or specified) services stop.",
    ONE_OR_MORE,
    wait,
    (Flag("down-project", SWITCH, "Remove the project when the first has ended"),),
)
