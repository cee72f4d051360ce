"""`compose run`: one container of a service, for one command."""

import secrets
import sys

from wherry.cli.command import ONE_OR_MORE
from wherry.cli.compose.carrying_out import carry_out
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.images import make_images_present
from wherry.cli.compose.selection import application_of, is_set, warner
from wherry.cli.containers.interaction import Streams
from wherry.cli.containers.run import run_attached, run_detached
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import LIST, STRING, SWITCH, Flag, Parsed, repeated
from wherry.cli.options.environment import EnvironmentFileError, environment, read_variable
from wherry.cli.session import Session
from wherry.client.documents import text
from wherry.compose import (
    STARTED,
    Application,
    Clients,
    ComposeError,
    Making,
    Observed,
    OneOff,
    Performer,
    Plan,
    RunWishes,
    UpWishes,
    awaiting,
    observe,
    one_off_service,
    plan_up,
    split_words,
)
from wherry.kit.values import replace


def run(session: Session, parsed: Parsed) -> int:
    """Start what the service depends on, then the service once; its exit code."""
    service, *command = parsed.arguments
    if parsed.texts("publish") and parsed.is_on("service-ports"):
        raise CommandFailed("--service-ports and --publish are incompatible")
    made = application_of(
        session, parsed, [service], with_dependencies=not parsed.is_on("no-deps")
    )
    streams = _streams(session, parsed)
    wishes = _wishes(parsed, command, streams)
    services = {**made.services, service: one_off_service(made.services[service], wishes)}
    made = replace(made, services=services)
    make_images_present(session, parsed, made)
    seen = _with_dependencies(session, parsed, made, service)
    if parsed.is_on("dry-run"):
        return 0
    performer = Performer(Clients(session.client), made, seen, warner(session))
    identifier = performer.create(session.client, _making(parsed, made, service))
    if streams is None:
        return run_detached(session, parsed, identifier)
    return run_attached(session, parsed, identifier, streams)


def _with_dependencies(
    session: Session, parsed: Parsed, made: Application, service: str
) -> Observed:
    """Bring up what the service depends on, and wait until that is as it needs it."""
    others = {name: each for name, each in made.services.items() if name != service}
    needed = replace(made, services=others)
    seen = observe(session.client, made.name, made.images())
    wishes = UpWishes(
        ignores_orphans=not others or is_set(made.environment, "COMPOSE_IGNORE_ORPHANS"),
        removes_orphans=parsed.is_on("remove-orphans"),
    )
    plan = plan_up(needed, seen, wishes)
    if plan.steps:
        carry_out(session, parsed, plan, needed, seen)
        if parsed.is_on("dry-run"):
            return seen
        seen = observe(session.client, made.name, made.images())
    waits = Plan()
    for other, wanted in made.dependencies(service).items():
        names = [each.name for each in seen.of_service(other)]
        if text(wanted, "condition") != STARTED and names:
            is_required = wanted.get("required") is not False
            action = awaiting(other, names, text(wanted, "condition"), is_required=is_required)
            waits.add(f"await {other}", action, f"{service} depends on it")
    if waits.steps:
        carry_out(session, parsed, waits, made, seen)
    return seen


def _making(parsed: Parsed, made: Application, service: str) -> Making:
    slug = secrets.token_hex(32)
    return Making(
        service=service,
        name=parsed.text("name") or made.joined(made.name, service, "run", slug[:12]),
        has_aliases=parsed.is_on("use-aliases"),
        one_off=OneOff(
            slug=slug,
            attaches_stdin=parsed.is_on("interactive", default=True),
            is_removed=parsed.is_on("rm"),
        ),
    )


def _streams(session: Session, parsed: Parsed) -> Streams | None:
    """The streams of the run; None when it is left in the background."""
    if parsed.is_on("detach"):
        return None
    wants_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if parsed.was_given("no-TTY"):
        wants_terminal = not parsed.is_on("no-TTY")
    elif parsed.was_given("tty"):
        wants_terminal = parsed.is_on("tty")
    return Streams(
        stdin=parsed.is_on("interactive", default=True),
        stdout=True,
        stderr=True,
        has_terminal=wants_terminal,
        detach_keys=session.setting("detachKeys"),
    )


def _wishes(parsed: Parsed, command: list[str], streams: Streams | None) -> RunWishes:
    try:
        variables = environment(parsed.texts("env-from-file"), parsed.texts("env"))
    except EnvironmentFileError as problem:
        raise CommandFailed(str(problem)) from None
    labels = (each.partition("=") for each in parsed.texts("label"))
    entrypoint = None
    if parsed.was_given("entrypoint"):
        try:
            entrypoint = list(split_words(parsed.text("entrypoint")))
        except ValueError as problem:
            raise ComposeError(f"--entrypoint: {problem}") from None
    return RunWishes(
        command=command,
        entrypoint=entrypoint,
        environment=dict(_pair(each) for each in variables),
        labels={key: value for key, _, value in labels},
        published=parsed.texts("publish"),
        volumes=parsed.texts("volume"),
        added_capabilities=parsed.texts("cap-add"),
        dropped_capabilities=parsed.texts("cap-drop"),
        user=parsed.text("user"),
        working_directory=parsed.text("workdir"),
        name=parsed.text("name"),
        has_terminal=streams is not None and streams.has_terminal,
        opens_stdin=parsed.is_on("interactive", default=True),
        has_service_ports=parsed.is_on("service-ports"),
    )


def _pair(variable: str) -> tuple[str, str | None]:
    name, equals, value = variable.partition("=")
    return name, value if equals else None


RUN = ComposeCommand(
    "SERVICE [COMMAND] [ARGS...]",
    "Run a one-off command on a service",
    ONE_OR_MORE,
    run,
    (
        Flag("build", SWITCH, "Build the image first"),
        Flag("cap-add", LIST, "Add Linux capabilities"),
        Flag("cap-drop", LIST, "Drop Linux capabilities"),
        Flag("detach", SWITCH, "Leave it in the background, and print its id", short="d"),
        Flag("entrypoint", STRING, "Instead of the image's entrypoint"),
        Flag("env", repeated("list", read_variable), "Set environment variables", short="e"),
        Flag("env-from-file", LIST, "Set environment variables of a file"),
        Flag("interactive", SWITCH, "Keep STDIN open", short="i", default="true"),
        Flag("label", LIST, "Add a label", short="l"),
        Flag("name", STRING, "Name of the container"),
        Flag("no-TTY", SWITCH, "No terminal; by default there is one where ours is", short="T"),
        Flag("no-deps", SWITCH, "Don't start what the service depends on"),
        Flag("publish", LIST, "Publish a port", short="p"),
        Flag("pull", STRING, 'Pull images first ("always"|"missing"|"never")'),
        Flag("quiet", SWITCH, "No output of our own", short="q"),
        Flag("quiet-build", SWITCH, "Build without output"),
        Flag("quiet-pull", SWITCH, "Pull without progress"),
        Flag("remove-orphans", SWITCH, "Remove containers of services that the files don't have"),
        Flag("rm", SWITCH, "Remove it when it has ended"),
        Flag("service-ports", SWITCH, "Publish the service's ports", short="P"),
        Flag("tty", SWITCH, "A terminal, which is the default", "t", is_hidden=True),
        Flag("use-aliases", SWITCH, "Give it the service's names on its networks"),
        Flag("user", STRING, "Run as this user", short="u"),
        Flag("volume", LIST, "Mount a volume or a directory", short="v"),
        Flag("workdir", STRING, "Working directory", short="w"),
    ),
    interspersed=False,
)
