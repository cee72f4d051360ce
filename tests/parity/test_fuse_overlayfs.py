"""The engine on fuse-overlayfs: a program serves each root, and ends with it."""

from collections.abc import Iterator

import pytest

from support.builds import build, write_tree
from support.daemon import Engine
from support.file_systems import engine_with

pytestmark = pytest.mark.stock_differs

REMAKE = "rm -r /home && mkdir /home && echo new > /home/file && chown 5:6 /home/file"


@pytest.fixture(scope="module", params=["", "default"], ids=["plain", "remapped"])
def served(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine whose roots are served, also to containers whose owners are mapped."""
    flags = ("--userns-remap", request.param) if request.param else ()
    with engine_with("--storage-driver", "fuse-overlayfs", *flags) as engine:
        yield engine


def test_what_is_written_is_what_is_kept(served: Engine) -> None:
    """A directory made anew hides the image's, in a difference, a commit, a copy and a build;
    nothing that the program notes for itself is in any of them, and it is gone in the end."""
    engine = served
    engine.docker_ok("run", "--rm", "busybox", "true")
    before = engine.settled_census()
    engine.docker_ok("run", "--name", "maker", "busybox", "sh", "-c", REMAKE)
    assert engine.docker_ok("diff", "maker").splitlines() == ["C /home", "A /home/file"]
    engine.docker_ok("commit", "maker", "made")
    look = ("run", "--rm", "made", "sh", "-c", "ls -A /home; stat -c %u:%g /home/file")
    assert engine.docker_ok(*look).splitlines() == ["file", "5:6"]
    engine.docker_ok("cp", "maker:/home/file", str(engine.root / "copied"))
    assert (engine.root / "copied").read_text() == "new\n"
    engine.docker_ok("rm", "maker")
    engine.docker_ok("rmi", "made")
    assert not engine.leaks_since(before)


def test_it_outlives_the_daemon(served: Engine) -> None:
    """A container goes on through a restart of the daemon, and files can be put into it."""
    engine = served
    engine.docker_ok("run", "-d", "--name", "living", "busybox", "sleep", "600")
    engine.docker_ok("exec", "living", "sh", "-c", "echo kept > /root/file")
    engine.restart()
    write_tree(engine.root, {"brought": "in"})
    engine.docker_ok("cp", str(engine.root / "brought"), "living:/root/brought")
    assert engine.docker_ok("exec", "living", "cat", "/root/file", "/root/brought") == "kept\nin"
    engine.docker_ok("rm", "-f", "living")


def test_a_build(served: Engine) -> None:
    """Its steps see each other's files, and what one removed stays away."""
    engine = served
    steps = f"FROM busybox\nRUN {REMAKE}\nCOPY Dockerfile /home/copied\nRUN ls -A /home\n"
    write_tree(engine.root / "context", {"Dockerfile": steps})
    assert "copied\nfile\n" in build(engine, engine.root / "context", "built")


def test_a_stack_that_cannot_be_served(served: Engine) -> None:
    """The start fails with what the program said, and leaves no process and no mount."""
    engine = served
    container = engine.docker_ok("create", "--name", "broken", "busybox", "true")
    before = engine.settled_census()
    (upper,) = engine.data_root.glob(f"**/fuse-overlayfs/{container}/diff")
    upper.rename(upper.with_name("away"))
    ran = engine.docker("start", "broken")
    assert ran.returncode == 1
    assert f"fuse-overlayfs: cannot retrieve path for {upper}: No such file" in ran.stderr
    upper.with_name("away").rename(upper)
    # The engine has written its files for the container, and will again.
    assert not engine.leaks_since(before, besides="file")
    engine.docker_ok("start", "broken")
    engine.docker_ok("rm", "-f", "broken")
