"""What the small processes import is what every container costs."""

import subprocess
import sys

import pytest

from support.source_tree import PACKAGE

HEAVY = (
    "asyncio", "sqlite3", "logging", "subprocess", "pathlib", "tempfile", "shutil",
    "inspect", "dataclasses", "ssl", "secrets", "urllib", "http", "email", "aiohttp", "msgspec",
    "isal", "zstandard", "wherry.store", "wherry.model", "wherry.kit.aio",
)  # fmt: skip

THIN_PARTS = [
    ".".join(("wherry", *path.relative_to(PACKAGE).with_suffix("").parts))
    for room in ("linux", "oci", "operations", "runtime", "logs", "shim", "netd")
    for path in sorted((PACKAGE / room).rglob("*.py"))
    if path.name != "__init__.py"
]


@pytest.mark.parametrize("room", ["linux", "oci", "operations", "runtime", "logs", "shim", "netd"])
def test_thin_rooms_import_nothing_heavy(room: str) -> None:
    """All modules of a thin room, imported into a fresh interpreter, bring no heavy module."""
    wanted = [name for name in THIN_PARTS if name.split(".")[1] == room]
    assert wanted
    loaded = _modules_after_importing(wanted)
    heavy = sorted(name for name in loaded if name in HEAVY or name.startswith("wherry.kit.aio"))
    assert not heavy


@pytest.mark.parametrize("program", ["wherry"])
def test_the_command_line_starts_light(program: str) -> None:
    """`wherry ps` pays for no server, no event loop and no database before it knows its verb."""
    loaded = _modules_after_importing([f"wherry.programs.{program}"])
    heavy = loaded & {"asyncio", "sqlite3", "aiohttp", "isal", "zstandard", "wherry.engine"}
    assert not heavy


def _modules_after_importing(names: list[str]) -> set[str]:
    lines = "\n".join(f"import {name}" for name in names)
    ran = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys\n{lines}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stdout.split())
