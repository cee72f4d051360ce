"""`wherry compose`: its own flags, its own commands; the room `compose` does the work.

wherry compose [-f FILE]... [-p NAME] [--profile P]... COMMAND [FLAGS] [SERVICE...]
"""

import os
from importlib import import_module

from wherry.cli.command import ANY, NO_LIMIT, Command, count_problem
from wherry.cli.compose_catalogue import ABSENT, ENTRIES
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import LIST, STRING, SWITCH, Flag, FlagError, HelpWanted, Parsed, parse
from wherry.cli.session import Session
from wherry.compose import ComposeError, Project, Wishes, load_project

PATH = "compose"


def run(session: Session, parsed: Parsed) -> int:
    """Find the command among the words, read its flags, and run it."""
    words = parsed.arguments
    if not words or words[0] == "help":
        session.say(_help())
        return 0
    name, rest = words[0], words[1:]
    if name in ABSENT:
        raise CommandFailed(f"wherry: 'wherry compose {name}' is not there yet: {ABSENT[name]}")
    if name not in ENTRIES:
        raise CommandFailed(
            f'unknown docker command: "compose {name}"\n\n'
            "Run 'wherry compose --help' for more information"
        )
    entry = ENTRIES[name]
    command = getattr(import_module(f"wherry.cli.{entry.module}"), entry.command)
    if not isinstance(command, ComposeCommand):
        raise TypeError(f"{entry.module}.{entry.command} is no command of compose")
    return _run_command(session, parsed, name, command, rest)


class ComposeCommand(Command):
    """A command that works on a project; `run` gets the flags of `compose` beside its own."""


def _run_command(
    session: Session, options: Parsed, name: str, command: ComposeCommand, words: list[str]
) -> int:
    from wherry.cli import usage

    path = f"{PATH} {name}"
    try:
        parsed = parse(words, command.flags, interspersed=command.interspersed)
    except HelpWanted:
        session.say(usage.command_help(path, command))
        return 0
    except FlagError as problem:
        raise CommandFailed(
            f"{problem}\n\n{usage.usage_line(path, command)}\n\n"
            f"Run 'wherry {path} --help' for more information",
            code=16,
        ) from None
    if told := count_problem(f"wherry {path}", len(parsed.arguments), command.arguments):
        lead = "See" if command.arguments.most == NO_LIMIT else "Run"
        raise CommandFailed(f"{told}\n\n{lead} 'wherry {path} --help' for more information")
    # The flags of `compose` are read by `project_of`; no command has one of the same name.
    own = {key: value for key, value in options.values.items() if key not in parsed.values}
    try:
        return command.run(session, Parsed({**own, **parsed.values}, parsed.arguments))
    except ComposeError as problem:
        raise CommandFailed(str(problem)) from None


def wishes_of(parsed: Parsed) -> Wishes:
    """What the flags of `compose` say about the project."""
    return Wishes(
        files=parsed.texts("file"),
        project_name=parsed.text("project-name"),
        project_directory=parsed.text("project-directory"),
        env_files=parsed.texts("env-file"),
        profiles=parsed.texts("profile"),
    )


def project_of(session: Session, parsed: Parsed, wishes: Wishes | None = None) -> Project:
    """The project that the flags, the variables and the directory name.

    Raises: ComposeError, OSError.
    """

    def warn(message: str) -> None:
        session.complain(f"level=warning msg={_quoted(message)}")

    return load_project(wishes or wishes_of(parsed), dict(os.environ), warn)


def _quoted(message: str) -> str:
    return '"' + message.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _help() -> str:
    from wherry.cli.flags import flag_lines

    width = max(len(name) for name in ENTRIES) + 2
    lines = ["Usage:  wherry compose [OPTIONS] COMMAND", "", COMPOSE.summary, "", "Options:"]
    lines += flag_lines(COMPOSE.flags)
    lines += ["", "Commands:"]
    lines += [f"  {name.ljust(width)}{entry.summary}" for name, entry in sorted(ENTRIES.items())]
    lines += ["", "Run 'wherry compose COMMAND --help' for more information on a command."]
    return "\n".join(lines)


COMPOSE = Command(
    "COMMAND",
    "Define and run applications of several containers",
    ANY,
    run,
    (
        Flag("env-file", LIST, "Specify an alternate environment file"),
        Flag("file", LIST, "Compose configuration files", short="f"),
        Flag("profile", LIST, "Specify a profile to enable"),
        Flag("project-directory", STRING, "Specify an alternate working directory"),
        Flag("project-name", STRING, "Project name", short="p"),
        Flag("verbose", SWITCH, "Show more output", is_hidden=True),
    ),
    interspersed=False,
)
