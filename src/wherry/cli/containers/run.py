"""`run`: create, pull if need be, attach, start, wait.

The stream and the wait are opened before the start, so that neither output nor exit is missed:

    client                          engine
    create            ------------> 404: no such image
    pull, create      ------------> 201
    attach            ------------> the stream is open
    wait (next-exit)  ------------> waiting
    start             ------------> output, then the end of the stream, then the exit code
"""

import os
from contextlib import suppress

from wherry.cli.command import ONE_OR_MORE, Command
from wherry.cli.containers.attach import DETACH_KEYS
from wherry.cli.containers.create import check_pull_policy, create
from wherry.cli.containers.interaction import (
    Interaction,
    Streams,
    check_terminal,
    container_resizer,
    signal_sender,
)
from wherry.cli.containers.streaming import Ending
from wherry.cli.failures import CommandFailed, UsageProblem
from wherry.cli.flags import SWITCH, Flag, Kind, Parsed
from wherry.cli.options.container_config import create_request, streams_of
from wherry.cli.options.container_flags import CONTAINER_FLAGS
from wherry.cli.session import Session, explain
from wherry.client.errors import ApiError, ClientError

FAILED, CANNOT_EXECUTE, NOT_FOUND = 125, 126, 127


def run(session: Session, parsed: Parsed) -> int:
    """Create and run a container; its exit code, or 125 to 127 when it never ran."""
    try:
        request = create_request(parsed)
        check_pull_policy(parsed)
        streams = _streams(session, parsed)
    except ValueError as problem:
        raise UsageProblem(str(problem), code=FAILED) from None
    if streams is None:
        request |= {
            "AttachStdin": False, "AttachStdout": False, "AttachStderr": False,
            "StdinOnce": False,
        }  # fmt: skip
    else:
        try:
            check_terminal(stdin=streams.stdin, has_terminal=streams.has_terminal)
        except ValueError as problem:
            raise CommandFailed(str(problem)) from None
    try:
        identifier = create(session, parsed, request).identifier
    except (ClientError, OSError) as problem:
        raise UsageProblem(explain(problem), code=FAILED) from None
    except CommandFailed as problem:
        raise UsageProblem(problem.message, code=FAILED) from None
    if streams is None:
        return run_detached(session, parsed, identifier)
    return run_attached(session, parsed, identifier, streams)


def _streams(session: Session, parsed: Parsed) -> Streams | None:
    """The streams to attach; None when the container runs detached."""
    if parsed.is_on("detach"):
        if parsed.texts("attach"):
            raise CommandFailed("conflicting options: cannot specify both --attach and --detach")
        return None
    stdin, stdout, stderr = streams_of(parsed)
    return Streams(
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        has_terminal=parsed.is_on("tty"),
        detach_keys=parsed.text("detach-keys") or session.setting("detachKeys"),
    )


def run_detached(session: Session, parsed: Parsed, identifier: str) -> int:
    """Start a container, and print its id."""
    try:
        session.client.containers.start(identifier)
    except (ClientError, OSError) as problem:
        _explain(session, parsed, identifier)
        session.say(identifier)
        raise _start_failure(problem) from None
    _explain(session, parsed, identifier)
    session.say(identifier)
    return 0


def run_attached(session: Session, parsed: Parsed, identifier: str, streams: Streams) -> int:
    """Start a container with this process's streams at it; its exit code."""
    client = session.client
    proxies = parsed.is_on("sig-proxy", default=True)
    sender = signal_sender(client, identifier) if proxies else None
    stream = client.containers.attach(
        identifier,
        stdin=streams.stdin,
        stdout=streams.stdout,
        stderr=streams.stderr,
        detach_keys=streams.detach_keys,
    )
    waiting = client.containers.begin_wait(
        identifier, "removed" if parsed.is_on("rm") else "next-exit"
    )
    with Interaction(
        streams, resize=container_resizer(client, identifier), send_signal=sender
    ) as interaction:
        try:
            client.containers.start(identifier)
        except (ClientError, OSError) as problem:
            stream.close()
            _explain(session, parsed, identifier)
            if parsed.is_on("rm"):
                interaction.exit_code(waiting)  # It is gone before we say that it failed.
            raise _start_failure(problem) from None
        _explain(session, parsed, identifier)
        interaction.fit_terminal()
        if interaction.carry(stream) is Ending.DETACHED:
            return 0
        return interaction.exit_code(waiting)


def _explain(session: Session, parsed: Parsed, identifier: str) -> None:
    """`--explain`: the plan of the start, on stderr before the container's own output."""
    form = parsed.text("explain")
    if not form:
        return
    try:
        explanation = session.client.wherry.explain(identifier, form=form)
    except ApiError as problem:
        session.complain(f"wherry: cannot explain {identifier[:12]}: {problem.message}")
        return
    session.out.flush()
    session.err.flush()
    with suppress(BrokenPipeError):
        os.write(2, explanation if explanation.endswith(b"\n") else explanation + b"\n")


def _start_failure(problem: ClientError | OSError) -> CommandFailed:
    """Docker reads the kind of failure out of the engine's text."""
    message = explain(problem)
    lowered = message.lower()
    code = FAILED
    if "executable file not found" in lowered or "no such file or directory" in lowered:
        code = NOT_FOUND
    elif "permission denied" in lowered or "is a directory" in lowered:
        code = CANNOT_EXECUTE
    return UsageProblem(message, code=code)


def _read_form(text: str) -> str:
    if text not in ("text", "json", "shell"):
        raise ValueError("must be text, json or shell")
    return text


RUN = Command(
    shape="IMAGE [COMMAND] [ARG...]",
    summary="Create and run a new container from an image",
    arguments=ONE_OR_MORE,
    run=run,
    flags=(
        *CONTAINER_FLAGS,
        Flag("detach", SWITCH, "Run in the background and print the container's id", short="d"),
        DETACH_KEYS,
        Flag(
            "explain",
            Kind("string", _read_form, without_value="text"),
            "Say on STDERR what was done to the kernel (text, json or shell)",
        ),
        Flag("sig-proxy", SWITCH, "Hand signals on to the process", default="true"),
    ),
    interspersed=False,
)
