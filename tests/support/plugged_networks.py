"""An engine with a plugin of networks beside it, and what that was asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import network_plugin
from support.daemon import Engine
from support.volume_plugin import beside

SOCKET = "/run/docker/plugins/plug.sock"
FAR = ("network", "create", "-d", "plug", "--ipam-driver", "plug", "far")
"""A network that is the plugin's alone."""


@contextmanager
def plugged(engine: Engine) -> Iterator[Path]:
    """The directory of a plugin named `plug`; nobody is on its networks afterwards."""
    directory = engine.root / "plug"
    with beside(engine, network_plugin.__file__, SOCKET, directory):
        yield directory
        engine.remove_all_containers()
        engine.docker("network", "prune", "-f")
    engine.machine.run("rm", "-rf", SOCKET, str(directory))


def calls(directory: Path) -> list[str]:
    """What the plugin was asked since the last look."""
    file = directory / "calls"
    told = file.read_text().splitlines() if file.exists() else []
    file.write_text("")
    return [each.partition(".")[2] for each in told if not each.startswith("Plugin.")]


def links(engine: Engine) -> str:
    """The names of the machine's links."""
    return engine.machine.run("sh", "-c", "ls /sys/class/net | sort").stdout
