"""`compose exec`, `attach`, `cp`, `commit`, `export`: what the engine's own commands do, for the
container that a service's name means."""

import sys

from wherry.cli.command import TWO, TWO_OR_MORE, Arguments
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.selection import containers_of, named_project, one_container
from wherry.cli.compose.telling import telling
from wherry.cli.containers import attach, copying, exec
from wherry.cli.containers import files as container_files
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import INT, STRING, SWITCH, Flag, Parsed, repeated
from wherry.cli.options.environment import read_variable
from wherry.cli.session import Session
from wherry.compose import Told

_ONE = Arguments(1, 1)
_INDEX = Flag("index", INT, "The number of the container, if its service has several")


def run_exec(session: Session, parsed: Parsed) -> int:
    """Run a command in a service's container; with a terminal where there is one."""
    service, *words = parsed.arguments
    container = _container(session, parsed, service)
    wants_terminal = not parsed.is_on("no-tty") and not parsed.is_on("T") and sys.stdin.isatty()
    values = {
        **parsed.values,
        "interactive": parsed.is_on("interactive", default=True),
        "tty": wants_terminal and not parsed.is_on("detach"),
    }
    return exec.run(session, Parsed(values, [container, *words]))


def run_attach(session: Session, parsed: Parsed) -> int:
    """This terminal's streams at a service's container."""
    container = _container(session, parsed, parsed.arguments[0])
    return attach.run(session, Parsed(parsed.values, [container]))


def copy(session: Session, parsed: Parsed) -> int:
    """Copy to all containers of a service, or from its first."""
    named = named_project(session, parsed)
    source, target = parsed.arguments
    service, path, is_out = _place(source), _place(target), True
    if service and path:
        raise CommandFailed("copying between services is not supported")
    found = service or path
    if found is None:
        raise CommandFailed("unknown copy direction")
    is_out = service is not None
    name, inside = found
    containers = [
        each
        for each in containers_of(session, named, with_one_offs=parsed.is_on("all"),
                                  index=parsed.number("index"))
        if each.service == name
    ]  # fmt: skip
    if not containers:
        raise CommandFailed(f'no container found for service "{name}"')
    with telling(session, parsed, "Copying") as report:
        for each in containers[:1] if is_out else containers:
            there = f"{each.name}:{inside}"
            pair = [there, target] if is_out else [source, there]
            subject = f"{each.name} copy {pair[0]} to {pair[1]}"
            report(Told(subject, "Copying", is_over=False))
            if not parsed.is_on("dry-run"):
                values = {**parsed.values, "quiet": True}
                copying.run(session, Parsed(values, pair))
            report(Told(subject, "Copied"))
    return 0


def _place(argument: str) -> tuple[str, str] | None:
    """Service and path; None for a path of this machine."""
    if argument == "-" or argument.startswith((".", "/")):
        return None
    service, colon, path = argument.partition(":")
    return (service, path) if colon else None


def commit(session: Session, parsed: Parsed) -> int:
    """Make an image of a service's container."""
    service, *reference = parsed.arguments
    container = _container(session, parsed, service)
    subject = f"{container} Commit {container}"
    with telling(session, parsed, "Committing") as report:
        report(Told(subject, "Committing", is_over=False))
        made = container_files.committed(session, parsed, container, reference)
        report(Told(subject, f"Committed as {made}"))
    return 0


def export(session: Session, parsed: Parsed) -> int:
    """Write a tar of a service's container."""
    container = _container(session, parsed, parsed.arguments[0])
    if path := parsed.text("output"):
        with telling(session, parsed, "Exporting") as report:
            report(Told(f"{container} export {container} to {path}", "Exporting"))
    return container_files.export(session, Parsed(parsed.values, [container]))


def _container(session: Session, parsed: Parsed, service: str) -> str:
    named = named_project(session, parsed)
    return one_container(session, named, service, parsed.number("index")).name


EXEC = ComposeCommand(
    "SERVICE COMMAND [ARGS...]",
    "Execute a command in a running container",
    TWO_OR_MORE,
    run_exec,
    (
        Flag("detach", SWITCH, "Run the command in the background", short="d"),
        Flag("env", repeated("list", read_variable), "Set environment variables", short="e"),
        _INDEX,
        Flag("interactive", SWITCH, "Keep STDIN open", "i", default="true", is_hidden=True),
        Flag("no-tty", SWITCH, "No terminal; by default there is one where ours is", short="T"),
        Flag("privileged", SWITCH, "Give the command extended privileges"),
        Flag("tty", SWITCH, "A terminal, which is the default", "t", is_hidden=True),
        Flag("user", STRING, "Run the command as this user", short="u"),
        Flag("workdir", STRING, "Working directory of the command", short="w"),
    ),
    interspersed=False,
)
ATTACH = ComposeCommand(
    "SERVICE",
    "Attach local standard input, output, and error streams to a service's running container",
    _ONE,
    run_attach,
    (*attach.ATTACH.flags, _INDEX),
)
CP = ComposeCommand(
    "SERVICE:SRC_PATH DEST_PATH | SRC_PATH SERVICE:DEST_PATH",
    "Copy files/folders between a service container and the local filesystem",
    TWO,
    copy,
    (
        Flag("all", SWITCH, "Include containers that run made"),
        Flag("archive", SWITCH, "Give everything to the container's user", short="a"),
        Flag("follow-link", SWITCH, "Copy what a link at the source leads to", short="L"),
        _INDEX,
    ),
)
COMMIT = ComposeCommand(
    "SERVICE [REPOSITORY[:TAG]]",
    "Create a new image from a service container's changes",
    Arguments(1, 2),
    commit,
    (*container_files.COMMIT.flags, _INDEX),
)
EXPORT = ComposeCommand(
    "SERVICE",
    "Export a service container's filesystem as a tar archive",
    _ONE,
    export,
    (*container_files.EXPORT.flags, _INDEX),
)
