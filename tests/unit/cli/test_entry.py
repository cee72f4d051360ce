"""The way from argv to a command, and what it costs."""

import subprocess
import sys
from pathlib import Path

import pytest

from wherry.cli import catalogue, entry
from wherry.cli.command import count_problem

HEAVY = (
    "argparse", "asyncio", "dataclasses", "http.client", "inspect", "logging", "msgspec",
    "aiohttp", "subprocess", "urllib.parse", "datetime", "wherry.cli.templates.executor",
)  # fmt: skip


@pytest.mark.parametrize("path", catalogue.ENTRIES)
def test_every_entry_leads_to_a_command(path: str) -> None:
    """Module, name and help of each command are there."""
    command = entry.load_command(path)
    assert command.summary
    names = [flag.name for flag in command.flags]
    assert len(names) == len(set(names))
    shorts = [flag.short for flag in command.flags if flag.short]
    assert len(shorts) == len(set(shorts))


def test_a_list_imports_nothing_heavy() -> None:
    """`wherry ps` starts quickly because of what it leaves out."""
    script = (
        "import sys; from wherry.cli import entry; entry.load_command('ps');"
        "import wherry.client.engine_client, wherry.client.containers;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["nosuch"], 1, "wherry: unknown command: wherry nosuch\n\nRun 'wherry --help'"),
        (["container", "nosuch"], 1, "wherry: unknown command: wherry container nosuch"),
        (["bake"], 1, "wherry: 'wherry bake' is not there yet"),
        (["secret", "create"], 1, "wherry: 'wherry secret create' is not there yet"),
        (
            ["ps", "x"],
            1,
            "wherry: 'wherry ps' accepts no arguments\n\nUsage:  wherry ps [OPTIONS]",
        ),
        (["rm"], 1, "See 'wherry rm --help' for more information"),
        (["container", "list", "--x"], 125, "unknown flag: --x\n\nUsage:  wherry container ls"),
        (["--x", "ps"], 125, "Usage:  wherry [OPTIONS] COMMAND [ARG...]"),
        (["-H", "tcp://a", "-H", "tcp://b", "ps"], 1, "Specify only one -H"),
        (["-H", "foo://x", "ps"], 1, "invalid bind address format: foo://x"),
        (["-c", "other", "ps"], 1, 'context "other": context not found: open '),
        (["-c", "a", "-H", "unix:///x", "ps"], 1, "cannot specify both --host and --context"),
        (["-H", "ssh://", "ps"], 1, "ssh host connection is not valid: no host specified"),
        (["-H", "ssh://a:b@c", "ps"], 1, "plain-text password is not supported"),
        (["-H", "ssh://-oProxyCommand=x", "ps"], 1, "ssh host connection is not valid"),
        (["-H", "unix:///nonexistent", "ps"], 1, "Cannot connect to the Wherry daemon at unix:"),
        (["-H", "unix:///nonexistent", "run", "x"], 125, "Run 'wherry run --help'"),
        (["help", "nosuch"], 1, "unknown help topic: nosuch"),
        (["container", "--x"], 125, "unknown flag: --x\n\nUsage:  wherry container\n"),
    ],
)
def test_complaints(
    arguments: list[str], code: int, complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Docker's sentences and exit codes under our name."""
    assert entry.main(arguments) == code
    shown = capfd.readouterr()
    assert complaint in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ("--help", "wherry [OPTIONS] COMMAND"),
        ("help", "wherry [OPTIONS] COMMAND"),
        ("ps --help", "wherry ps [OPTIONS]"),
        ("help ps", "wherry ps [OPTIONS]"),
        ("container --help", "wherry container COMMAND"),
        ("container --help ls", "wherry container ls [OPTIONS]"),
        ("container nosuch --help", "wherry container COMMAND"),
    ],
)
def test_help_goes_to_stdout(line: str, usage: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Asking for help is no mistake, wherever on the line."""
    assert entry.main(line.split()) == 0
    shown = capfd.readouterr()
    assert shown.out.startswith(f"Usage:  {usage}\n")
    assert shown.err == ""


@pytest.mark.parametrize("line", ["", "container"])
def test_help_for_who_says_nothing(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A line without a command prints nothing that a script could take for an answer."""
    assert entry.main(line.split()) == 0
    shown = capfd.readouterr()
    assert shown.out == ""
    assert f"{f'wherry {line}'.strip()} " in shown.err.splitlines()[0]


@pytest.mark.parametrize(
    ("given", "wanted", "problem"),
    [
        (1, (0, 0), "'x' accepts no arguments"),
        (0, (1, 1), "'x' requires 1 argument"),
        (0, (2, -1), "'x' requires at least 2 arguments"),
        (3, (0, 1), "'x' requires at most 1 argument"),
        (3, (1, 2), "'x' requires at least 1 and at most 2 arguments"),
        (1, (1, 2), ""),
    ],
)
def test_numbers_of_arguments(given: int, wanted: tuple[int, int], problem: str) -> None:
    """Each kind of limit has its sentence."""
    from wherry.cli.command import Arguments

    assert count_problem("x", given, Arguments(*wanted)) == problem


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is no engine's fault is not said to be of the connection."""
    for path, problem in (
        (f"{tmp_path}/none", f"open {tmp_path}/none: no such file or directory\n"),
        (str(tmp_path), f"read {tmp_path}: is a directory\n"),
    ):
        assert entry.main(["compose", "-f", path, "config"]) != 0
        assert capfd.readouterr().err == problem
