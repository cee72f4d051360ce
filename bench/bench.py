#!/usr/bin/env python3
"""Wherry beside Debian's dockerd: the same requests to both, in turn, in one run.

Each engine has a private machine (tests/support/machine.py): namespaces and cgroups of its own,
the same ones for both. Samples are taken in turn (one of each, then the next of each), so that
a slow minute of the host falls on both; the table gives medians and their ratio.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from builds import builds  # noqa: E402
from commands import commands  # noqa: E402
from compositions import compositions  # noqa: E402
from consumption import health, memory, watching  # noqa: E402
from files import files  # noqa: E402
from lives import latency, listing, lives, operation_layer, sequence  # noqa: E402
from logs import logs  # noqa: E402
from networks import networks  # noqa: E402
from ports import published_port  # noqa: E402
from session import Session  # noqa: E402
from table import Samples, Table  # noqa: E402
from transfers import transfers  # noqa: E402

from support.daemon import Engine  # noqa: E402
from support.stock_engine import StockEngine  # noqa: E402


def runtimes(table: Table) -> None:
    """The runtime without an engine, beside others of its kind: a program of its own."""
    program = [sys.executable, str(HERE / "runtimes.py"), "--json"]
    program += ["--runs", "10" if table.quick else "40"]
    ran = subprocess.run(program, stdout=subprocess.PIPE, check=True)
    samples: dict[str, Samples] = json.loads(ran.stdout)
    for ours, goals in (("wherry-runtime", ("<= 3", "")), ("forked path", ("<= 0.6", ""))):
        for peer, goal in zip(("crun", "runc"), goals, strict=True):
            row = table.row(f"a bundle run by {ours}, beside {peer} [ms]", goal)
            row.ours, row.theirs = samples[ours], samples.get(peer, [])
            row.show()


GROUPS: dict[str, Callable[[Table], None]] = {
    "memory": memory,
    "lifecycles": lives,
    "operations": operation_layer,
    "ports": published_port,
    "networks": networks,
    "sequence": sequence,
    "logs": logs,
    "latency": latency,
    "files": files,
    "registry": transfers,
    "watching": watching,
    "health": health,
    "listing": listing,
    "runtimes": runtimes,
    "commands": commands,
    "compose": compositions,
    "builds": builds,
}
"""The groups by the names that `--only` takes; memory first, while the engines are fresh."""


@contextlib.contextmanager
def _started(engine: Engine) -> Iterator[Engine]:
    try:
        engine.start()
        engine.bootstrap()
        yield engine
    finally:
        engine.close()


def _describe(engine: Engine) -> str:
    version = engine.api("GET", "/version").json
    return f"{version['Version']} (API {version['ApiVersion']})"


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer samples and containers")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument("--scale", type=int, default=100, help="containers for the memory rows")
    parser.add_argument(
        "--only", action="append", choices=GROUPS, help="one group of rows; may be repeated"
    )
    parser.add_argument("--json", help="also write all samples to this file")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wherry-bench-")))
        work.chmod(0o755)
        netload = work / "netload"
        source = HERE / "netload.c"
        subprocess.run(["gcc", "-O2", "-static", "-o", netload, source], check=True)
        ours = stack.enter_context(_started(Engine()))
        theirs = None if options.alone else stack.enter_context(_started(StockEngine()))
        print(f"wherry {_describe(ours)}", end="")
        print(f" beside dockerd {_describe(theirs)}" if theirs else "", end="")
        load = os.getloadavg()[0]
        print(f"; {os.cpu_count()} processors, load {load:.2f}, kernel {os.uname().release}")
        print(f"{'':<44} {'dockerd':>10} {'wherry':>10} {'ratio':>7}  {'goal':<10} spread of ours")
        table = Table(
            Session(ours, netload),
            Session(theirs, netload) if theirs else None,
            quick=options.quick,
            scale=options.scale,
        )
        for name, group in GROUPS.items():
            if not options.only or name in options.only:
                group(table)
        print(f"load at the end {os.getloadavg()[0]:.2f}")
        if options.json:
            rows = [{"name": x.name, "ours": x.ours, "theirs": x.theirs} for x in table.rows]
            Path(options.json).write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
