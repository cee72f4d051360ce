"""What the command line takes for itself: ours and the stock one, at the same engine."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from table import Table

REPOSITORY = Path(__file__).resolve().parents[1]


def commands(table: Table) -> None:
    """Commands that ask little; the first column is the stock client at our engine."""
    with tempfile.TemporaryDirectory(prefix="wherry-bench-commands-") as place:
        program = installed_wherry(Path(place))
        for words in (("--version",), ("version",), ("ps",), ("images",), ("inspect", "busybox")):
            table.compare(
                f"{' '.join(words)}, both on Wherry [ms]",
                "",
                20,
                ours=lambda words=words: _took_ms(table, program, *words),
                theirs=lambda words=words: _took_ms(table, "docker", *words),
            )


def installed_wherry(work: Path) -> str:
    """Our command line as `make install` puts it there."""
    subprocess.run(
        [str(REPOSITORY / "scripts" / "install.sh")],
        env={**os.environ, "DESTDIR": str(work), "PREFIX": "/usr"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return str(work / "usr/bin/wherry")


def _took_ms(table: Table, program: str, *words: str) -> float:
    """From a command's start to its end. Raises: CalledProcessError."""
    begun = time.perf_counter()
    subprocess.run(
        [program, *words],
        env=table.ours.engine.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return (time.perf_counter() - begun) * 1000
