"""Weakened builds: a copy of the source with one guard taken out.

A proof of safety counts only when it fails against a build without the guard. The build is a
copy, so that the code which people run has no switch for it.
"""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.daemon import Engine

_SOURCE = Path(__file__).resolve().parents[2] / "src"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A guard that is taken out: this text of this file becomes that."""

    name: str
    file: str
    """Below src/wherry."""
    guard: str
    without: str


RESOLVED_BY_THE_HOST = Mutant(
    "names are resolved as the host sees them",
    "linux/files.py",
    "    return openat2(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)",
    "    top = os.readlink(f'/proc/self/fd/{root}').rstrip('/')\n"
    "    return openat2(root, f'{top}/{os.fsdecode(path)}', flags, mode)",
)


@contextlib.contextmanager
def mutated_source(mutants: Sequence[Mutant]) -> Iterator[Path]:
    """A copy of the source tree with the mutations. Raises: AssertionError for a stale one."""
    with tempfile.TemporaryDirectory(prefix="wherry-mutant-") as directory:
        copy = Path(directory, "src")
        shutil.copytree(_SOURCE, copy, ignore=shutil.ignore_patterns("*.egg-info"))
        for mutant in mutants:
            path = copy / "wherry" / mutant.file
            text = path.read_text()
            assert text.count(mutant.guard) == 1, f"{mutant.name}: the guard has changed"
            path.write_text(text.replace(mutant.guard, mutant.without))
        yield copy


def program_of(source: Path) -> Sequence[str]:
    """The daemon of such a copy."""
    boot = "import sys; sys.path.insert(0, sys.argv.pop(1)); from wherry.programs import "
    return (sys.executable, "-P", "-c", f"{boot}wherryd; sys.exit(wherryd.main())", str(source))


@contextlib.contextmanager
def mutated_engine(*mutants: Mutant) -> Iterator[Engine]:
    """An engine that runs a weakened copy, with a busybox image."""
    with mutated_source(mutants) as source:
        made = Engine()
        made.program = program_of(source)
        try:
            made.start()
            made.bootstrap()
            yield made
        finally:
            made.close()
