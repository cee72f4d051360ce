"""Volumes of a plugin: another process that speaks Docker's plugin protocol on a socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import volume_plugin
from support.daemon import Engine
from support.volume_plugin import beside
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs

SOCKET = "/run/docker/plugins/keeper.sock"


@pytest.fixture
def keeper(engine: Engine) -> Iterator[Path]:
    """The directory of a plugin named `keeper`; its calls are in `calls`."""
    directory = engine.root / "keeper"
    with beside(engine, volume_plugin.__file__, SOCKET, directory):
        yield directory
    engine.machine.run("rm", "-rf", SOCKET, str(directory))


def calls(directory: Path) -> list[str]:
    """What a plugin was asked since the last look."""
    file = directory / "calls"
    told = file.read_text().splitlines() if file.exists() else []
    file.write_text("")
    looks = ("VolumeDriver.Path", "VolumeDriver.Get", "VolumeDriver.List", "VolumeDriver.Capab")
    return [each for each in told if not each.startswith(looks)]


@pytest.mark.slide("12.22")
def test_a_volume_of_a_plugin(engine: Engine, keeper: Path) -> None:
    """It is made, mounted once for two containers, unmounted after the last, and removed."""
    assert engine.docker_ok("volume", "create", "-d", "keeper", "-o", "a=b", "far") == "far"
    assert calls(keeper)[-1] == "VolumeDriver.Create far"
    assert engine.docker_ok("volume", "ls", "--format", "{{.Driver}} {{.Name}}") == "keeper far"
    assert "keeper" in engine.api("GET", "/info").json["Plugins"]["Volume"]
    first = ("run", "-d", "--name", "first", "-v", "far:/far", "busybox")
    engine.docker_ok(*first, "sh", "-c", "echo here > /far/file; sleep 77")
    look = ("exec", "first", "test", "-s", "/far/file")
    wait_until("the file is there", lambda: not engine.docker(*look).returncode)
    again = ("run", "--rm", "--mount", "type=volume,src=far,dst=/far,volume-driver=keeper")
    assert engine.docker_ok(*again, "busybox", "cat", "/far/file") == "here"
    assert engine.inspect("first")["Mounts"][0]["Driver"] == "keeper"
    assert "volume is in use" in engine.docker("volume", "rm", "far").stderr
    mount, unmount = "VolumeDriver.Mount far far", "VolumeDriver.Unmount far far"
    # At first for a look whether it is empty and gets what the image has there.
    assert calls(keeper) == [mount, unmount, mount]
    engine.docker_ok("rm", "-f", "first")
    assert calls(keeper) == [unmount]
    engine.docker_ok("volume", "rm", "far")
    assert calls(keeper) == ["VolumeDriver.Remove far"]
    assert not list((keeper / "volumes").iterdir())


def test_the_engine_is_restarted(engine: Engine, keeper: Path) -> None:
    """A container that ran on keeps the volume, and gives it back to the plugin when it ends."""
    run = ("run", "-d", "--name", "first", "--volume-driver", "keeper", "-v", "far:/far")
    engine.docker_ok(*run, "busybox", "sleep", "77")
    engine.restart()
    calls(keeper)
    engine.docker_ok("rm", "-f", "first")
    assert "VolumeDriver.Unmount far far" in calls(keeper)
    engine.docker_ok("volume", "rm", "far")


def test_what_a_plugin_refuses(engine: Engine, keeper: Path) -> None:
    """Its own words are the answer, and nothing is left; nor of a plugin that is not there."""
    ran = engine.docker("volume", "create", "-d", "keeper", "-o", "refuse=yes", "far")
    assert "create far: VolumeDriver.Create: this one I don't want" in ran.stderr
    ran = engine.docker("volume", "create", "-d", "nobody", "far")
    assert 'error looking up volume plugin nobody: plugin "nobody" not found' in ran.stderr
    assert not engine.docker_ok("volume", "ls", "-q")


def test_a_plugin_that_has_gone(engine: Engine) -> None:
    """A start says which plugin is missing; the volume can be removed when it is back."""
    directory, socket = engine.root / "leaver", "/run/docker/plugins/leaver.sock"
    with beside(engine, volume_plugin.__file__, socket, directory):
        engine.docker_ok("volume", "create", "-d", "leaver", "far")
    ran = engine.docker("run", "--rm", "-v", "far:/far", "busybox", "true")
    assert ran.returncode != 0
    assert "VolumeDriver.Mount: " in ran.stderr
    assert not engine.docker_ok("ps", "-aq")
    assert engine.docker("volume", "rm", "far").returncode == 1
    engine.machine.run("rm", socket)
    with beside(engine, volume_plugin.__file__, socket, directory):
        engine.docker_ok("volume", "rm", "far")


def test_volumes_that_only_the_plugin_knows(engine: Engine, keeper: Path) -> None:
    """They are listed and shown with what the plugin says, and are used under their names."""
    engine.docker_ok("volume", "create", "-d", "keeper", "far")
    (keeper / "volumes" / "theirs").mkdir()
    listed = engine.docker_ok("volume", "ls", "--format", "{{.Driver}} {{.Name}} {{.Scope}}")
    assert listed.splitlines() == ["keeper far global", "keeper theirs global"]
    for name in ("far", "theirs"):
        shown = engine.api("GET", f"/volumes/{name}").json
        assert (shown["Driver"], shown["Scope"]) == ("keeper", "global")
        assert shown["Status"] == {"kept": "in memory"}
    engine.docker_ok("run", "--rm", "-v", "theirs:/d", "busybox", "touch", "/d/file")
    assert "VolumeDriver.Create theirs" not in calls(keeper)
    engine.docker_ok("volume", "rm", "far", "theirs")
    assert not engine.docker_ok("volume", "ls", "-q")
