"""`compose up` and `create`: from what is there to what the files say."""

from wherry.cli.command import ANY
from wherry.cli.compose.bringing_up import see_with_images, wishes_for
from wherry.cli.compose.carrying_out import carry_out
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.selection import application_of
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import INT, LIST, STRING, SWITCH, Flag, Parsed, absent_flag
from wherry.cli.session import Session
from wherry.compose import Application, OutOfPatience, plan_up


def up(session: Session, parsed: Parsed) -> int:
    """Make, start, and stay with the containers unless that is unwanted."""
    check_flags(parsed)
    made = application_of(
        session,
        parsed,
        parsed.arguments,
        scales=scales_of(parsed),
        with_dependencies=not parsed.is_on("no-deps"),
    )
    if not made.services:
        raise CommandFailed("no service selected")
    is_detached = parsed.is_on("detach") or parsed.is_on("wait")
    starts = not parsed.is_on("no-start")
    if is_detached or not starts or parsed.is_on("dry-run"):
        return _bring_up(session, parsed, made, starts=starts)
    from wherry.cli.compose.attached import up_attached

    return up_attached(session, parsed, made)


def create(session: Session, parsed: Parsed) -> int:
    """Make the containers, and start none."""
    _refuse_pairs(parsed, _EXCLUSIVE)
    made = application_of(session, parsed, parsed.arguments, scales=scales_of(parsed))
    return _bring_up(session, parsed, made, starts=False)


def _bring_up(session: Session, parsed: Parsed, made: Application, *, starts: bool) -> int:
    seen = see_with_images(session, parsed, made)
    plan = plan_up(made, seen, wishes_for(session, parsed, made, seen, starts=starts))
    patience = parsed.number("wait-timeout")
    try:
        carry_out(session, parsed, plan, made, seen, patience_s=patience or None)
    except OutOfPatience:
        raise CommandFailed(f"application not healthy after {patience}s") from None
    return 0


_ABORTS = ("abort-on-container-exit", "abort-on-container-failure", "exit-code-from")
_EXCLUSIVE = (
    ("force-recreate", "no-recreate"),
    ("always-recreate-deps", "no-recreate"),
    ("build", "no-build"),
)


def check_flags(parsed: Parsed) -> None:
    """Raises: CommandFailed for flags that contradict each other."""
    if parsed.was_given("wait") and any(parsed.was_given(name) for name in _ABORTS):
        raise CommandFailed(
            "--wait cannot be combined with --abort-on-container-exit, --attach or "
            "--attach-dependencies"
        )
    if parsed.is_on("detach") or parsed.is_on("wait"):
        refused = [*_ABORTS, "attach", "attach-dependencies", "watch"]
        for name in refused:
            if parsed.was_given(name):
                raise CommandFailed(
                    f"--detach cannot be combined with {', '.join(f'--{x}' for x in refused)}"
                )
    if parsed.is_on("no-deps") and not parsed.arguments and parsed.was_given("attach"):
        raise CommandFailed("--no-deps needs the names of services")
    if parsed.texts("attach") and parsed.is_on("attach-dependencies"):
        raise CommandFailed("cannot combine --attach and --attach-dependencies")
    if parsed.was_given("wait-timeout") and parsed.number("wait-timeout") < 0:
        raise CommandFailed("--wait-timeout must be a non-negative integer")
    _refuse_pairs(parsed, _EXCLUSIVE)


def _refuse_pairs(parsed: Parsed, pairs: tuple[tuple[str, str], ...]) -> None:
    for first, second in pairs:
        if parsed.is_on(first) and parsed.is_on(second):
            raise CommandFailed(f"--{first} and --{second} are incompatible")


def scales_of(parsed: Parsed) -> dict[str, int]:
    """The numbers of `--scale`. Raises: CommandFailed."""
    result = {}
    for told in parsed.texts("scale"):
        name, equals, count = told.partition("=")
        if not equals or not count.isdigit():
            raise CommandFailed(f'invalid --scale option "{told}". Should be SERVICE=NUM')
        result[name] = int(count)
    return result


_SCALE = LIST._replace(label="scale")
CREATION_FLAGS = (
    Flag("build", SWITCH, "Build images before starting containers"),
    Flag("force-recreate", SWITCH, "Recreate containers even if nothing about them has changed"),
    Flag("no-build", SWITCH, "Don't build an image, even if it's policy"),
    Flag("no-recreate", SWITCH, "Don't recreate containers that are there"),
    Flag("pull", STRING, 'Pull images first ("always"|"missing"|"never")', default='"policy"'),
    Flag("quiet-pull", SWITCH, "Pull without progress"),
    Flag("remove-orphans", SWITCH, "Remove containers of services that the files don't have"),
    Flag("scale", _SCALE, "Run a number of containers of a service: SERVICE=NUM"),
    Flag("yes", SWITCH, 'Answer "yes" to all questions', short="y"),
)
UP = ComposeCommand(
    "[SERVICE...]",
    "Create and start containers",
    ANY,
    up,
    (
        *CREATION_FLAGS,
        Flag("abort-on-container-exit", SWITCH, "Stop all containers once one has ended"),
        Flag("abort-on-container-failure", SWITCH, "Stop all containers once one has failed"),
        Flag("always-recreate-deps", SWITCH, "Recreate the containers of dependencies too"),
        Flag("attach", LIST, "Show the output of these services only"),
        Flag("attach-dependencies", SWITCH, "Show the output of dependencies too"),
        Flag("detach", SWITCH, "Leave the containers running in the background", short="d"),
        Flag("exit-code-from", STRING, "End with a service's exit code, once one has ended"),
        absent_flag("menu", "shortcuts on the keyboard while it runs"),
        Flag("no-attach", LIST, "Don't show the output of these services"),
        Flag("no-color", SWITCH, "No colours"),
        Flag("no-deps", SWITCH, "Leave out what the named services depend on"),
        Flag("no-log-prefix", SWITCH, "No container's name before each line"),
        Flag("no-start", SWITCH, "Create, and don't start"),
        Flag("quiet-build", SWITCH, "Build without output"),
        Flag("renew-anon-volumes", SWITCH, "New anonymous volumes for recreated ones", "V"),
        Flag("timeout", INT, "Seconds until a container that is stopped is killed", short="t"),
        Flag("timestamps", SWITCH, "Show when each line was written"),
        Flag("wait", SWITCH, "Wait until all run or are healthy; in the background"),
        Flag("wait-timeout", INT, "The most seconds that --wait waits"),
        Flag("watch", SWITCH, "Watch the files, and rebuild or refresh containers", short="w"),
    ),
)
CREATE = ComposeCommand(
    "[SERVICE...]", "Create containers for a service", ANY, create, CREATION_FLAGS
)
