"""`wherry compose config` and its flags, beside the Compose v2 that the files are written for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.compose_oracle import oracle_program
from support.source_tree import REPOSITORY

_FILES = {
    "compose.yaml": (
        "name: ${NAME:-shown}\n"
        "include: [{path: parts/other.yaml}]\n"
        "services:\n"
        '  web: {image: "web:${TAG:-1}", ports: ["80:80"], env_file: web.env, depends_on: [db]}\n'
        "  db: {image: db, volumes: [data:/d], labels: [a=1], command: x}\n"
        "  made: {build: ., profiles: [dev]}\n"
        "  kin: {extends: {file: parts/base.yaml, service: base}, environment: {OWN: 1}}\n"
        "volumes: {data: }\n"
    ),
    "over.yaml": (
        "services:\n"
        '  web: {image: !reset null, build: {context: ./web}, ports: !override ["81:81"]}\n'
        "  db: {labels: {a: 2, b: 3}, command: [y], environment: {A: 1}, networks: [back]}\n"
        "networks: {back: {internal: true}}\n"
    ),
    "parts/other.yaml": "services: {other: {image: '${PART:-none}', volumes: ['./x:/x']}}\n",
    "parts/.env": "PART=from-part\n",
    "parts/base.yaml": (
        "services: {base: {image: base, volumes: ['./b:/b'], environment: [OWN=0, THEIRS=1]}}\n"
    ),
    ".env": "TAG=2\nNAME=named\n",
    "other.env": "TAG=3\n",
    "web.env": "A=1\nB=${TAG}\n",
}

LINES = [
    [],
    ["--format", "json"],
    ["--services"],
    ["--images"],
    ["--networks"],
    ["--volumes"],
    ["--profiles"],
    ["--hash", "*"],
    ["--hash", "db"],
    ["--variables"],
    ["db"],
    ["-q"],
    ["-q", "nobody"],
    ["--format", "toml"],
    ["--no-path-resolution"],
    ["--no-env-resolution"],
]
GLOBALS = [
    [],
    ["-f", "compose.yaml", "-f", "over.yaml"],
    ["--profile", "dev"],
    ["-p", "other", "--env-file", "other.env"],
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a project of several files."""
    for name, content in _FILES.items():
        path = tmp_path / "Some.Dir" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "Some.Dir"


def _ran(command: list[str], directory: Path) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "HOME": "/home/someone",
                   "PYTHONPATH": str(REPOSITORY / "src")}  # fmt: skip
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def _comparable(shown: str, line: list[str]) -> object:
    """Compose lists the lines of one aspect in any order; a whole project always in one."""
    is_whole = not line or line[0] in ("--format", "db") or line[0].startswith("--no-")
    return shown.strip() if is_whole else sorted(shown.split("\n"))


@pytest.mark.parametrize("given", GLOBALS, ids=" ".join)
def test_same_output(given: list[str], project: Path) -> None:
    """Every aspect of a project is told as Compose v2 tells it, to the letter."""
    for line in LINES:
        theirs = _ran([str(oracle_program()), *given, "config", *line], project)
        ours = _ran(
            [sys.executable, "-m", "wherry.programs.wherry", "compose", *given, "config", *line],
            project,
        )
        assert _comparable(ours.stdout, line) == _comparable(theirs.stdout, line), line
        assert (ours.returncode == 0) == (theirs.returncode == 0), (line, ours.stderr)
        if theirs.returncode:
            assert ours.stderr.strip() == theirs.stderr.strip(), line


def test_output_file(project: Path) -> None:
    """`-o` writes what would have been shown, and shows nothing."""
    command = [sys.executable, "-m", "wherry.programs.wherry", "compose", "config"]
    shown = _ran(command, project).stdout
    assert _ran([*command, "-o", "out.yaml"], project).stdout == ""
    assert (project / "out.yaml").read_text() == shown


def test_other_commands_stay_quick() -> None:
    """The room and its YAML are imported for `compose` alone."""
    script = (
        "import sys\nfrom wherry.cli.entry import main\nmain(['version', '--help'])\n"
        "print([name for name in sys.modules if name == 'yaml' or 'wherry.compose' in name])"
    )
    ran = _ran([sys.executable, "-c", script], REPOSITORY)
    assert ran.stdout.endswith("[]\n"), ran.stdout


def test_help_of_each_command() -> None:
    """Every command says what it takes."""
    from wherry.cli.compose.catalogue import ENTRIES

    script = (
        "from wherry.cli.entry import main\n"
        f"for name in {sorted(ENTRIES)}: assert main(['compose', name, '--help']) == 0\n"
    )
    ran = _ran([sys.executable, "-c", script], REPOSITORY)
    assert ran.returncode == 0, ran.stderr
    for name in ENTRIES:
        assert f"Usage:  wherry compose {name}" in ran.stdout
