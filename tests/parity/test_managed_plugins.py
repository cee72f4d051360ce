"""Managed plugins through the stock client: made, set, run, used, pushed, installed, replaced."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import log_plugin, network_plugin, volume_plugin
from support.daemon import Engine
from support.debian_registry import debian_registry
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs

CONFIG: dict[str, Any] = {
    "description": "volumes as file systems in memory",
    "documentation": "",
    "interface": {"types": ["docker.volumedriver/1.0"], "socket": "keeper.sock"},
    "entrypoint": ["/usr/bin/python3", "/plugin.py", "/run/docker/plugins/keeper.sock", "/mnt"],
    "workdir": "/",
    "network": {"type": "none"},
    "propagatedMount": "/mnt/volumes",
    "linux": {"capabilities": ["CAP_SYS_ADMIN"], "allowAllDevices": False, "devices": []},
    "mounts": [
        {
            "name": "programs", "description": "the host's Python", "source": "/usr",
            "destination": "/usr", "type": "bind", "options": ["rbind", "ro"],
            "settable": ["source"],
        }
    ],
    "env": [
        {"name": "DEBUG", "description": "", "value": "0", "settable": ["value"]},
        {"name": "FIXED", "description": "", "value": "1"},
    ],
    "args": {"name": "args", "description": "", "settable": ["value"], "value": []},
}  # fmt: skip


def context(root: Path, **changes: object) -> Path:
    """A directory as `docker plugin create` takes it."""
    rootfs = root / "rootfs"
    for name in ("usr", "proc", "sys", "dev", "etc", "tmp", "run/docker/plugins", "mnt/volumes"):
        (rootfs / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (rootfs / name).symlink_to(f"usr/{name}")
    shutil.copy(volume_plugin.__file__, rootfs / "plugin.py")
    (rootfs / "all/support").mkdir(parents=True)
    for program in (volume_plugin, log_plugin, network_plugin):
        shutil.copy(program.__file__, rootfs / "all/support")
    (root / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    return root


@pytest.fixture(autouse=True)
def _no_plugins(engine: Engine) -> Iterator[None]:
    """Each test leaves neither a plugin nor anything of one."""
    before = engine.settled_census()
    yield
    engine.remove_all_containers()
    for name in engine.docker_ok("volume", "ls", "-q").split():
        engine.docker_ok("volume", "rm", name)
    for name in engine.docker_ok("plugin", "ls", "-q").split():
        engine.docker_ok("plugin", "rm", "-f", name)
    shutil.rmtree(engine.data_root / "plugins", ignore_errors=True)
    assert not engine.leaks_since(before)


def made(
    engine: Engine, tmp_path: Path, name: str = "keeper", **changes: object
) -> dict[str, Any]:
    """A plugin that was made here, as inspection shows it."""
    place = context(tmp_path / name.replace("/", "-").replace(":", "-"), **changes)
    assert engine.docker_ok("plugin", "create", name, str(place)) == name
    return inspected(engine, name)


def inspected(engine: Engine, name: str) -> dict[str, Any]:
    """What inspection shows of a plugin."""
    shown: dict[str, Any] = json.loads(engine.docker_ok("plugin", "inspect", name))[0]
    return shown


def test_a_life(engine: Engine, tmp_path: Path) -> None:
    """Made disabled, enabled, used by containers, not disabled while used, and removed."""
    plugin = made(engine, tmp_path)
    assert (plugin["Name"], plugin["Enabled"]) == ("keeper:latest", False)
    assert plugin["Settings"]["Env"] == ["DEBUG=0", "FIXED=1"]
    assert plugin["Config"]["Interface"]["Types"] == ["docker.volumedriver/1.0"]
    assert len(plugin["Config"]["rootfs"]["diff_ids"]) == 1
    assert "not found" in engine.docker("volume", "create", "-d", "keeper", "far").stderr
    engine.docker_ok("plugin", "enable", "keeper")
    assert "is already enabled" in engine.docker("plugin", "enable", "keeper").stderr
    listed = ("plugin", "ls", "--format", "{{.Name}} {{.Enabled}}")
    assert engine.docker_ok(*listed) == "keeper:latest true"
    assert engine.docker_ok(*listed, "-f", "capability=volumedriver").startswith("keeper")
    assert not engine.docker_ok(*listed, "-f", "enabled=false")
    assert engine.docker_ok("volume", "create", "-d", "keeper", "far") == "far"
    assert engine.docker_ok("volume", "ls", "--format", "{{.Driver}}") == "keeper:latest"
    keep = ("run", "-d", "--name", "first", "-v", "far:/far", "busybox")
    engine.docker_ok(*keep, "sh", "-c", "echo here > /far/file; sleep 77")
    again = ("run", "--rm", "-v", "far:/far", "busybox")
    look = (*again, "sh", "-c", "until test -s /far/file; do sleep 0.1; done; cat /far/file")
    assert engine.docker_ok(*look) == "here"
    (mount,) = engine.inspect("first")["Mounts"]
    assert mount["Driver"] == "keeper:latest"
    assert "keeper:latest" in engine.docker_ok("info", "-f", "{{.Plugins.Volume}}")
    propagated = engine.data_root / "plugins" / plugin["Id"] / "propagated-mount"
    far = json.loads(engine.docker_ok("volume", "inspect", "far"))[0]
    assert far["Mountpoint"] == mount["Source"] == str(propagated / "far")
    assert "is in use" in engine.docker("plugin", "disable", "keeper").stderr
    assert "is in use" in engine.docker("plugin", "rm", "keeper").stderr
    engine.restart()
    assert engine.docker_ok(*look) == "here"
    engine.docker_ok("rm", "-f", "first")
    engine.docker_ok("volume", "rm", "far")
    assert "is already enabled" in engine.docker("plugin", "rm", "keeper").stderr
    engine.docker_ok("plugin", "disable", "keeper")
    assert "is already disabled" in engine.docker("plugin", "disable", "keeper").stderr
    engine.docker_ok("plugin", "rm", "keeper")
    assert 'plugin "keeper" not found' in engine.docker("plugin", "inspect", "keeper").stderr


def of_kind(kind: str, program: str, **more: object) -> dict[str, object]:
    """What the description says of a plugin of another kind."""
    return {
        "interface": {"types": [f"docker.{kind}/1.0"], "socket": "x.sock"},
        "entrypoint": [
            "/usr/bin/python3", f"/all/support/{program}.py", "/run/docker/plugins/x.sock", "/mnt",
        ],
        "propagatedMount": "",
        **more,
    }  # fmt: skip


def test_networks_and_logs(engine: Engine, tmp_path: Path) -> None:
    """Networks, addresses and logs are a managed plugin's as well, and `info` names it."""
    scribe = made(engine, tmp_path, "scribe", **of_kind("logdriver", "log_plugin"))
    made(
        engine, tmp_path, "wires",
        **of_kind(
            "networkdriver", "network_plugin", network={"type": "host"},
            linux={"capabilities": ["CAP_NET_ADMIN"]},
        ),
    )  # fmt: skip
    for name in ("scribe", "wires"):
        engine.docker_ok("plugin", "enable", name)
    known = json.loads(engine.docker_ok("info", "-f", "{{json .Plugins}}"))
    assert known["Log"][-1] == "scribe:latest"
    assert known["Network"][-1] == "wires:latest"
    engine.docker_ok("network", "create", "-d", "wires", "--subnet", "10.88.0.0/24", "far")
    ran = engine.docker_ok(
        "run", "-d", "--log-driver", "scribe", "--network", "far", "busybox",
        "sh", "-c", "ip -o addr show plug0; sleep 77",
    )  # fmt: skip
    kept = engine.data_root / "plugins" / scribe["Id"] / "rootfs/mnt" / ran
    wait_until("the line has come", lambda: kept.exists() and "plug0" in kept.read_text())
    assert "10.88.0." in kept.read_text()
    engine.docker_ok("rm", "-f", ran)
    engine.docker_ok("network", "rm", "far")


def test_settings(engine: Engine, tmp_path: Path) -> None:
    """What is settable is set while the plugin is disabled; the rest is refused by name."""
    made(engine, tmp_path)
    engine.docker_ok("plugin", "set", "keeper", "DEBUG=7", "programs.source=/usr", "args=-v -v")
    settings = inspected(engine, "keeper")["Settings"]
    assert sorted(settings["Env"]) == ["DEBUG=7", "FIXED=1"]
    assert settings["Args"] == ["-v", "-v"]
    assert settings["Mounts"][0]["Source"] == "/usr"
    for wish, words in (
        ("FIXED=2", '"FIXED" is not settable'),
        ("programs.destination=/x", '"programs.destination" is not settable'),
        ("NONE=1", 'setting "NONE" not found in the plugin configuration'),
    ):
        assert words in engine.docker("plugin", "set", "keeper", wish).stderr
    engine.docker_ok("plugin", "enable", "keeper")
    ran = engine.docker("plugin", "set", "keeper", "DEBUG=1")
    assert "cannot set on an active plugin" in ran.stderr


def test_it_is_started_again(engine: Engine, tmp_path: Path) -> None:
    """A plugin that dies comes back, also after the daemon's own death; disabled it stays so."""
    made(engine, tmp_path)
    engine.docker_ok("plugin", "enable", "keeper")
    first = engine.process_named("/plugin.py")
    os.kill(first, signal.SIGKILL)
    create = ("volume", "create", "-d", "keeper", "far")
    wait_until("it answers again", lambda: engine.docker(*create).returncode == 0)
    second = engine.process_named("/plugin.py")
    assert second != first
    engine.kill9()
    engine.start()
    assert engine.process_named("/plugin.py") == second
    assert inspected(engine, "keeper")["Enabled"]
    engine.docker_ok("volume", "rm", "far")
    engine.docker_ok("plugin", "disable", "keeper")
    engine.restart()
    assert not inspected(engine, "keeper")["Enabled"]


def test_to_a_registry_and_back(engine: Engine, tmp_path: Path) -> None:
    """Pushed, looked at, installed with exactly its privileges, and upgraded in its place."""
    with debian_registry(engine) as registry:
        name = f"{registry}/tools/keeper"
        made(engine, tmp_path, f"{name}:1")
        pushed = engine.docker_ok("plugin", "push", f"{name}:1")
        assert "digest: sha256:" in pushed
        made(engine, tmp_path, f"{name}:2", description="a newer one")
        engine.docker_ok("plugin", "push", f"{name}:2")
        engine.docker_ok("plugin", "rm", f"{name}:1", f"{name}:2")

        wanted = engine.api("GET", f"/plugins/privileges?remote={name}:1").json
        assert [(each["Name"], each["Value"]) for each in wanted] == [
            ("network", ["none"]),
            ("mount", ["/usr"]),
            ("capabilities", ["CAP_SYS_ADMIN"]),
        ]
        for allowed in (wanted[1:], [*wanted, wanted[0]], []):
            answer = engine.api("POST", f"/plugins/pull?remote={name}:1&name=mine", allowed)
            told = answer.lines if answer.status == 200 else [answer.json]
            assert "incorrect privileges" in json.dumps(told)
        assert not engine.docker_ok("plugin", "ls", "-q")

        install = ("plugin", "install", "--grant-all-permissions", "--alias", "mine")
        engine.docker_ok(*install, f"{name}:1", "DEBUG=3", timeout_s=60)
        plugin = inspected(engine, "mine")
        assert plugin["Enabled"]
        assert plugin["PluginReference"] == f"{name}:1"
        assert "DEBUG=3" in plugin["Settings"]["Env"]
        ran = engine.docker(*install, f"{name}:1")
        assert 'plugin "mine:latest" already exists' in ran.stderr
        assert engine.docker_ok("volume", "create", "-d", "mine", "far") == "far"
        engine.docker_ok("volume", "rm", "far")

        upgrade = ("plugin", "upgrade", "--grant-all-permissions", "--skip-remote-check", "mine")
        engine.docker_ok("plugin", "disable", "mine")
        engine.docker_ok(*upgrade, f"{name}:2")
        upgraded = inspected(engine, "mine")
        assert upgraded["Id"] == plugin["Id"]
        assert upgraded["Config"]["Description"] == "a newer one"
        engine.docker_ok("plugin", "enable", "mine")
        answer = engine.api("POST", f"/plugins/mine/upgrade?remote={name}:2", wanted)
        told = answer.lines if answer.status == 200 else [answer.json]
        assert "plugin must be disabled before upgrading" in json.dumps(told)


def test_an_upgrade_that_fails(engine: Engine, tmp_path: Path) -> None:
    """The version before stays, files and record; so it does after a crash in the middle."""
    with debian_registry(engine) as registry:
        name = f"{registry}/tools/keeper"
        made(engine, tmp_path, f"{name}:2", description="a newer one")
        engine.docker_ok("plugin", "push", f"{name}:2")
        engine.docker_ok("plugin", "rm", f"{name}:2")
        plugin = made(engine, tmp_path, "mine")
        place = engine.data_root / "plugins" / plugin["Id"]
        wanted = engine.api("GET", f"/plugins/privileges?remote={name}:2").json
        (place / "rootfs.coming").mkdir()
        answer = engine.api("POST", f"/plugins/mine/upgrade?remote={name}:2", wanted)
        assert "rootfs.coming" in json.dumps(answer.lines if answer.status == 200 else answer.json)
        assert inspected(engine, "mine")["Config"]["Description"] == CONFIG["description"]
        assert sorted(each.name for each in place.glob("rootfs*")) == ["rootfs"]

        # As a crash between the two renames and the record leaves it.
        blobs = (engine.data_root / "plugins/content/blobs/sha256").iterdir()
        (digest,) = (each.name for each in blobs if each.read_bytes().startswith(b"{"))
        (place / "rootfs").rename(place / f"rootfs.{digest}")
        (place / "rootfs").mkdir()
        engine.restart()
        assert (place / "rootfs/plugin.py").exists()
        assert sorted(each.name for each in place.glob("rootfs*")) == ["rootfs"]
        answer = engine.api("POST", f"/plugins/mine/upgrade?remote={name}:2", wanted)
        assert inspected(engine, "mine")["Config"]["Description"] == "a newer one"
        engine.docker_ok("plugin", "enable", "mine")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"entrypoint": []}, "invalid plugin config: no entrypoint"),
        ({"interface": {"types": [], "socket": "x.sock"}}, "no interface types or no socket"),
        (
            {"interface": {"types": ["docker.volumedriver/1.0"], "socket": "../x"}},
            "must be a plain name",
        ),
        ({"linux": None, "args": None, "entrypoint": None}, "no entrypoint"),
    ],
)
def test_what_is_no_plugin(
    engine: Engine, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    """It is refused in one sentence, and nothing is left."""
    place = context(tmp_path / "bad", **changes)
    assert words in engine.docker("plugin", "create", "bad", str(place)).stderr
    assert not engine.docker_ok("plugin", "ls", "-q")
    assert {each.name for each in (engine.data_root / "plugins").iterdir()} <= {"content"}


def test_one_that_does_not_answer(engine: Engine, tmp_path: Path) -> None:
    """Enabling says why it can't be, and the plugin stays disabled."""
    made(engine, tmp_path, "ends", entrypoint=["/usr/bin/python3", "-c", "raise SystemExit(3)"])
    assert "it ended: 3" in engine.docker("plugin", "enable", "ends").stderr
    deaf = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit()); signal.pause()"
    made(engine, tmp_path, "deaf", entrypoint=["/usr/bin/python3", "-c", deaf])
    ran = engine.docker("plugin", "enable", "--timeout", "1", "deaf")
    assert "connection refused" in ran.stderr
    assert engine.docker_ok("plugin", "ls", "--format", "{{.Enabled}}").split() == ["false"] * 2


def test_by_our_own_command_line(engine: Engine, tmp_path: Path) -> None:
    """The same verbs in `wherry plugin`, an installation with a question among them."""

    def ran(*words: str, stdin: str | None = None) -> str:
        outcome = engine.wherry("plugin", *words, stdin=stdin)
        assert outcome.returncode == 0, (words, outcome.stderr)
        return outcome.stdout.strip()

    place = context(tmp_path / "own")
    with debian_registry(engine) as registry:
        name = f"{registry}/tools/own:1"
        assert ran("create", "--compress", name, str(place)) == name
        assert "digest: sha256:" in ran("push", name)
        assert ran("rm", name) == name
        told = ran("install", "--disable", "--alias", "own", name, "DEBUG=4", stdin="y\n")
        assert " - capabilities: [CAP_SYS_ADMIN]" in told
        refused = engine.wherry("plugin", "install", "--alias", "two", name, stdin="n\n")
        assert "permission denied while installing plugin" in refused.stderr
        assert ran("upgrade", "--grant-all-permissions", "own").endswith(f"own to {name}")
    assert ran("ls", "--format", "{{.Name}} {{.Enabled}} {{.PluginReference}}") == (
        f"own:latest false {name}"
    )
    ran("set", "own", "DEBUG=5")
    assert ran("inspect", "-f", "{{.Settings.Env}}", "own") == "[FIXED=1 DEBUG=5]"
    assert ran("enable", "own") == "own"
    assert "already enabled" in engine.wherry("plugin", "rm", "own").stderr
    assert ran("disable", "own") == "own"
    assert ran("rm", "own") == "own"
    assert not ran("ls", "-q")
