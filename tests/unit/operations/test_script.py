"""Hostile names in scripts and stories: what an image calls a directory is never a command."""

import ast
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from wherry.operations.files.layer_mounts import HoldLayers
from wherry.operations.files.mounts import BindMount, MountFilesystem
from wherry.operations.files.nodes import EnterDirectory, MakeDirectory
from wherry.operations.files.roots import PivotRoot
from wherry.operations.plan import Entry, Operation, Outcome
from wherry.operations.processes.namespaces import Unshare
from wherry.operations.processes.process import MASK, Execve, Fork
from wherry.operations.render import render_text
from wherry.operations.script import render_script

WHY = "the image says so"
QUIET = ("mkdir", "rmdir", "mount", "umount", "unshare", "mktemp")
"""Programs of the script that do nothing here."""


def hostile(marker: Path) -> str:
    """A name that ends every comment and every here-document, and goes on as a command."""
    ends = "\n".join(f"END_OF_{each}" for each in ("BORN", "INSIDE", "LAST"))
    return f"/a\n{ends}\ntouch {marker}\n$(touch {marker})`touch {marker}`'; touch {marker} #"


def operations(bundle: Path, name: str) -> Iterator[Operation]:
    """Those of a start that have a name of the image's in them."""
    yield MakeDirectory(path=str(bundle), why=WHY)
    yield Fork(why=WHY)
    yield Unshare(namespaces=("mnt",), why=WHY)
    yield MountFilesystem(filesystem="tmpfs", destination=name, why=WHY)
    yield BindMount(source=str(bundle), destination=name, why=WHY)
    lower = (f"{bundle}/a", f"{bundle}/b")
    yield HoldLayers(lower=lower, destination=name, user_namespace="user", why=WHY)
    yield EnterDirectory(path=name, makes=True, why=WHY)
    yield PivotRoot(why=WHY)
    yield EnterDirectory(path=name, makes=True, why=WHY)
    environment = (f"A}}{name}${{PASSWORD={MASK}", "PASSWORD_FILE=" + name)
    yield Execve(program=name, args=(name,), environment=environment, why=WHY)


def journal(bundle: Path, name: str) -> list[Entry]:
    """All of them, done."""
    return [
        Entry(operation=each, at_ns=0, duration_ns=0, outcome=Outcome.DONE)
        for each in operations(bundle, name)
    ]


def test_names_are_no_commands_of_the_shell(tmp_path: Path) -> None:
    """The whole script runs, with programs that do nothing, and none of the names is run."""
    marker, programs = tmp_path / "marker", tmp_path / "bin"
    programs.mkdir()
    for name in ("cat", "sh", "touch"):
        os.symlink(str(shutil.which(name)), programs / name)
    for name in QUIET:
        os.symlink(str(shutil.which("true")), programs / name)
    told = journal(tmp_path, hostile(marker))
    script = render_script(told, title=hostile(marker), seccomp_path="/f", python="/usr/bin/true")
    ran = subprocess.run(
        ["/bin/sh"], input=script, text=True, capture_output=True, check=False,
        env={"PATH": str(programs)}, timeout=30,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not marker.exists()


def test_names_are_no_lines_of_python(tmp_path: Path) -> None:
    """The last program calls nothing that a name brought along."""
    name = "/a\nevil()\r\x0cevil()\n'evil()\n\"evil()"
    script = render_script(journal(tmp_path, name), title="", seccomp_path="/f", python="p")
    begin, end = "last=$(cat <<'END_OF_LAST'\n", "\nEND_OF_LAST\n"
    tree = ast.parse(script.partition(begin)[2].partition(end)[0])
    called = {each.func.id for each in ast.walk(tree) if isinstance(each, ast.Call)
              if isinstance(each.func, ast.Name)}  # fmt: skip
    assert "call" in called
    assert "evil" not in called


def test_what_is_told_is_one_line_for_each_step(tmp_path: Path) -> None:
    """Nothing in a name looks like a step of its own, or moves the cursor."""
    told = render_text(journal(tmp_path, "/a\n   9  +0.00ms  forged\x1b[2J"), title="")
    assert not [line for line in told.splitlines() if line.startswith("   9  +0.00ms  forged")]
    assert "go to /a 9 +0.00ms forged\\x1b[2J" in told
