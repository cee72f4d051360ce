"""`docker cp` both ways, of containers that run, have ended, or never ran."""

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from support.daemon import Engine

STATES = ("created", "running", "exited")


@pytest.fixture(params=STATES)
def container(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Iterator[str]:
    """A container in each state, with a volume, a bind and a tmpfs."""
    (tmp_path / "bound").mkdir()
    flags = ("-v", "copied:/vol/deep", "-v", f"{tmp_path}/bound:/bind")
    command = "mkdir -p /made/below; exec sleep 99" if request.param == "running" else "true"
    name = f"copy-{request.param}"
    engine.docker_ok("create", "--name", name, *flags, "busybox", "sh", "-c", command)
    if request.param != "created":
        engine.docker_ok("start", *(("-a",) if request.param == "exited" else ()), name)
    yield name
    engine.docker_ok("rm", "-f", name)
    engine.docker_ok("volume", "rm", "copied")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files of each kind, with modes and owners of their own."""
    top = tmp_path / "tree"
    (top / "sub").mkdir(parents=True, mode=0o751)
    (top / "sub" / "file").write_text("content\n")
    os.chown(top / "sub" / "file", 1234, 4321)
    (top / "sub" / "file").chmod(0o751)
    os.link(top / "sub" / "file", top / "twin")
    (top / "link").symlink_to("sub/file")
    (top / "dangling").symlink_to("/nowhere/at/all")
    os.mkfifo(top / "fifo", 0o622)
    (top / "big").write_bytes(os.urandom(1 << 20))
    return top


def facts(top: Path) -> dict[str, tuple[object, ...]]:
    """What a tree consists of, by name."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(top.rglob("*")):
        state = path.lstat()
        content: object = None
        if stat.S_ISREG(state.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(state.st_mode):
            content = os.readlink(path)
        found[str(path.relative_to(top))] = (
            oct(state.st_mode), state.st_uid, state.st_gid, content,
        )  # fmt: skip
    return found


@pytest.mark.parametrize("place", ["/tmp", "/vol/deep", "/bind", "/vol"])
def test_there_and_back(engine: Engine, container: str, tree: Path, place: str) -> None:
    """A tree comes back as it went in, whatever is mounted at its place."""
    engine.docker_ok("cp", "-q", str(tree), f"{container}:{place}")
    back = tree.parent / "back"
    back.mkdir()
    archive = subprocess.run(
        ["docker", "cp", f"{container}:{place}/tree", "-"],
        env=engine.environment, capture_output=True, check=True,
    ).stdout  # fmt: skip
    # Extracted by tar: the client's own extraction leaves owners out.
    subprocess.run(["tar", "-xpf", "-", "-C", back], input=archive, check=True)
    assert facts(back / "tree") == facts(tree)
    assert (back / "tree" / "twin").stat().st_nlink == 2


@pytest.mark.stock_differs
def test_special_bits(engine: Engine, container: str, tree: Path) -> None:
    """Setuid, setgid and sticky bits go along; dockerd 20.10 loses them."""
    (tree / "sub" / "file").chmod(0o6755)
    (tree / "sub").chmod(0o1777)
    engine.docker_ok("cp", "-q", f"{tree}/sub", f"{container}:/tmp")
    packed = subprocess.run(
        ["docker", "cp", f"{container}:/tmp/sub", "-"],
        env=engine.environment, capture_output=True, check=True,
    ).stdout  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert {each.name: each.mode for each in archive} == {"sub": 0o1777, "sub/file": 0o6755}


def test_what_the_container_sees(engine: Engine, tree: Path) -> None:
    """A running container has the files at once, and its own come out."""
    made = engine.docker_ok(
        "run", "-d", "--tmpfs", "/ram", "busybox", "sh", "-c",
        "echo inside > /ram/own; exec sleep 99",
    )  # fmt: skip
    engine.docker_ok("cp", f"{tree}/sub", f"{made}:/ram/")
    assert engine.docker_ok("exec", made, "stat", "-c", "%u %g %a", "/ram/sub/file") == (
        "1234 4321 751"
    )
    engine.docker_ok("cp", f"{made}:/ram/own", str(tree / "own"))
    assert (tree / "own").read_text() == "inside\n"
    engine.docker_ok("cp", f"{made}:/etc/hostname", str(tree / "hostname"))
    assert (tree / "hostname").read_text().strip() == made[:12]


def test_names(engine: Engine, container: str, tree: Path) -> None:
    """Docker's rules of names: into a directory, as a new name, only the content."""
    engine.docker_ok("cp", f"{tree}/big", f"{container}:/tmp/renamed")
    engine.docker_ok("cp", f"{tree}/sub/.", f"{container}:/tmp/content")
    engine.docker_ok("cp", f"{tree}/sub", f"{container}:/tmp/content")
    out = tree.parent / "out"
    out.mkdir()
    engine.docker_ok("cp", f"{container}:/tmp/.", str(out))
    assert sorted(str(each.relative_to(out)) for each in out.rglob("*")) == [
        "content", "content/file", "content/sub", "content/sub/file", "renamed",
    ]  # fmt: skip
    assert (out / "renamed").read_bytes() == (tree / "big").read_bytes()
    for arguments, sentence in (
        ((f"{container}:/nope", str(out)),
         f"Could not find the file /nope in container {container}"),
        ((f"{tree}/big", f"{container}:/nope/x/"), "no such directory"),
        ((f"{tree}/big", f"{container}:/nope/x"), "Could not find the file /nope"),
        ((f"{tree}/sub", f"{container}:/etc/passwd"), "cannot copy directory"),
        ((f"{tree}/big", f"{container}:/etc/passwd/"), "no such directory"),
    ):  # fmt: skip
        for copy in (engine.docker, engine.wherry):
            refused = copy("cp", *arguments)
            assert refused.returncode == 1
            assert sentence in refused.stderr, refused.stderr


def test_links(engine: Engine, container: str, tree: Path) -> None:
    """A link is copied as a link, with -L as what it leads to; in paths it leads inside."""
    engine.docker_ok("cp", f"{tree}/link", f"{container}:/tmp/link")
    engine.docker_ok("cp", "-L", f"{tree}/link", f"{container}:/tmp/followed")
    make = io.BytesIO()
    with tarfile.open(fileobj=make, mode="w") as archive:
        for name, target in (
            ("var/out", "/etc"),
            ("tolink", "/var/out/passwd"),
            ("up", "../../../etc"),
        ):
            entry = tarfile.TarInfo(f"tmp/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    put = subprocess.run(
        ["docker", "cp", "-", f"{container}:/"], env=engine.environment, input=make.getvalue(),
        capture_output=True, check=False,
    )  # fmt: skip
    assert put.returncode == 0, put.stderr
    out = tree.parent / "out"
    out.mkdir()
    engine.docker_ok("cp", f"{container}:/tmp/link", str(out / "link"))
    assert os.readlink(out / "link") == "sub/file"
    engine.docker_ok("cp", f"{container}:/tmp/followed", str(out / "followed"))
    assert (out / "followed").read_text() == "content\n"
    engine.docker_ok("cp", f"{container}:/tmp/up/passwd", str(out / "passwd"))
    assert "root:x:0:0" in (out / "passwd").read_text()
    assert (out / "passwd").read_text() != Path("/etc/passwd").read_text()
    engine.docker_ok("cp", f"{tree}/big", f"{container}:/tmp/var/out/big")
    assert not Path("/etc/big").exists()
    engine.docker_ok("cp", f"{container}:/etc/big", str(out / "big"))


def test_owners(engine: Engine, tree: Path) -> None:
    """Numbers stay; with -a everything belongs to the container's user."""
    made = engine.docker_ok("run", "-d", "-u", "1000:50", "busybox", "sleep", "99")
    engine.docker_ok("cp", f"{tree}/sub", f"{made}:/tmp/plain")
    engine.docker_ok("cp", "-a", f"{tree}/sub", f"{made}:/tmp/given")
    show = "stat -c '%u %g' /tmp/plain/file /tmp/given/file /tmp/given"
    assert engine.docker_ok("exec", made, "sh", "-c", show).splitlines() == [
        "1234 4321", "1000 50", "1000 50",
    ]  # fmt: skip


def test_read_only(engine: Engine, tree: Path) -> None:
    """What the container may not write to, a copy doesn't either."""
    flags = ("--read-only", "-v", "seal:/sealed:ro", "-v", "open:/open", "--tmpfs", "/ram")
    made = engine.docker_ok("run", "-d", *flags, "busybox", "sleep", "99")
    for place, sentence in (
        ("/root", "container rootfs is marked read-only"),
        ("/sealed", "mounted volume is marked read-only"),
    ):
        refused = engine.docker("cp", f"{tree}/big", f"{made}:{place}/big")
        assert refused.returncode == 1
        assert sentence in refused.stderr
    for place in ("/open", "/ram"):
        engine.docker_ok("cp", f"{tree}/big", f"{made}:{place}/big")
    engine.docker_ok("cp", f"{made}:/open/big", str(tree / "again"))
    engine.docker_ok("rm", "-f", made)
    engine.docker_ok("volume", "rm", "seal", "open")


def test_kinds_are_kept(engine: Engine, container: str) -> None:
    """With noOverwriteDirNonDir a directory stays one, and a file stays one."""
    for name, kind, sentence in (
        ("etc", tarfile.REGTYPE, "cannot overwrite directory 'etc' with non-directory"),
        ("bin/busybox", tarfile.DIRTYPE, "cannot overwrite non-directory"),
    ):
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w") as archive:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            archive.addfile(entry)
        target = f"/containers/{container}/archive?path=/&noOverwriteDirNonDir=1"
        answer = put(engine, target, body.getvalue())
        assert answer[0] == 400
        assert sentence in answer[1]
        assert put(engine, f"/containers/{container}/archive?path=/tmp", body.getvalue())[0] == 200


def put(engine: Engine, target: str, body: bytes) -> tuple[int, str]:
    """Status and text of a PUT."""
    ran = subprocess.run(
        ["curl", "-sS", "--unix-socket", engine.socket, "-X", "PUT", "--data-binary", "@-",
         "-H", "Content-Type: application/x-tar", "-w", "\n%{http_code}",
         f"http://d{engine.api_prefix}{target}"],
        input=body, capture_output=True, check=True,
    )  # fmt: skip
    text, _, status = ran.stdout.decode().rpartition("\n")
    return int(status), text


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("../../../../tmp/wherry-escape", ""), ("/tmp/../../tmp/wherry-escape", ""),
        ("tmp/l", "/tmp/wherry-escape"), ("tmp/l", "../../../../../tmp/wherry-escape"),
    ],
)  # fmt: skip
def test_hostile_archives(engine: Engine, container: str, name: str, link: str) -> None:
    """No name and no link of an archive leads out of the container."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        if link:
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            archive.addfile(entry)
            entry = tarfile.TarInfo(f"{name}/file")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
    status, _text = put(engine, f"/containers/{container}/archive?path=/", body.getvalue())
    assert status in (200, 400)
    assert not os.path.lexists("/tmp/wherry-escape")


def test_stat_header(engine: Engine, container: str) -> None:
    """HEAD tells size, mode and where links lead, in Go's bits."""
    ran = subprocess.run(
        ["curl", "-sSI", "--unix-socket", engine.socket,
         f"http://d{engine.api_prefix}/containers/{container}/archive?path={quote('/tmp/.')}"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert "200 OK" in ran.stdout
    assert "X-Docker-Container-Path-Stat: " in ran.stdout


def test_export(engine: Engine, container: str, tree: Path) -> None:
    """An export has the container's own files and nothing that is mounted there."""
    engine.docker_ok("cp", f"{tree}/sub", f"{container}:/tmp/own")
    engine.docker_ok("cp", f"{tree}/sub", f"{container}:/vol/deep/mounted")
    exported = tree.parent / "exported.tar"
    engine.docker_ok("export", "-o", str(exported), container)
    with tarfile.open(exported) as archive:
        names = set(archive.getnames())
    assert {"tmp/own/file", "bin/busybox", "vol/deep"} <= {
        each.removeprefix("./") for each in names
    }
    assert not any("mounted" in each for each in names)
    imported = engine.docker_ok("import", "-c", "CMD cat /tmp/own/file", str(exported), "again")
    assert imported.startswith("sha256:")
    assert engine.docker_ok("run", "--rm", "again") == "content"
    engine.docker_ok("rmi", "again")
