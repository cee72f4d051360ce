"""What the Tab key offers, asked of the shells themselves."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemon import Engine

pytestmark = pytest.mark.stock_differs
Offer = Callable[[str], list[str]]

_BASH = """
source <(wherry completion bash)
COMP_LINE="$1" COMP_POINT=${#1}
_wherry
printf '%s\\n' "${COMPREPLY[@]}"
"""
_FISH = "wherry completion fish | source; complete -C $argv[1]"
_ZSH = """
autoload -Uz compinit; compinit -D
source <(wherry completion zsh)
_describe() { print -rl -- ${(P)2} }
_files() { }
words=(${=1}); [[ $1 == *' ' ]] && words+=('')
CURRENT=$#words
_wherry
"""


@pytest.fixture(params=["bash", "zsh", "fish"])
def offer(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Offer:
    """The words that a shell offers at the end of a line."""
    shell = request.param
    program = tmp_path / "wherry"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} -P -m wherry.programs.wherry --no-autostart "$@"\n'
    )
    program.chmod(0o755)
    command = {
        "bash": ["bash", "--norc", "-c", _BASH, "bash"],
        "zsh": ["zsh", "-f", "-c", _ZSH, "zsh"],
        "fish": ["fish", "--no-config", "-c", _FISH],
    }[shell]
    environment = {
        **engine.environment,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
    }

    def ask(line: str) -> list[str]:
        # fish offers the files of its directory, too.
        ran = subprocess.run(
            [*command, line], env=environment, cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran
        words = (each.partition("\t")[0] for each in ran.stdout.splitlines())
        if shell == "zsh":
            words = (_of_zsh(each) for each in words)
        return [each for each in words if each]

    return ask


def _of_zsh(line: str) -> str:
    """`word:about`, with a backslash before the colons of the word."""
    return line.replace("\\:", "\0").partition(":")[0].replace("\0", ":")


def test_commands_and_groups(offer: Offer) -> None:
    """At the beginning, and below a group."""
    assert offer("wherry ex") == ["exec", "explain", "export"] or offer("wherry ex") == [
        "exec",
        "explain",
    ]
    assert offer("wherry contain") == ["container"]
    assert offer("wherry container pru") == ["prune"]
    assert "create" in offer("wherry context ")


def test_flags(offer: Offer) -> None:
    """Of the program and of a command."""
    assert offer("wherry --tlsv") == ["--tlsverify"]
    assert offer("wherry ps --no-t") == ["--no-trunc"]
    assert offer("wherry -D container ls --no-t") == ["--no-trunc"]


def test_names(offer: Offer, engine: Engine) -> None:
    """Containers by their state, and images."""
    engine.docker_ok("run", "-d", "--name", "alive", "busybox", "sleep", "99")
    engine.docker_ok("create", "--name", "asleep", "busybox")
    assert offer("wherry stop a") == ["alive"]
    assert offer("wherry start a") == ["asleep"]
    assert offer("wherry rm -f a") == ["alive", "asleep"]
    assert offer("wherry logs --tail 5 al") == ["alive"]
    assert offer("wherry history busyb") == ["busybox:latest"]
    assert offer("wherry completion f") == ["fish"]


def test_bash_and_colons(engine: Engine, tmp_path: Path) -> None:
    """Bash has taken `busybox:` already: only the rest is offered."""
    program = tmp_path / "wherry"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} -P -m wherry.programs.wherry --no-autostart "$@"\n'
    )
    program.chmod(0o755)
    ran = subprocess.run(
        ["bash", "--norc", "-c", _BASH, "bash", "wherry run busybox:l"],
        env={**engine.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "latest\n"


def test_an_unknown_shell(engine: Engine) -> None:
    """It is named."""
    ran = engine.wherry("completion", "tcsh")
    assert ran.returncode == 1
    assert ran.stderr == "no completion for 'tcsh': choose from bash, zsh, fish\n"
