"""Help and usage texts, in Docker's layout."""

import os
from collections.abc import Iterable

from wherry.cli import catalogue
from wherry.cli.command import Command
from wherry.cli.flags import Flag, flag_lines

PROGRAM = "wherry"


def usage_line(path: str, command: Command) -> str:
    """`Usage:  wherry ps [OPTIONS]`; each further form has a line of its own."""
    options = " [OPTIONS]" if command.flags else ""
    forms = [f"{PROGRAM} {path}{options} {form}".rstrip() for form in command.shape.split("\n")]
    return "Usage:  " + "\n\t".join(forms)


def command_help(path: str, command: Command) -> str:
    """The whole help of a command."""
    if command.whole_help is not None:
        return command.whole_help()
    lines = [usage_line(path, command), "", command.summary]
    if aliases := catalogue.also_known_as(path):
        lines += ["", "Aliases:", "  " + ", ".join(f"{PROGRAM} {name}" for name in aliases)]
    if command.flags:
        lines += ["", "Options:", *flag_lines(command.flags, width=_columns())]
    return "\n".join(lines)


def group_help(group: str) -> str:
    """The help of `container`, `image` and their like."""
    commands = {
        path.removeprefix(f"{group} "): entry.summary
        for path, entry in catalogue.ENTRIES.items()
        if path.startswith(f"{group} ")
    }
    lines = [f"Usage:  {PROGRAM} {group} COMMAND", "", catalogue.GROUPS[group]]
    if commands:
        lines += ["", "Commands:", *_two_columns(commands.items())]
    else:
        lines += ["", "None of its commands is there yet."]
    lines += ["", f"Run '{PROGRAM} {group} COMMAND --help' for more information on a command."]
    return "\n".join(lines)


def program_help(flags: tuple[Flag, ...]) -> str:
    """The help of the program itself."""
    single = {path: each.summary for path, each in catalogue.ENTRIES.items() if " " not in path}
    common = {name: single.pop(name) for name in catalogue.COMMON}
    groups = {
        group: summary
        for group, summary in catalogue.GROUPS.items()
        if any(path.startswith(f"{group} ") for path in catalogue.ENTRIES)
    }
    lines = [
        f"Usage:  {PROGRAM} [OPTIONS] COMMAND",
        "",
        "A container platform that can say what it did to the kernel",
        "",
        "Common Commands:",
        *_two_columns(common.items(), is_sorted=False),
        "",
        "Management Commands:",
        *_two_columns(groups.items()),
        "",
        "Commands:",
        *_two_columns(single.items()),
        "",
        "Global Options:",
        *flag_lines(flags, width=_columns()),
        "",
        f"Run '{PROGRAM} COMMAND --help' for more information on a command.",
    ]
    return "\n".join(lines)


def _two_columns(pairs: Iterable[tuple[str, str]], *, is_sorted: bool = True) -> list[str]:
    ordered = sorted(pairs) if is_sorted else list(pairs)
    width = max(11, *(len(name) for name, _ in ordered))
    return [f"  {name.ljust(width)} {summary}" for name, summary in ordered]


def _columns() -> int:
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return 80
