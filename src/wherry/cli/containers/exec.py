"""`exec`: another command in a running container."""

from wherry.cli.command import TWO_OR_MORE, Command
from wherry.cli.containers.attach import DETACH_KEYS
from wherry.cli.containers.interaction import Interaction, Streams, check_terminal
from wherry.cli.containers.streaming import Ending
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import LIST, STRING, SWITCH, Flag, Parsed, repeated
from wherry.cli.options.environment import EnvironmentFileError, environment, read_variable
from wherry.cli.session import Session
from wherry.cli.terminal import size
from wherry.client.documents import Document, number


def run(session: Session, parsed: Parsed) -> int:
    """Run a command in a container; its exit code, or 0 when it goes on detached."""
    container = parsed.arguments[0]
    is_detached = parsed.is_on("detach")
    streams = Streams(
        stdin=parsed.is_on("interactive") and not is_detached,
        stdout=not is_detached,
        stderr=not is_detached,
        has_terminal=parsed.is_on("tty"),
        detach_keys=parsed.text("detach-keys") or session.setting("detachKeys"),
    )
    try:
        config = _config(parsed, streams)
    except EnvironmentFileError as problem:
        raise CommandFailed(str(problem)) from None
    client = session.client
    client.containers.inspect(container)  # A missing container is told before anything else.
    if not is_detached:
        try:
            check_terminal(stdin=streams.stdin, has_terminal=streams.has_terminal)
        except ValueError as problem:
            raise CommandFailed(str(problem)) from None
    identifier = client.execs.create(container, config)
    if is_detached:
        client.execs.start_detached(identifier, has_terminal=streams.has_terminal)
        return 0
    stream = client.execs.start(
        identifier,
        has_terminal=streams.has_terminal,
        size=size(1) if streams.has_terminal and client.speaks("1.42") else None,
    )
    resize = lambda rows, columns: client.execs.resize(  # noqa: E731
        identifier, rows=rows, columns=columns
    )
    with Interaction(streams, resize=resize) as interaction:
        interaction.fit_terminal()
        if interaction.carry(stream) is Ending.DETACHED:
            raise CommandFailed("read escape sequence")
    return number(client.execs.inspect(identifier), "ExitCode")


def _config(parsed: Parsed, streams: Streams) -> Document:
    config: Document = {
        "User": parsed.text("user"),
        "Privileged": parsed.is_on("privileged"),
        "Tty": streams.has_terminal,
        "AttachStdin": streams.stdin,
        "AttachStdout": streams.stdout,
        "AttachStderr": streams.stderr,
        "Detach": parsed.is_on("detach"),
        "DetachKeys": streams.detach_keys,
        "Env": list(environment(parsed.texts("env-file"), parsed.texts("env"))) or None,
        "WorkingDir": parsed.text("workdir"),
        "Cmd": list(parsed.arguments[1:]),
    }
    if streams.has_terminal and (found := size(1)) is not None:
        config["ConsoleSize"] = list(found)
    return config


EXEC = Command(
    shape="CONTAINER COMMAND [ARG...]",
    summary="Execute a command in a running container",
    arguments=TWO_OR_MORE,
    run=run,
    interspersed=False,
    flags=(
        Flag("detach", SWITCH, "Run the command in the background", short="d"),
        DETACH_KEYS,
        Flag("env", repeated("list", read_variable), "Set environment variables", short="e"),
        Flag("env-file", LIST, "Read environment variables from a file"),
        Flag("interactive", SWITCH, "Keep STDIN open even if not attached", short="i"),
        Flag("privileged", SWITCH, "Give the command extended privileges"),
        Flag("tty", SWITCH, "Allocate a pseudo-TTY", short="t"),
        Flag("user", STRING, 'User name or id ("<name|uid>[:<group|gid>]")', short="u"),
        Flag("workdir", STRING, "Working directory inside the container", short="w"),
    ),
)
