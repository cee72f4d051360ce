"""`wherry` and `docker` side by side: volumes, copies, changes, commits."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from wherry.cli import local_trees
from wherry.cli.failures import CommandFailed

pytestmark = pytest.mark.stock_differs


@pytest.fixture
def container(engine: Engine) -> Iterator[str]:
    """A container that has written something, and a volume."""
    engine.docker_ok("volume", "create", "--label", "a=b", "seen")
    script = "mkdir -p /d/e && echo x > /d/e/f && ln -s e /d/l && rm /etc/group"
    flags = ("--name", "wrote", "-v", "seen:/seen")
    engine.docker_ok("run", *flags, "busybox", "sh", "-c", script)
    yield "wrote"
    engine.remove_all_containers()
    engine.docker_ok("volume", "rm", "-f", "seen")


SAME = [
    ("volume", "ls"),
    ("volume", "ls", "-q", "-f", "label=a"),
    ("volume", "ls", "--format", '{{.Name}}|{{.Driver}}|{{.Label "a"}}|{{.Size}}'),
    ("volume", "ls", "--format", "json"),
    ("volume", "inspect", "seen"),
    ("volume", "inspect", "-f", "{{.Mountpoint}} {{.Labels}}", "seen"),
    ("volume", "inspect", "nope"),
    ("volume", "rm", "seen"),
    ("volume", "rm", "nope"),
    ("volume", "rm", "-f", "nope"),
    ("volume", "create", "a/b"),
    ("volume", "prune", "-f", "--filter", "label=none"),
    ("inspect", "--type", "volume", "seen"),
    ("diff", "wrote"),
    ("diff", "nope"),
    ("commit", "nope"),
    ("commit", "-c", "RUN x", "wrote"),
    ("cp", "wrote:/nope", "/tmp"),
    ("cp", "nope:/x", "/tmp"),
    ("cp", "wrote:/x", "wrote:/y"),
    ("cp", "/x", "/y"),
    ("cp", "/etc/hostname", "wrote:/nope/"),
    ("cp", "/etc/hostname", "wrote:/nope/x"),
    ("cp", "/etc/apt", "wrote:/etc/passwd"),
]


def test_the_same_words(engine: Engine, container: str) -> None:
    """Output, complaints and exit codes are the same; a name may differ in form."""
    for arguments in SAME:
        theirs, ours = engine.docker(*arguments), engine.wherry(*arguments)
        assert ours.stdout == theirs.stdout, arguments
        assert ours.returncode == theirs.returncode, (arguments, ours.stderr, theirs.stderr)
        assert _plain(ours.stderr) == _plain(theirs.stderr), arguments
    engine.docker_ok("rm", container)
    assert engine.wherry("volume", "rm", "seen").stdout == "seen\n"
    assert engine.wherry("volume", "create", "--label", "x=y", "seen").stdout == "seen\n"


def _plain(complaint: str) -> str:
    lines = complaint.replace("wherry", "docker").strip().splitlines()
    # docker's tar writer tells its log when nobody reads its archive.
    return "\n".join(line for line in lines if not line.startswith("time="))


def test_copies(engine: Engine, container: str, tmp_path: Path) -> None:
    """What wherry copies is what docker copies, in both directions."""
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_bytes(os.urandom(300_000))
    (tree / "sub" / "file").chmod(0o750)
    os.link(tree / "sub" / "file", tree / "twin")
    (tree / "link").symlink_to("sub/file")
    for program, place in ((engine.docker, "/theirs"), (engine.wherry, "/ours")):
        for source, target in (
            (str(tree), place), (f"{tree}/.", f"{place}/content"), (f"{tree}/link", f"{place}/l"),
            (f"{tree}/twin", f"{place}/content/sub"),
        ):  # fmt: skip
            ran = program("cp", source, f"{container}:{target}")
            assert ran.returncode == 0, ran.stderr
        assert program("cp", "-L", f"{tree}/link", f"{container}:{place}/L").returncode == 0
    assert _archive(engine, container, "/ours") == _archive(engine, container, "/theirs")
    for program, name in ((engine.docker, "theirs"), (engine.wherry, "ours")):
        out = tmp_path / name
        out.mkdir()
        for source, target in (
            ("/theirs", out), ("/theirs", out / "new"), ("/theirs/.", out / "content"),
            ("/theirs/twin", out / "renamed"), ("/d/l", out / "l"), ("/d/e/f", out / "content"),
        ):  # fmt: skip
            ran = program("cp", f"{container}:{source}", str(target))
            assert ran.returncode == 0, ran.stderr
        assert program("cp", "-L", f"{container}:/d/l", str(out / "L")).returncode == 0
    shown = [
        subprocess.run(["find", ".", "-printf", "%p %y %m %s %l\n"], cwd=tmp_path / name,
                       capture_output=True, check=True, text=True).stdout.splitlines()
        for name in ("ours", "theirs")
    ]  # fmt: skip
    assert sorted(_no_directory_sizes(shown[0])) == sorted(_no_directory_sizes(shown[1]))
    assert (tmp_path / "ours/renamed").read_bytes() == (tree / "twin").read_bytes()


def _no_directory_sizes(lines: list[str]) -> list[str]:
    return [line.rsplit(" ", 2)[0] if " d " in line else line for line in lines]


def _archive(engine: Engine, container: str, place: str) -> list[tuple[object, ...]]:
    ran = subprocess.run(["docker", "cp", f"{container}:{place}", "-"], env=engine.environment,
                         capture_output=True, check=True)  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(ran.stdout)) as archive:
        return [
            (member.name.partition("/")[2], member.type, member.mode, member.size, member.uid)
            for member in archive
        ]


def test_streams(engine: Engine, container: str, tmp_path: Path) -> None:
    """`cp -`, `export` and `commit` by wherry."""
    own = [sys.executable, "-P", "-m", "wherry.programs.wherry", "--no-autostart"]
    packed = subprocess.run([*own, "cp", f"{container}:/d", "-"], env=engine.environment,
                            capture_output=True, check=True).stdout  # fmt: skip
    subprocess.run([*own, "cp", "-", f"{container}:/tmp"], env=engine.environment,
                   input=packed, check=True)  # fmt: skip
    assert "A /tmp/d/e/f" in engine.wherry("diff", container).stdout
    exported = tmp_path / "out.tar"
    assert engine.wherry("export", "-o", str(exported), container).returncode == 0
    with tarfile.open(exported) as archive:
        assert "tmp/d/e/f" in {each.removeprefix("./") for each in archive.getnames()}
    made = engine.wherry("commit", "-m", "by us", "-c", "CMD cat /tmp/d/e/f", container, "ours:1")
    assert engine.docker_ok("run", "--rm", "ours:1") == "x"
    assert engine.docker_ok("rmi", "ours:1").startswith("Untagged")
    assert made.stdout.startswith("sha256:")


@pytest.mark.parametrize(
    ("name", "link"),
    [("../escape", ""), ("d/../../escape", ""), ("other/x", ""), ("d/l", "/tmp")],
)
def test_hostile_archives(tmp_path: Path, name: str, link: str) -> None:
    """An archive that a container's owner forged writes nothing beside its own name."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        if link:
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            archive.addfile(entry)
            entry = tarfile.TarInfo(f"{name}/wherry-escape")
        archive.addfile(entry)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises((CommandFailed, OSError)):
        local_trees.unpack([body.getvalue()], str(target), "d", "d")
    assert {each.name for each in tmp_path.iterdir()} == {"target"}
    assert not os.path.lexists("/tmp/wherry-escape")
