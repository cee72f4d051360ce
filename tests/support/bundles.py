"""Bundles and the runtime's own command line, for tests of `wherry-runtime`."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.containers import APPLETS, BUSYBOX

_CALL = "import sys; from wherry.programs.wherry_runtime import main; sys.exit(main())"
SOURCES = str(Path(__file__).parents[2] / "src")


def write_program(path: Path) -> Path:
    """An executable that is `wherry-runtime` of this checkout."""
    path.write_text(
        f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {SOURCES!r})\n{_CALL}\n"
    )
    path.chmod(0o755)
    return path


def fill_rootfs(rootfs: Path) -> None:
    """A root file system of busybox."""
    for part in ("bin", "etc", "proc", "sys", "dev", "tmp"):
        (rootfs / part).mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, rootfs / "bin/busybox")
    for applet in APPLETS:
        (rootfs / "bin" / applet).symlink_to("busybox")


@dataclass(slots=True)
class Bundle:
    """A bundle with the runtime's own example configuration, and a root for states."""

    directory: Path
    name: str
    program: Path = field(init=False)
    spec: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.program = write_program(self.directory / "wherry-runtime")
        fill_rootfs(self.directory / "bundle/rootfs")
        self.does("spec", "--bundle", str(self.directory / "bundle"))
        self.spec = json.loads(self.config.read_text())
        self.spec["process"]["terminal"] = False
        del self.spec["process"]["rlimits"]

    @property
    def config(self) -> Path:
        """The configuration's file."""
        return self.directory / "bundle/config.json"

    def wants(self, *args: str) -> None:
        """Write the configuration, with this command."""
        self.spec["process"]["args"] = list(args)
        self.config.write_text(json.dumps(self.spec))

    def command(self, *words: str) -> list[str]:
        """A command line of the runtime, with a state directory of the test's own."""
        return [str(self.program), "--root", str(self.directory / "state"), *words]

    def does(
        self, *words: str, fails: bool = False, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run the runtime in the bundle; it succeeds unless the test says otherwise."""
        options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            self.command(*words),
            cwd=self.directory / "bundle",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )
        assert fails or done.returncode == 0, done.stderr
        return done

    def makes(self, *words: str) -> None:
        """`create`, whose output goes nowhere: a container would hold a pipe open."""
        quiet = subprocess.DEVNULL
        log = self.directory / "create.log"
        done = subprocess.run(
            self.command("--log", str(log), *words),
            cwd=self.directory / "bundle", stdin=quiet, stdout=quiet, stderr=quiet, timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, log.read_text()

    def state(self) -> dict[str, Any]:
        """What `state` prints."""
        told: dict[str, Any] = json.loads(self.does("state", self.name).stdout)
        return told

    def left(self) -> list[str]:
        """What is left of the container: cgroups, and its state."""
        cgroups = [
            f"{top}/{self.name}" for top in Path("/sys/fs/cgroup").iterdir() if top.is_dir()
        ]
        return [path for path in (*cgroups, str(self.directory / "state" / self.name))
                if os.path.exists(path)]  # fmt: skip
