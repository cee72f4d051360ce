"""Compose projects in a directory: driven by the real Compose v2 or by ours, on one engine."""

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support.compose_oracle import oracle_program
from support.daemon import Engine, Ran

THEIRS, OURS = "theirs", "ours"


class ComposeProject:
    """A directory with a compose.yaml; `theirs` and `ours` run the two tools in it."""

    def __init__(self, engine: Engine, directory: Path, text: str, name: str) -> None:
        self.engine = engine
        self.directory = directory
        self.name = name
        self.write(text)

    def write(self, text: str) -> None:
        """Write the Compose file anew."""
        (self.directory / "compose.yaml").write_text(text)

    def run(self, tool: str, *words: str, timeout_s: float = 60) -> Ran:
        """Run one of the two."""
        return self.theirs(*words) if tool == THEIRS else self.ours(*words, timeout_s=timeout_s)

    def theirs(self, *words: str, **variables: str) -> Ran:
        """Run Compose v2."""
        return subprocess.run(
            [str(oracle_program()), "-f", self._file, *words],
            env={**self.engine.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def ours(self, *words: str, timeout_s: float = 60) -> Ran:
        """Run `wherry compose`."""
        return self.engine.wherry("compose", "-f", self._file, *words, timeout_s=timeout_s)

    def ok(self, tool: str, *words: str) -> Ran:
        """Run one of the two, which must succeed."""
        ran = self.run(tool, *words)
        assert ran.returncode == 0, (tool, words, ran.returncode, ran.stdout, ran.stderr)
        return ran

    def down(self) -> None:
        """Remove everything, whoever made it."""
        self.ok(OURS, "down", "-v", "-t", "0", "--remove-orphans")

    @property
    def _file(self) -> str:
        return str(self.directory / "compose.yaml")

    def container_ids(self) -> dict[str, str]:
        """The ids of the project's containers, by name."""
        chosen = quote(json.dumps({"label": [f"com.docker.compose.project={self.name}"]}))
        found = self.engine.api("GET", f"/containers/json?all=1&filters={chosen}").json
        return {each["Names"][0].removeprefix("/"): each["Id"] for each in found}

    def facts(self) -> dict[str, Any]:
        """What is true of each container, without what differs from one time to the next."""
        return {name: _facts(self.engine.inspect(name)) for name in sorted(self.container_ids())}


def _facts(found: Any) -> dict[str, Any]:
    config, host = dict(found["Config"]), dict(found["HostConfig"])
    if config["Hostname"] == found["Id"][:12]:
        del config["Hostname"]
    for key, each in list(config.items()):
        if key == "Env":
            config[key] = sorted(each or [])
    for key, each in list(host.items()):
        if isinstance(each, list):
            host[key] = sorted(each, key=json.dumps)
        elif isinstance(each, str) and each.startswith("container:"):
            host[key] = "container:"
    labels = dict(config["Labels"])
    told = labels.get("com.docker.compose.depends_on", "")
    labels["com.docker.compose.depends_on"] = ",".join(sorted(told.split(",")))
    if host["VolumesFrom"]:
        host["VolumesFrom"] = len(host["VolumesFrom"])
    if host["VolumesFrom"] or "container:" in [x for x in host.values() if isinstance(x, str)]:
        labels.pop("com.docker.compose.config-hash")  # Ids of others are in it.
    networks = found["NetworkSettings"]["Networks"]
    return {
        "config": {**config, "Labels": labels},
        "host": host,
        "mounts": sorted(
            (m["Type"], m.get("Name", "")[:20] if m.get("Name", "").count("_") else "",
             m["Destination"], m["RW"])
            for m in found["Mounts"]
        ),
        "networks": {
            name: (sorted(each["Aliases"] or []), each["IPAMConfig"], each["DriverOpts"])
            for name, each in networks.items()
        },
    }  # fmt: skip
