"""Binds and tmpfs: what is shared, what is read-only, what is refused."""

import os
from pathlib import Path

import pytest

from support.daemon import Engine


@pytest.fixture
def shared(engine: Engine, tmp_path: Path) -> Path:
    """A directory of the host with one file."""
    (tmp_path / "file").write_text("from the host\n")
    return tmp_path


def test_bind_both_ways(engine: Engine, shared: Path) -> None:
    """What the host has is seen, what the container writes is there on the host."""
    script = "cat /there/file; echo back > /there/made"
    out = engine.docker_ok("run", "--rm", "-v", f"{shared}:/there", "busybox", "sh", "-c", script)
    assert out == "from the host"
    assert (shared / "made").read_text() == "back\n"


@pytest.mark.parametrize(
    "form", ["-v={}:/there:ro", "--mount=type=bind,src={},dst=/there,readonly"]
)
def test_read_only_bind(engine: Engine, shared: Path, form: str) -> None:
    """A read-only bind can be read and not written."""
    script = "cat /there/file && ! touch /there/x"
    ran = engine.docker("run", "--rm", form.format(shared), "busybox", "sh", "-c", script)
    assert ran.returncode == 0
    assert "Read-only file system" in ran.stderr


def test_bind_of_a_file(engine: Engine, shared: Path) -> None:
    """One file can be bound over a path that the image does not have."""
    bind = f"{shared}/file:/new/deep/name"
    assert engine.docker_ok("run", "--rm", "-v", bind, "busybox", "cat", "/new/deep/name")


@pytest.mark.parametrize("bind", ["{}/file:/etc", "{}:/etc/passwd"])
def test_two_kinds(engine: Engine, shared: Path, bind: str) -> None:
    """A file on a directory, or the reverse, is refused with Docker's question."""
    refused = engine.docker("run", "--rm", "-v", bind.format(shared), "busybox", "true")
    assert refused.returncode == 125
    assert "not a directory: unknown: Are you trying to mount a directory" in refused.stderr


def test_missing_source(engine: Engine, shared: Path) -> None:
    """`-v` makes a missing host directory, `--mount` refuses it."""
    missing = shared / "not-yet"
    engine.docker_ok("run", "--rm", "-v", f"{missing}:/m", "busybox", "true")
    assert missing.is_dir()
    other = shared / "never"
    refused = engine.docker(
        "run", "--rm", "--mount", f"type=bind,src={other},dst=/m", "busybox", "true"
    )
    assert refused.returncode == 125
    assert f"bind source path does not exist: {other}" in refused.stderr
    assert not other.exists()


def test_tmpfs(engine: Engine) -> None:
    """`--tmpfs` and `--mount type=tmpfs` are empty, writable, and of the size asked for."""
    flags = (
        "--tmpfs",
        "/one:size=1m,mode=1770",
        "--mount",
        "type=tmpfs,dst=/two,tmpfs-size=2097152",
    )
    script = "df -k /one /two | tail -n 2; stat -c %a /one; touch /one/x /two/x && echo written"
    out = engine.docker_ok("run", "--rm", *flags, "busybox", "sh", "-c", script).splitlines()
    assert [line.split()[1] for line in out[:2]] == ["1024", "2048"]
    assert out[2:] == ["1770", "written"]


def test_read_only_root(engine: Engine) -> None:
    """`--read-only` seals the image's files; /dev/shm and tmpfs stay writable."""
    script = "! touch /x 2>/dev/null && touch /dev/shm/x /t/x && echo sealed"
    flags = ("--rm", "--read-only", "--tmpfs", "/t")
    assert engine.docker_ok("run", *flags, "busybox", "sh", "-c", script) == "sealed"


def test_links_do_not_lead_out(engine: Engine, shared: Path) -> None:
    """A mount point that is a link resolves inside the container's root."""
    (shared / "out").symlink_to("/")
    flags = ("-v", f"{shared}:/vol", "--tmpfs", "/vol/out/wherry-test-escape")
    seen = engine.docker_ok("run", "--rm", *flags, "busybox", "ls", "-d", "/wherry-test-escape")
    assert not os.path.exists("/wherry-test-escape")
    assert seen == "/wherry-test-escape"


def test_inspect_tells_mounts(engine: Engine, shared: Path) -> None:
    """Each mount is listed with its source, destination and mode."""
    container = engine.docker_ok("create", "-v", f"{shared}:/a:ro", "busybox", "true")
    found = engine.inspect(container)
    assert found["HostConfig"]["Binds"] == [f"{shared}:/a:ro"]
    mount = found["Mounts"][0]
    assert (mount["Type"], mount["Source"], mount["Destination"]) == ("bind", str(shared), "/a")
    assert mount["RW"] is False


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("-v=/tmp:relative", "mount path must be absolute"),
        ("-v=/tmp:/", "can't be '/'"),
        ("-v=/tmp:/x:odd", "invalid mode"),
        ("-v=/:/a:ro,rw", "invalid mode"),
        ("--mount=type=bind,src=relative,dst=/x", ""),
        ("--mount=type=tmpfs,src=/a,dst=/x", ""),
    ],
)
def test_senseless_mounts_are_refused(engine: Engine, flag: str, sentence: str) -> None:
    """A mount that can't be is refused, with Docker's sentence."""
    refused = engine.docker("create", flag, "busybox", "true")
    assert refused.returncode in (1, 125)
    assert sentence in refused.stderr


def test_duplicate_mount_points(engine: Engine) -> None:
    """Two mounts on one place are refused."""
    refused = engine.docker("create", "-v", "/tmp:/a", "-v", "/root:/a", "busybox", "true")
    assert refused.returncode in (1, 125)
    assert "Duplicate mount point: /a" in refused.stderr


def test_propagation_stays_private(engine: Engine, shared: Path) -> None:
    """A mount made inside is not seen outside, and the other way round."""
    mounted_before = Path(f"/proc/{engine.machine.pid}/mountinfo").read_text().count("\n")
    engine.docker_ok(
        "run", "-d", "-v", f"{shared}:/s", "--tmpfs", "/s/t", "busybox", "sleep", "99"
    )
    inside = [
        line
        for line in Path(f"/proc/{engine.machine.pid}/mountinfo").read_text().splitlines()
        if line.split()[4].startswith(str(shared))
    ]
    assert not inside
    assert mounted_before


@pytest.mark.stock_differs  # dockerd 20.10 knows no depth
@pytest.mark.parametrize(
    ("words", "can_write_below"),
    [
        ("", False),
        (",bind-recursive=enabled", False),
        (",bind-recursive=writable", True),
        (",bind-recursive=readonly,bind-propagation=rprivate", False),
    ],
)
def test_how_deep_a_bind_is_read_only(
    engine: Engine, shared: Path, words: str, can_write_below: bool
) -> None:
    """`bind-recursive` decides about what is mounted below; the bind itself is never written."""
    below = shared / "below"
    below.mkdir()
    assert not engine.machine.run("mount", "-t", "tmpfs", "below", str(below)).returncode
    try:
        mount = f"type=bind,src={shared},dst=/shared,readonly{words}"
        script = "touch /shared/x; touch /shared/below/x"
        ran = engine.docker(
            "run", "--name", "deep", "--mount", mount, "busybox", "sh", "-c", script
        )
        assert "touch: /shared/x: Read-only file system" in ran.stderr
        assert ("/shared/below/x: Read-only" not in ran.stderr) is can_write_below
        shown = engine.inspect("deep")["HostConfig"]["Mounts"][0].get("BindOptions") or {}
        assert shown.get("ReadOnlyNonRecursive", False) is ("writable" in words)
        assert shown.get("ReadOnlyForceRecursive", False) is ("=readonly" in words)
        engine.docker_ok("rm", "deep")
    finally:
        engine.machine.run("umount", str(below))


@pytest.mark.stock_differs
@pytest.mark.parametrize(
    ("mount", "sentence"),
    [
        ({"BindOptions": {"ReadOnlyNonRecursive": True}}, "ReadOnlyNonRecursive needs ReadOnly"),
        (
            {
                "ReadOnly": True,
                "BindOptions": {"ReadOnlyForceRecursive": True, "Propagation": "rshared"},
            },
            "ReadOnlyForceRecursive needs propagation rprivate, not rshared",
        ),
        (
            {
                "ReadOnly": True,
                "BindOptions": {"ReadOnlyForceRecursive": True, "ReadOnlyNonRecursive": True},
            },
            "ReadOnlyNonRecursive and ReadOnlyForceRecursive exclude each other",
        ),
    ],
)
def test_senseless_depths(engine: Engine, mount: dict[str, object], sentence: str) -> None:
    """A choice of depth goes with a read-only, private, recursive bind alone."""
    wish = {"Type": "bind", "Source": "/etc", "Target": "/x", **mount}
    answer = engine.api(
        "POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Mounts": [wish]}}
    )
    assert answer.status == 400
    assert sentence in answer.json["message"]
