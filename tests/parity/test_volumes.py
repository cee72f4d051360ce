"""Volumes through the stock client: names, copies of the image's files, sharing, removal."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Engine


@pytest.fixture(autouse=True)
def _no_volumes(engine: Engine) -> Iterator[None]:
    """Each test leaves no volume."""
    yield
    engine.remove_all_containers()
    for name in engine.docker_ok("volume", "ls", "-q").split():
        engine.docker_ok("volume", "rm", name)
    assert not [each for each in (engine.data_root / "volumes").iterdir() if each.is_dir()]


def run(engine: Engine, *arguments: str) -> str:
    """The output of a container that is removed at once."""
    return engine.docker_ok("run", "--rm", *arguments)


def volume(engine: Engine, name: str) -> Any:
    """What inspection shows of a volume."""
    return json.loads(engine.docker_ok("volume", "inspect", name))[0]


def test_named_volume_outlives_containers(engine: Engine) -> None:
    """What one container writes to a named volume, the next one reads."""
    run(engine, "-v", "data:/d", "busybox", "sh", "-c", "echo kept > /d/file")
    assert run(engine, "-v", "data:/d:ro", "busybox", "cat", "/d/file") == "kept"
    assert engine.docker_ok("volume", "ls", "-q") == "data"
    shown = volume(engine, "data")
    assert (shown["Driver"], shown["Scope"], shown["Options"]) == ("local", "local", None)
    assert Path(shown["Mountpoint"], "file").read_text() == "kept\n"


def test_read_only_volume(engine: Engine) -> None:
    """A volume with `ro` can't be written to; under `--read-only` the others still can."""
    flags = ("--read-only", "-v", "one:/one:ro", "-v", "two:/two")
    script = "! touch /one/x 2>/dev/null && ! touch /x 2>/dev/null && touch /two/x && echo sealed"
    assert run(engine, *flags, "busybox", "sh", "-c", script) == "sealed"


def test_anonymous_volumes(engine: Engine) -> None:
    """They go with `--rm` and `rm -v`, and stay with a plain `rm`."""
    run(engine, "-v", "/d", "busybox", "touch", "/d/x")
    assert engine.docker_ok("volume", "ls", "-q") == ""
    kept = engine.docker_ok("create", "-v", "/d", "busybox")
    (mount,) = engine.inspect(kept)["Mounts"]
    assert len(mount["Name"]) == 64
    assert (mount["Mode"], mount["RW"], mount["Driver"]) == ("", True, "local")
    assert engine.inspect(kept)["Config"]["Volumes"] == {"/d": {}}
    assert "com.docker.volume.anonymous" in volume(engine, mount["Name"])["Labels"]
    engine.docker_ok("rm", kept)
    assert engine.docker_ok("volume", "ls", "-qf", "dangling=true") == mount["Name"]
    engine.docker_ok("volume", "prune", "-f")
    other = engine.docker_ok("create", "-v", "/d", "-v", "named:/n", "busybox")
    engine.docker_ok("rm", "-v", other)
    assert engine.docker_ok("volume", "ls", "-q") == "named"


def test_copy_up(engine: Engine) -> None:
    """An empty volume gets the image's files with owners, modes and links; `nocopy` doesn't."""
    show = "stat -c '%u %g %a' /etc/passwd; ls -A /etc | sort | tr '\\n' ' '"
    plain = run(engine, "busybox", "sh", "-c", show).splitlines()
    copied = run(engine, "-v", "etc:/etc", "busybox", "sh", "-c", show).splitlines()
    assert copied[0] == plain[0]
    assert set(plain[1].split()) <= set(copied[1].split())
    empty = run(engine, "--mount", "src=none,dst=/etc,volume-nocopy", "busybox", "sh", "-c",
                "ls /etc")  # fmt: skip
    assert "passwd" not in empty.split()
    # What is not empty stays as it is.
    run(engine, "-v", "etc:/d", "busybox", "sh", "-c", "rm -rf /d/*; echo mine > /d/passwd")
    assert run(engine, "-v", "etc:/etc", "busybox", "cat", "/etc/passwd") == "mine"


def test_subpath(engine: Engine) -> None:
    """`volume-subpath` shows a part of a volume, and a link there leads nowhere else."""
    make = "mkdir -p /d/a/b && echo deep > /d/a/b/f && ln -s /etc /d/out && echo single > /d/s"
    run(engine, "-v", "data:/d", "busybox", "sh", "-c", make)
    mount = "src=data,dst=/m,volume-subpath="
    assert run(engine, "--mount", f"{mount}a/b", "busybox", "cat", "/m/f") == "deep"
    assert run(engine, "--mount", f"{mount}s", "busybox", "cat", "/m") == "single"
    for part in ("out", "a/none", "s/none"):
        refused = engine.docker("run", "--rm", "--mount", f"{mount}{part}", "busybox", "ls", "/m")
        assert refused.returncode != 0
        assert "daemon: cannot access path " in refused.stderr
        assert f"/data/_data/{part}: no" in refused.stderr
    refused = engine.docker("run", "--rm", "--mount", f"{mount}../..", "busybox", "ls", "/m")
    assert refused.returncode == 125
    assert "subpath must be a relative path within the volume" in refused.stderr


def test_volumes_from(engine: Engine, tmp_path: Path) -> None:
    """A container may have another one's volumes and binds, read-only at will."""
    engine.docker_ok(
        "create", "--name", "owner", "-v", "/anonymous", "-v", "named:/named:ro",
        "-v", f"{tmp_path}:/bind", "busybox",
    )  # fmt: skip
    heir = engine.docker_ok("create", "--volumes-from", "owner", "busybox")
    theirs = {each["Destination"]: each for each in engine.inspect("owner")["Mounts"]}
    ours = {each["Destination"]: each for each in engine.inspect(heir)["Mounts"]}
    assert ours.keys() == theirs.keys() == {"/anonymous", "/named", "/bind"}
    for place, mount in ours.items():
        assert (mount["Source"], mount["RW"]) == (theirs[place]["Source"], theirs[place]["RW"])
    host = engine.inspect(heir)["HostConfig"]
    assert host["VolumesFrom"] == ["owner"]
    assert not host["Binds"]
    assert not host.get("Mounts")
    sealed = "! touch /anonymous/x 2>/dev/null && ! touch /bind/x 2>/dev/null && echo sealed"
    flags = ("--volumes-from", "owner:ro")
    assert run(engine, *flags, "busybox", "sh", "-c", sealed) == "sealed"
    own = engine.docker_ok("create", "--volumes-from", "owner", "-v", "mine:/named", "busybox")
    assert {each.get("Name") for each in engine.inspect(own)["Mounts"]} >= {"mine"}
    refused = engine.docker("create", "--volumes-from", "nobody", "busybox")
    assert "No such container: nobody" in refused.stderr


def test_in_use(engine: Engine) -> None:
    """A volume that a container has, even a stopped one, is not removed."""
    holder = engine.docker_ok("create", "-v", "data:/d", "busybox")
    refused = engine.docker("volume", "rm", "data")
    assert refused.returncode == 1
    assert f"remove data: volume is in use - [{holder}]" in refused.stderr
    assert engine.docker_ok("volume", "prune", "-af").startswith("Total reclaimed space: 0B")
    twice = engine.docker_ok("create", "-v", "data:/one", "-v", "data:/two", "busybox")
    engine.docker_ok("rm", holder, twice)
    assert engine.docker_ok("volume", "rm", "data") == "data"
    refused = engine.docker("volume", "rm", "data")
    assert "get data: no such volume" in refused.stderr
    assert engine.docker("volume", "rm", "-f", "data").returncode == 0


def test_lists_and_prunes(engine: Engine) -> None:
    """Filters of the list, and what a prune takes: anonymous ones, or all, by label."""
    engine.docker_ok("volume", "create", "--label", "tier=web", "alpha")
    engine.docker_ok("volume", "create", "beta")
    engine.docker_ok("create", "-v", "beta:/b", "busybox")

    def listed(*filters: str) -> list[str]:
        flags = [word for each in filters for word in ("-f", each)]
        return engine.docker_ok("volume", "ls", "-q", *flags).split()

    assert listed() == ["alpha", "beta"]
    assert listed("dangling=true") == ["alpha"]
    assert listed("dangling=0") == ["beta"]
    assert listed("label=tier") == listed("label=tier=web") == listed("name=alp") == ["alpha"]
    assert listed("driver=local", "name=eta") == ["beta"]
    assert "invalid filter 'colour'" in engine.docker("volume", "ls", "-f", "colour=red").stderr
    table = engine.docker_ok("volume", "ls").splitlines()
    assert table[0].split() == ["DRIVER", "VOLUME", "NAME"]
    assert table[1].split() == ["local", "alpha"]
    assert "alpha" not in engine.docker_ok("volume", "prune", "-f")
    assert "alpha" not in engine.docker_ok("volume", "prune", "-af", "--filter", "label!=tier")
    assert "alpha" in engine.docker_ok("volume", "prune", "-af", "--filter", "label=tier=web")
    assert listed() == ["beta"]


def test_tmpfs_volume(engine: Engine) -> None:
    """A volume of type tmpfs is one file system for all who have it, and gone after the last."""
    options = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m,uid=1000")
    engine.docker_ok("volume", "create", *options, "ram")
    first = engine.docker_ok("run", "-d", "-v", "ram:/r", "busybox", "sleep", "99")
    engine.docker_ok("exec", first, "sh", "-c", "echo shared > /r/f")
    out = run(engine, "-v", "ram:/r", "busybox", "sh", "-c",
              "cat /r/f; df -k /r | tail -n 1; stat -c %u /r")  # fmt: skip
    words = out.split()
    assert (words[0], words[2], words[-1]) == ("shared", "1024", "1000")
    engine.docker_ok("rm", "-f", first)
    assert run(engine, "-v", "ram:/r", "busybox", "ls", "/r") == ""


def test_bind_volume_across_daemons(engine: Engine, tmp_path: Path) -> None:
    """A volume that is a bind stays mounted over a restart of the daemon, as long as it's used."""
    (tmp_path / "file").write_text("bound\n")
    options = ("-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind")
    engine.docker_ok("volume", "create", *options, "bound")
    holder = engine.docker_ok("run", "-d", "-v", "bound:/b", "busybox", "sleep", "99")
    engine.restart()
    assert engine.docker_ok("exec", holder, "cat", "/b/file") == "bound"
    assert run(engine, "-v", "bound:/b", "busybox", "cat", "/b/file") == "bound"
    assert str(engine.data_root / "volumes/bound/_data") in mounts(engine)
    engine.docker_ok("rm", "-f", holder)
    assert str(engine.data_root / "volumes/bound/_data") not in mounts(engine)
    engine.docker_ok("volume", "create", "-o", "type=none", "-o", "device=/nowhere", "-o",
                     "o=bind", "lost")  # fmt: skip
    refused = engine.docker("run", "--rm", "-v", "lost:/x", "busybox", "true")
    assert refused.returncode != 0
    assert "failed to mount local volume: mount /nowhere:" in refused.stderr


def mounts(engine: Engine) -> str:
    """The mounts of the engine's machine."""
    return Path(f"/proc/{engine.machine.pid}/mountinfo").read_text()


def test_events(engine: Engine) -> None:
    """A volume's life as events: create, mount, unmount, destroy."""
    since = time.time()
    run(engine, "-v", "seen:/s", "busybox", "true")
    engine.docker_ok("volume", "rm", "seen")
    told = engine.docker_ok(
        "events", "--since", f"{since:.9f}", "--until", f"{time.time():.9f}",
        "--filter", "type=volume", "--format",
        "{{.Action}} {{.Actor.ID}} {{index .Actor.Attributes \"driver\"}}",
    ).splitlines()  # fmt: skip
    assert [line for line in told if "seen" in line] == [
        "create seen local", "mount seen local", "unmount seen local", "destroy seen local",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("volume", "create", "a/b"), "includes invalid characters for a local volume name"),
        (("volume", "create", "-d", "nope", "v1"),
         "create v1: error looking up volume plugin nope: plugin \"nope\" not found"),
        (("volume", "create", "-o", "colour=red", "v1"), 'invalid option: "colour"'),
        (("volume", "inspect", "nope"), "get nope: no such volume"),
        (("volume", "inspect", "a/b"), "get a/b: no such volume"),
        (("volume", "rm", "a/b"), "get a/b: no such volume"),
        (("volume", "create", "é"), "create é: \"é\" includes invalid characters for a local"),
        (("create", "-v", "-a:/b", "busybox"), "includes invalid characters"),
        (("create", "-v", "v1:/b:rshared", "busybox"), "field BindOptions must not be specified"),
        (("create", "--mount", "dst=/b,readonly", "busybox"),
         "must not set ReadOnly mode when using anonymous volumes"),
        (("create", "--mount", "src=v1,dst=/b,volume-driver=nope", "busybox"),
         "error looking up volume plugin nope"),
        (("create", "-v", "v1:/b", "-v", "v2:/b", "busybox"), "Duplicate mount point: /b"),
    ],
)  # fmt: skip
def test_refusals(engine: Engine, arguments: tuple[str, ...], sentence: str) -> None:
    """What can't be is refused in Docker's words, and leaves no volume behind."""
    refused = engine.docker(*arguments)
    assert refused.returncode in (1, 125)
    assert sentence in refused.stderr
    assert engine.docker_ok("volume", "ls", "-q") == ""


@pytest.mark.stock_differs  # Its 404 lets the client look for the image elsewhere.
def test_the_volume_driver(engine: Engine) -> None:
    """It is of what `-v` names, also when that is there already; `--mount` names its own."""
    engine.docker_ok("volume", "create", "used")
    other = ("create", "--volume-driver", "nosuch")
    sentence = 'create used: error looking up volume plugin nosuch: plugin "nosuch" not found'
    for volume in (("-v", "used:/u"), ("--mount", "src=used,dst=/u,volume-driver=nosuch")):
        assert sentence in engine.docker(*other, *volume, "busybox").stderr
    assert not engine.docker_ok("ps", "-aq")
    engine.docker_ok(*other, "--mount", "src=used,dst=/u", "busybox")


def test_a_link_in_the_image_leads_nowhere(engine: Engine, tmp_path: Path) -> None:
    """A volume at a link of the image holds the container's files, never the host's."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "host-only").write_text("secret")
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "v").symlink_to(secret)
    (tree / "up").symlink_to("../../../../../../.." + str(secret))
    archive = tmp_path / "tree.tar"
    assert os.system(f"tar -C {tree} -cf {archive} .") == 0
    imported = engine.docker_ok("import", "-c", "VOLUME /v /up/.", "-c", "CMD [\"/x\"]",
                                str(archive), "hostile")  # fmt: skip
    assert imported.startswith("sha256:")
    container = engine.docker_ok("create", "hostile")
    for mount in engine.inspect(container)["Mounts"]:
        assert os.listdir(mount["Source"]) == []
    engine.docker_ok("rm", "-v", container)
    engine.docker_ok("rmi", "hostile")
