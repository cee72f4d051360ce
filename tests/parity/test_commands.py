"""`wherry` has docker's commands and their flags: the client on this machine is the measure."""

import re
import subprocess
import sys
from functools import cache
from importlib import import_module

import pytest

from support.compose_oracle import oracle_program
from support.daemon import Engine
from wherry.cli import catalogue
from wherry.cli.compose import catalogue as compose_catalogue
from wherry.cli.compose.entry import COMPOSE
from wherry.cli.entry import load_command

pytestmark = pytest.mark.stock_differs

_COMMAND = re.compile(r"^  ([a-z][a-z-]*)\*? ", re.MULTILINE)
_FLAG = re.compile(
    r"^ +(?:-(?P<short>\w), )?--(?P<name>[A-Za-z0-9-]+)(?: (?P<label>\S+))?"
    r"(?P<usage>.*(?:\n {9}.*)*)",
    re.MULTILINE,
)
_DEFAULT = re.compile(r"\(default\s+(.*?)\)", re.DOTALL)
_NO_DEFAULTS = frozenset({"", "[]", "map[]", "shows just running", "hides intermediate images"})
"""What help texts say of flags that have no default, or in the summary."""
_PROSE = frozenset({"manifest docker", "manifest features", "manifest future"})
"""Words of a help text that look like commands."""
_ABSENT = frozenset({
    "checkpoint", "config", "node", "secret", "service", "stack", "swarm", "trust",
})  # fmt: skip
"""Groups of which Wherry has nothing."""
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


_OF_CLUSTERS = frozenset({
    "availability", "group", "limit-bytes", "required-bytes", "scope", "secret", "sharing",
    "topology-preferred", "topology-required", "type",
})  # fmt: skip
"""Flags of `volume create` for volumes of a swarm."""
_OF_BUILDX = frozenset({"cache-from", "network", "platform", "security-opt"})
"""Flags of `build` that the client's builder of today takes otherwise than the one before."""


@pytest.mark.parametrize("path", every_command())
def test_every_command_is_there(path: str) -> None:
    """Each of docker's commands, those of checkpoints, clusters and trust apart."""
    canonical = catalogue.ALIASES.get(path, path)
    assert (canonical in catalogue.ENTRIES) is (path.partition(" ")[0] not in _ABSENT)
    assert (canonical in catalogue.ABSENT) is (path.partition(" ")[0] in _ABSENT)


@pytest.mark.parametrize("path", [path for path in every_command() if path in catalogue.ENTRIES])
def test_flags_of_every_command(path: str) -> None:
    """Each of docker's flags, with its short form, its kind and its default."""
    own = {flag.name: flag for flag in load_command(path).flags}
    is_build = path.endswith("build")
    for short, name, label, usage in _FLAG.findall(help_of(*path.split())):
        if name == "help" or (path == "volume create" and name in _OF_CLUSTERS):
            continue
        assert name in own, f"{path} --{name}"
        flag = own[name]
        assert flag.short == short, f"{path} --{name}"
        if (is_build and name in _OF_BUILDX) or flag.usage.startswith("Not there yet"):
            continue
        if not (path.endswith(("load", "save")) and name == "platform"):
            assert flag.kind.label == label, f"{path} --{name}"
        stated = " ".join(found[1].split()) if (found := _DEFAULT.search(usage)) else ""
        stated = "" if stated in _NO_DEFAULTS else stated
        assert flag.default == stated, f"{path} --{name}"


@pytest.mark.parametrize("path", [path for path in every_command() if path in catalogue.ENTRIES])
def test_arguments_of_every_command(path: str) -> None:
    """What follows a command's name, as docker writes it."""
    forms, _, _ = help_of(*path.split()).removeprefix("Usage:  ").partition("\n\n")
    shapes = [
        re.sub(rf"docker (container )?{path.split()[-1]}|docker {path}", "", form)
        .replace("[OPTIONS]", "", 1)
        .strip()
        for form in forms.split("\n\t")
    ]
    assert load_command(path).shape == "\n".join(shapes)


@pytest.mark.parametrize("name", sorted(compose_catalogue.ENTRIES.keys() - {"viz"}))
def test_flags_of_compose(name: str) -> None:
    """Each flag of Compose v2, with its short form and its kind."""
    entry = compose_catalogue.ENTRIES[name]
    command = getattr(import_module(f"wherry.cli.compose.{entry.module}"), entry.command)
    own = {flag.name: flag for flag in (*command.flags, *COMPOSE.flags)}
    told = subprocess.run(
        [str(oracle_program()), name, "--help"], capture_output=True, text=True, check=True
    )
    stock = _FLAG.findall(told.stdout)
    assert "dry-run" in [flag for _short, flag, _label, _usage in stock]
    for short, flag, label, _usage in stock:
        assert flag in own, f"compose {name} --{flag}"
        assert own[flag].short == short, f"compose {name} --{flag}"
        kind = label.replace("stringArray", "list")
        assert own[flag].kind.label == kind, f"compose {name} --{flag}"


def test_help_of_compose() -> None:
    """It names the commands, not the flags alone."""
    told = run_wherry("compose", "--help")
    assert all(f"  {name} " in told for name in compose_catalogue.ENTRIES)


def run_wherry(*words: str) -> str:
    """What our own client prints."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "wherry.programs.wherry", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout


def test_global_flags() -> None:
    """Docker's, before the command."""
    own = {
        name: (short, label) for short, name, label, _usage in _FLAG.findall(run_wherry("--help"))
    }
    stock = {name: (short, label) for short, name, label, _usage in _FLAG.findall(help_of())}
    assert "host" in stock
    assert stock.items() <= own.items()


def test_use_api_socket(engine: Engine) -> None:
    """What wherry's `run` has not is named."""
    ran = engine.wherry("run", "--use-api-socket", "busybox", "true")
    assert ran.returncode == 125
    assert "--use-api-socket is not there yet" in ran.stderr
