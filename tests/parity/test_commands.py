"""`wherry` has docker's commands and their flags: the client on this machine is the measure."""

import re
import subprocess
import sys
from functools import cache

import pytest

from support.daemon import Engine
from wherry.cli import catalogue
from wherry.cli.entry import load_command

pytestmark = pytest.mark.stock_differs

_COMMAND = re.compile(r"^  ([a-z][a-z-]*)\*? ", re.MULTILINE)
_FLAG = re.compile(r"^ +(?:-(?P<short>\w), )?--(?P<name>[a-z0-9-]+)", re.MULTILINE)
_PROSE = frozenset({"manifest docker", "manifest features", "manifest future"})
"""Words of a help text that look like commands."""
_HIDDEN_IN_DOCKER = frozenset({"buildx", "compose", "build", "bake"})


@cache
def help_of(*words: str) -> str:
    """What the stock client says of a command."""
    ran = subprocess.run(["docker", *words, "--help"], capture_output=True, text=True, check=True)
    return ran.stdout


def commands_below(*words: str) -> list[str]:
    """The commands of the client, or of one of its groups."""
    text = help_of(*words).split("Global Options")[0]
    return [each for each in _COMMAND.findall(text) if each not in _HIDDEN_IN_DOCKER]


def groups() -> list[str]:
    """The commands that have commands below them."""
    text = help_of()
    found = []
    for title in ("Management Commands:", "Swarm Commands:"):
        part = text.split(title)[1].split("\n\n")[0]
        found += _COMMAND.findall(part)
    return found


def every_command() -> list[str]:
    """All paths of the stock client: `ps`, `container ls` ..."""
    top = [name for name in commands_below() if name not in groups()]
    below = [f"{group} {name}" for group in groups() for name in commands_below(group)]
    return top + [path for path in below if path not in _PROSE]


LATER = ("builder", "checkpoint", "config", "manifest", "node", "secret",
         "service", "stack", "swarm", "trust", "volume")  # fmt: skip
"""Groups that other parts of the project bring."""
_LATER_WORDS = frozenset({
    "build", "commit", "cp", "diff", "export", "login", "logout", "pull", "push", "search",
})  # fmt: skip


_OF_CLUSTERS = frozenset({
    "availability", "group", "limit-bytes", "required-bytes", "scope", "secret", "sharing",
    "topology-preferred", "topology-required", "type",
})  # fmt: skip
"""Flags of `volume create` for volumes of a swarm."""


@pytest.mark.parametrize("path", every_command())
def test_every_command_is_there(path: str) -> None:
    """Each of docker's commands on containers, images, volumes, contexts and the system."""
    canonical = catalogue.ALIASES.get(path, path)
    if path.partition(" ")[0] in LATER or path.rpartition(" ")[2] in _LATER_WORDS:
        assert canonical in catalogue.ENTRIES or canonical in catalogue.ABSENT
    else:
        assert canonical in catalogue.ENTRIES


@pytest.mark.parametrize("path", [path for path in every_command() if path in catalogue.ENTRIES])
def test_flags_of_every_command(path: str) -> None:
    """Each of docker's flags, with its short form."""
    own = {flag.name: flag.short for flag in load_command(path).flags} | {"help": ""}
    for short, name in _FLAG.findall(help_of(*path.split())):
        if path == "volume create" and name in _OF_CLUSTERS:
            continue
        assert name in own, f"{path} --{name}"
        assert own[name] == short, f"{path} --{name}"


def test_global_flags() -> None:
    """Docker's, before the command."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "wherry.programs.wherry", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    own = {name: short for short, name in _FLAG.findall(ran.stdout)}
    for short, name in _FLAG.findall(help_of()):
        assert own[name] == short


def test_use_api_socket(engine: Engine) -> None:
    """What wherry's `run` has not is named."""
    ran = engine.wherry("run", "--use-api-socket", "busybox", "true")
    assert ran.returncode == 125
    assert "--use-api-socket is not there yet" in ran.stderr
