"""`--mount type=image`: the files of another image, read-only, as long as the container lives."""

import os
import shutil
from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs


@pytest.fixture(autouse=True)
def tools(engine: Engine) -> Iterator[str]:
    """An image of three layers; each test leaves neither it nor a container."""
    made = "busybox"
    for number, script in enumerate((
        "mkdir -p /opt/bin && echo one > /opt/bin/one && echo old > /opt/bin/both",
        "echo two > /opt/bin/two && echo new > /opt/bin/both && ln -s /etc /opt/out",
        "rm /opt/bin/one",
    )):  # fmt: skip
        engine.docker_ok("run", "--name", "maker", made, "sh", "-c", script)
        made = "tools:3" if number == 2 else f"layer:{number}"
        engine.docker_ok("commit", "maker", made)
        engine.docker_ok("rm", "maker")
    yield made
    engine.remove_all_containers()
    engine.docker("rmi", "-f", "tools:3", "layer:0", "layer:1")


def shown(engine: Engine, mount: str, *command: str, flags: tuple[str, ...] = ()) -> str:
    """What a container with the mount prints."""
    return engine.docker_ok("run", "--rm", *flags, "--mount", mount, "busybox", *command)


def test_the_files_of_another_image(engine: Engine) -> None:
    """All of it, a directory or a file of it; nobody writes there, and no link leads out."""
    whole = "type=image,source=tools:3,target=/x"
    assert shown(engine, whole, "sh", "-c", "cd /x/opt/bin; cat *") == "new\ntwo"
    assert shown(engine, whole, "ls", "/x/opt/bin") == "both\ntwo"
    refused = "for each in /x/new /x/opt/bin/two; do ! echo > $each || exit 1; done 2>&1"
    assert shown(engine, whole, "sh", "-c", refused).count("Read-only file system") == 2
    assert shown(engine, f"{whole},image-subpath=opt/bin", "ls", "/x") == "both\ntwo"
    assert shown(engine, f"{whole},image-subpath=opt/bin/two", "cat", "/x") == "two"
    assert shown(engine, f"{whole},image-subpath=opt/out", "ls", "/x/passwd") == "/x/passwd"
    privileged = shown(engine, whole, "sh", "-c", refused, flags=("--privileged",))
    assert privileged.count("Read-only file system") == 2


def test_what_inspection_says(engine: Engine) -> None:
    """The reference as it was written, and where the files are."""
    mount = "type=image,src=tools:3,dst=/x,image-subpath=opt"
    made = engine.docker_ok("create", "--mount", mount, "busybox", "ls", "/x")
    document = engine.inspect(made)
    (point,) = document["Mounts"]
    assert (point["Type"], point["Name"], point["Destination"]) == ("image", "tools:3", "/x")
    assert not point["RW"]
    assert point["Source"].startswith(str(engine.data_root))
    assert document["HostConfig"]["Mounts"] == [
        {
            "Type": "image", "Source": "tools:3", "Target": "/x",
            "ImageOptions": {"Subpath": "opt"},
        }
    ]  # fmt: skip
    ran = engine.wherry("inspect", "--format", "run", made)
    assert ran.returncode == 0, ran.stderr
    assert "type=image,source=tools:3,target=/x,image-subpath=opt" in ran.stdout


def test_the_image_goes_first(engine: Engine) -> None:
    """Its layers stay for the container, over a prune and a restart, and go with it."""
    before = set(os.listdir(engine.data_root / "overlay2"))
    mount = "type=image,source=tools:3,target=/x"
    engine.docker_ok(
        "create", "--name", "user", "--mount", mount, "busybox", "cat", "/x/opt/bin/two"
    )
    engine.docker_ok("rmi", "tools:3", "layer:1", "layer:0")
    engine.docker_ok("image", "prune", "-af")
    engine.restart()
    assert engine.docker_ok("start", "-a", "user") == "two"
    engine.bootstrap()
    engine.docker_ok("rm", "user")
    engine.docker_ok("image", "prune", "-f")
    left = set(os.listdir(engine.data_root / "overlay2"))
    assert not [each for each in left - before if "image" in each]


def test_copies_and_joins(engine: Engine) -> None:
    """`cp` and `exec` see the files while the container runs."""
    mount = "type=image,source=tools:3,target=/x"
    engine.docker_ok("run", "-d", "--name", "runs", "--mount", mount, "busybox", "sleep", "99")
    assert engine.docker_ok("exec", "runs", "cat", "/x/opt/bin/two") == "two"
    engine.docker_ok("cp", "runs:/x/opt/bin/two", str(engine.root / "copied"))
    assert (engine.root / "copied").read_text() == "two\n"
    ran = engine.docker("cp", str(engine.root / "copied"), "runs:/x/opt")
    assert "mounted volume is marked read-only" in ran.stderr
    engine.docker_ok("kill", "runs")
    wait_until("it has ended", lambda: not engine.inspect("runs")["State"]["Running"])
    assert engine.docker_ok("diff", "runs") == "A /x"


def test_many_layers(engine: Engine) -> None:
    """More layers than fit in a page of mount options."""
    engine.docker_ok("tag", "tools:3", "deep:0")
    try:
        for number in range(40):
            engine.docker_ok("create", "--name", "maker", f"deep:{number}")
            engine.docker_ok("cp", __file__, f"maker:/{number}")
            engine.docker_ok("commit", "-p=false", "maker", f"deep:{number + 1}")
            engine.docker_ok("rm", "maker")
        mount = "type=image,source=deep:40,target=/x"
        assert shown(engine, mount, "sh", "-c", "ls /x/0 /x/39") == "/x/0\n/x/39"
    finally:
        engine.docker("rmi", *(f"deep:{number}" for number in range(41)))


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("type=image,target=/x", "field Source must not be empty"),
        ("type=image,source=no/such,target=/x", "No such image: no/such"),
        ("type=image,source=tools:3,target=x", "mount path must be absolute"),
        (
            "type=image,source=tools:3,target=/x,image-subpath=../up",
            "subpath must be a relative path within the image",
        ),
        ("type=image,source=tools:3,target=/x,image-subpath=none", "no such file or directory"),
    ],
)
def test_refusals(engine: Engine, mount: str, words: str) -> None:
    """One sentence, and no container is left."""
    ran = engine.docker("run", "--rm", "--pull=never", "--mount", mount, "busybox", "true")
    assert ran.returncode == 125 or "no such file" in words, ran
    assert words in ran.stderr
    assert not engine.docker_ok("ps", "-aq")


@pytest.mark.skipif(shutil.which("runc") is None, reason="needs runc")
def test_another_runtime(engine: Engine) -> None:
    """runc gets the layers stacked, and a part of them or of a volume is no more than that."""
    runc = ("--runtime", "runc")
    image = "type=image,source=tools:3,target=/x"
    assert shown(engine, image, "ls", "/x/opt/bin", flags=runc) == "both\ntwo"
    assert shown(engine, f"{image},image-subpath=opt/bin", "ls", "/x", flags=runc) == "both\ntwo"
    script = "! touch /x/new 2>/dev/null && echo sealed"
    assert shown(engine, image, "sh", "-c", script, flags=runc) == "sealed"
    fill = "mkdir -p /d/a; echo 1 > /d/a/one; echo 2 > /d/two; ln -s /etc /d/out"
    engine.docker_ok("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", fill)
    volume = "src=data,dst=/x,volume-subpath="
    assert shown(engine, f"{volume}a", "ls", "/x", flags=runc) == "one"
    assert shown(engine, f"{volume}two", "cat", "/x", flags=runc) == "2"
    ran = engine.docker("run", "--rm", *runc, "--mount", f"{volume}out", "busybox", "ls", "/x")
    assert ran.returncode
    assert "passwd" not in ran.stdout
    engine.docker_ok("volume", "rm", "data")
