"""`wherry compose`: its own flags, its own commands; the room `compose` does the work.

wherry compose [-f FILE]... [-p NAME] [--profile P]... COMMAND [FLAGS] [SERVICE...]
"""

from collections.abc import Sequence
from importlib import import_module

from wherry.cli.command import ANY, NO_LIMIT, Command, count_problem
from wherry.cli.compose.catalogue import ENTRIES
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import INT, LIST, STRING, SWITCH, Flag, FlagError, HelpWanted, Parsed, parse
from wherry.cli.session import Session
from wherry.compose import ComposeError

PATH = "compose"


def run(session: Session, parsed: Parsed) -> int:
    """Find the command among the words, read its flags, and run it."""
    words = parsed.arguments
    if not words or words[0] == "help":
        session.say(whole_help())
        return 0
    name, rest = words[0], words[1:]
    if name not in ENTRIES:
        raise CommandFailed(
            f'unknown docker command: "compose {name}"\n\n'
            "Run 'wherry compose --help' for more information"
        )
    entry = ENTRIES[name]
    command = getattr(import_module(f"wherry.cli.compose.{entry.module}"), entry.command)
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
        flags = [*command.flags, *_persistent(command.flags)]
        parsed = parse(words, flags, interspersed=command.interspersed)
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
    own = {key: value for key, value in options.values.items() if key not in parsed.values}
    try:
        return command.run(session, Parsed({**own, **parsed.values}, parsed.arguments))
    except ComposeError as problem:
        raise CommandFailed(str(problem)) from None


def _persistent(own: Sequence[Flag]) -> list[Flag]:
    """The flags of `compose` may follow the command too, unless it has others of that name."""
    names = {flag.name for flag in own}
    shorts = {flag.short for flag in own}
    return [
        flag._replace(short="" if flag.short in shorts else flag.short)
        for flag in COMPOSE.flags
        if flag.name not in names
    ]


def whole_help() -> str:
    """The flags of `compose`, and its commands."""
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
        Flag("all-resources", SWITCH, "Include all resources, even those that no service uses"),
        Flag("ansi", STRING, 'When to print control characters ("never"|"always"|"auto")'),
        Flag("compatibility", SWITCH, "Name containers as docker-compose 1 did: with underscores"),
        Flag("dry-run", SWITCH, "Say what would be done, and do nothing"),
        Flag("env-file", LIST, "Specify an alternate environment file"),
        Flag("file", LIST, "Compose configuration files", short="f"),
        Flag("parallel", INT, "How much is done at a time; -1: as much as there is"),
        Flag("profile", LIST, "Specify a profile to enable"),
        Flag("progress", STRING, "How progress is told (auto, tty, plain, json, quiet)"),
        Flag("project-directory", STRING, "Specify an alternate working directory"),
        Flag("project-name", STRING, "Project name", short="p"),
        Flag("verbose", SWITCH, "Show more output", is_hidden=True),
    ),
    interspersed=False,
    whole_help=whole_help,
)
