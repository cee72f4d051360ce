"""From argv to an exit code: global flags, the command's name, its flags, and its failures."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TextIO

from wherry.cli import catalogue
from wherry.cli.command import NO_LIMIT, Command, count_problem
from wherry.cli.failures import CommandFailed, UsageProblem
from wherry.cli.flags import LIST, STRING, SWITCH, Flag, FlagError, HelpWanted, Parsed, parse
from wherry.cli.session import Choice, Session, choose_endpoint, explain
from wherry.client.endpoint import TlsFiles
from wherry.client.errors import ClientError

BAD_FLAG, INTERRUPTED, BROKEN_PIPE = 125, 130, 141
PROGRAM = "wherry"
COMPLETE = "__complete"
"""The command that the scripts of `completion` run; its words may be anything."""
VERSION = "0.1.0"

GLOBAL_FLAGS = (
    Flag("config", STRING, "Directory of the client's configuration", default='"~/.docker"'),
    Flag(
        "context",
        STRING,
        "Name of the context to use to connect to the engine (overrides"
        ' DOCKER_HOST and the default context set with "wherry context use")',
        short="c",
    ),
    Flag("debug", SWITCH, "Show where a failure comes from", short="D"),
    Flag("host", LIST, "The engine's socket (unix:///path or tcp://host:port)", short="H"),
    Flag("log-level", STRING, "Accepts debug, info, warn, error and fatal", "l", '"info"'),
    Flag("no-autostart", SWITCH, "Don't start a daemon when none answers"),
    Flag("tls", SWITCH, "Use TLS; implied by --tlsverify"),
    Flag("tlscacert", STRING, "Trust certs signed only by this CA", default='"~/.docker/ca.pem"'),
    Flag("tlscert", STRING, "Path to TLS certificate file", default='"~/.docker/cert.pem"'),
    Flag("tlskey", STRING, "Path to TLS key file", default='"~/.docker/key.pem"'),
    Flag("tlsverify", SWITCH, "Use TLS and verify the remote"),
    Flag("version", SWITCH, "Print version information and quit", short="v"),
)
_LEVELS = ("debug", "info", "warn", "error", "fatal")


def main(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not try to flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        options = parse(arguments, GLOBAL_FLAGS, interspersed=False)
    except HelpWanted:
        return _show_program_help()
    except FlagError as problem:
        _complain(f"{problem}\n\nUsage:  {PROGRAM} [OPTIONS] COMMAND [ARG...]\n")
        _complain(f"Run '{PROGRAM} --help' for more information")
        return BAD_FLAG
    if options.is_on("version"):
        print(f"Wherry version {VERSION}")
        return 0
    words = options.arguments
    if not words:
        return _show_program_help(sys.stderr)
    if words[0] == "help":
        return _help(words[1:])
    return _dispatch(options, words)


def _dispatch(options: Parsed, words: list[str]) -> int:
    if words[0] == COMPLETE:
        session = _session(options, may_autostart=False)
        return _load(catalogue.CANDIDATES).run(session, Parsed({}, words[1:]))
    path, rest = _resolve(words)
    if path in catalogue.ENTRIES:
        return _run_command(options, path, rest)
    if path in catalogue.GROUPS:
        return _run_group(path, rest)
    if path in catalogue.ABSENT:
        _complain(f"{PROGRAM}: '{PROGRAM} {path}' is not there yet")
        return 1
    _complain(f"{PROGRAM}: unknown command: {PROGRAM} {path}\n")
    _complain(f"Run '{PROGRAM} --help' for more information")
    return 1


def _resolve(words: list[str]) -> tuple[str, list[str]]:
    """The command's canonical path, and what follows it."""
    if words[0] in catalogue.GROUPS and len(words) > 1:
        path = f"{words[0]} {words[1]}"
        path = catalogue.ALIASES.get(path, path)
        if path in catalogue.ENTRIES or path in catalogue.ABSENT:
            return path, words[2:]
    return words[0], words[1:]


def _run_group(group: str, rest: list[str]) -> int:
    """A group of commands, with no command that is in it: help is the answer to some words."""
    from wherry.cli import usage

    if not rest:
        _complain(usage.group_help(group))
        return 0
    words = [word for word in rest if word not in ("--help", "-h")]
    if len(words) < len(rest):
        path, _ = _resolve([group, *words])
        known = path in catalogue.ENTRIES
        print(usage.command_help(path, load_command(path)) if known else usage.group_help(group))
        return 0
    try:
        [unknown, *_] = parse(rest, ()).arguments
    except FlagError as problem:
        code, told = BAD_FLAG, str(problem)
    else:
        code, told = 1, f"{PROGRAM}: unknown command: {PROGRAM} {group} {unknown}"
    _complain(f"{told}\n\nUsage:  {PROGRAM} {group}\n")
    _complain(f"Run '{PROGRAM} {group} --help' for more information")
    return code


def load_command(path: str) -> Command:
    """Import the command of a canonical path."""
    return _load(catalogue.ENTRIES[path])


def _load(entry: catalogue.Entry) -> Command:
    command = getattr(import_module(f"wherry.cli.{entry.module}"), entry.command)
    if not isinstance(command, Command):
        raise TypeError(f"{entry.module}.{entry.command} is no command")
    return command


def _run_command(options: Parsed, path: str, words: list[str]) -> int:
    command = load_command(path)
    try:
        parsed = parse(words, command.flags, interspersed=command.interspersed)
    except HelpWanted as wanted:
        from wherry.cli import usage

        if str(wanted):
            _complain(str(wanted))
        print(usage.command_help(path, command))
        return 0
    except FlagError as problem:
        _complain_with_usage(str(problem), path, command)
        return BAD_FLAG
    if problem_text := count_problem(
        f"{PROGRAM} {path}", len(parsed.arguments), command.arguments
    ):
        is_open = command.arguments.most == NO_LIMIT
        lead = "See" if is_open else "Run"
        _complain_with_usage(f"{PROGRAM}: {problem_text}", path, command, lead=lead)
        return 1
    try:
        return command.run(_session(options), parsed)
    except CommandFailed as failure:
        _tell(failure, path)
        return failure.code
    except (ClientError, OSError) as problem:
        if isinstance(problem, BrokenPipeError) or options.is_on("debug"):
            raise
        sys.stdout.flush()
        _complain(explain(problem))
        return 1


def _tell(failure: CommandFailed, path: str) -> None:
    sys.stdout.flush()
    if isinstance(failure, UsageProblem):
        _complain(f"{PROGRAM}: {failure.message}\n")
        _complain(f"Run '{PROGRAM} {path} --help' for more information")
    elif failure.message:
        _complain(failure.message)


def _session(options: Parsed, *, may_autostart: bool = True) -> Session:
    level = options.text("log-level", "info")
    if level not in _LEVELS:
        raise CommandFailed(f"Unable to parse logging level: {level}", code=1)
    endpoint, is_default = choose_endpoint(
        Choice(
            options.texts("host"), options.text("context"), options.text("config"), _tls(options)
        )
    )
    is_forbidden = options.is_on("no-autostart") or bool(os.environ.get("WHERRY_NO_AUTOSTART"))
    return Session(
        endpoint,
        is_default_endpoint=is_default,
        may_autostart=may_autostart and not is_forbidden,
        is_debugging=options.is_on("debug") or level == "debug",
        config_directory=options.text("config"),
    )


def _tls(options: Parsed) -> TlsFiles | None:
    """`--tls`, `--tlsverify` and DOCKER_TLS_VERIFY, and the files that go with them.

    As in Docker's client, `--tls` alone encrypts without asking who answers, and files at the
    default places count when they are there.
    """
    is_verifying = options.is_on("tlsverify", bool(os.environ.get("DOCKER_TLS_VERIFY")))
    if not (options.is_on("tls") or options.was_given("tlsverify") or is_verifying):
        return None
    place = os.environ.get("DOCKER_CERT_PATH") or options.text("config")
    place = place or os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")

    def path_of(flag: str, name: str) -> str:
        path = os.path.join(place, name)
        return options.text(flag) or (path if os.path.exists(path) else "")

    return TlsFiles(
        path_of("tlscacert", "ca.pem") if is_verifying else "",
        path_of("tlscert", "cert.pem"),
        path_of("tlskey", "key.pem"),
        skips_verification=not is_verifying,
    )


def _help(words: list[str]) -> int:
    if not words:
        return _show_program_help()
    from wherry.cli import usage

    path, rest = _resolve(words)
    is_known = path in catalogue.ENTRIES or path in catalogue.GROUPS
    if rest and is_known:
        _complain(f"unknown help topic: {' '.join(rest)}")
        return 1
    if path in catalogue.ENTRIES:
        print(usage.command_help(path, load_command(path)))
    elif path in catalogue.GROUPS:
        print(usage.group_help(path))
    else:
        _complain(f"unknown help topic: {' '.join(words)}")
        return 1
    return 0


def _show_program_help(to: TextIO | None = None) -> int:
    """Help that was asked for goes to standard output."""
    from wherry.cli import usage

    print(usage.program_help(GLOBAL_FLAGS), file=to)
    return 0


def _complain_with_usage(problem: str, path: str, command: Command, *, lead: str = "Run") -> None:
    from wherry.cli import usage

    _complain(f"{problem}\n\n{usage.usage_line(path, command)}\n")
    _complain(f"{lead} '{PROGRAM} {path} --help' for more information")


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")
