"""`RUN --mount`: what a command sees, what is kept for the next one, and what no layer has."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import classic_build as build
from support.builds import output_of as run
from support.builds import remove_what_was_built, small_context
from support.builds import write_dockerfile as write
from support.daemon import Engine


@pytest.fixture(autouse=True)
def _leaves_no_image(engine: Engine) -> Iterator[None]:
    """What was built goes again, and so does the cache."""
    yield
    remove_what_was_built(engine)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with some files."""
    return small_context(tmp_path)


def layer_names(engine: Engine, name: str) -> set[str]:
    """The files of an image that busybox has not."""
    listing = "find / -xdev -not -path '/proc/*' -not -path '/sys/*' -not -path '/dev/*'"
    both = [
        set(engine.docker_ok("run", "--rm", image, "sh", "-c", listing).split())
        for image in (name, "busybox")
    ]
    return both[0] - both[1]


def test_binds_are_seen_and_leave_nothing(engine: Engine, context: Path) -> None:
    """Of the context, a stage, an image; read-only or a copy; a change of them is a miss."""
    write(
        context,
        "FROM busybox AS made\nRUN mkdir -p /m/n && echo made > /m/n/file\n"
        "FROM busybox\n"
        "RUN --mount=target=/ctx --mount=type=bind,from=made,source=/m,target=/deep/er/m "
        "--mount=from=made,src=m/n/file,dst=/one --mount=type=bind,target=/w,rw "
        "cat /ctx/a.txt /deep/er/m/n/file /one > /seen && "
        "! touch /ctx/x 2>/dev/null && echo new > /w/a.txt && cat /w/a.txt >> /seen\n"
        "RUN --mount=target=/ctx cat /ctx/a.txt >> /seen",
    )
    build(engine, context, "-t", "bound")
    assert run(engine, "bound", "cat", "/seen").split() == ["a", "made", "made", "new", "a"]
    assert layer_names(engine, "bound") == {"/seen"}
    assert (context / "a.txt").read_text() == "a\n"
    assert build(engine, context).stdout.count("Using cache") == 3
    (context / "a.txt").write_text("other\n")
    assert build(engine, context).stdout.count("Using cache") == 1


def test_caches_last_from_build_to_build(engine: Engine, context: Path) -> None:
    """By id and by target; begun with files of a stage; owner and permissions; pruned."""
    write(
        context,
        "FROM busybox AS seed\nRUN mkdir /s && echo seed > /s/f\nFROM busybox\nARG N\n"
        "RUN --mount=type=cache,target=/c echo $N >> /c/log && cat /c/log > /log\n"
        "RUN --mount=type=cache,id=/c,target=/other,sharing=locked cat /other/log > /same\n"
        "RUN --mount=type=cache,target=/begun,from=seed,source=/s cat /begun/f > /seeded\n"
        "RUN --mount=type=cache,target=/mine,uid=7,gid=8,mode=0750,sharing=private "
        "stat -c '%u %g %a' /mine > /owned\n"
        "RUN --mount=type=cache,target=/c,ro ! touch /c/x 2>/dev/null",
    )
    build(engine, context, "-t", "one", "--build-arg", "N=1")
    build(engine, context, "-t", "two", "--build-arg", "N=2")
    assert run(engine, "one", "cat", "/log", "/seeded").split() == ["1", "seed"]
    assert run(engine, "two", "cat", "/log", "/same").split() == ["1", "2", "1", "2"]
    assert run(engine, "two", "cat", "/owned") == "7 8 750"
    assert not {each for each in layer_names(engine, "two") if each.startswith(("/c", "/mine"))}
    usage = engine.docker_ok("system", "df", "-v")
    assert usage.count("exec.cachemount") == 3
    assert engine.wherry("system", "df", "-v").stdout.count("exec.cachemount") == 3
    engine.docker_ok("builder", "prune", "-f", "--filter", "type=exec.cachemount")
    assert "exec.cachemount" not in engine.docker_ok("system", "df", "-v")
    build(engine, context, "-t", "three", "--build-arg", "N=3")
    assert run(engine, "three", "cat", "/log") == "3"


def test_a_cache_cannot_lead_outside(engine: Engine, context: Path) -> None:
    """An id is no path, and a source stays below where it comes from (B01, B06)."""
    write(
        context,
        "FROM busybox AS s\nRUN ln -s /etc /link\nFROM busybox\n"
        "RUN --mount=type=cache,id=../../../../etc,target=/c ! test -e /c/shadow\n"
        "RUN --mount=type=bind,from=s,source=../../../link,target=/b cat /b/passwd > /seen\n",
    )
    build(engine, context, "-t", "inside")
    assert run(engine, "inside", "cat", "/seen") == run(engine, "busybox", "cat", "/etc/passwd")
    write(context, "FROM busybox\nRUN --mount=source=../../etc/shadow,target=/b cat /b")
    assert '"/etc/shadow": not found' in build(engine, context, check=False).stderr


def test_mount_points_go_and_links_are_not_followed(engine: Engine, context: Path) -> None:
    """What was made for a mount goes; a link in its place is not followed (B02)."""
    write(
        context,
        "FROM busybox\nRUN mkdir -p /keep/empty\n"
        "RUN --mount=type=tmpfs,target=/new/deep/place,size=1m df /new/deep/place | grep 1024\n"
        "RUN --mount=type=tmpfs,target=/p/empty umount /p/empty 2>/dev/null; "
        "mv /p /gone; ln -s /keep /p",
    )
    build(engine, context, "-t", "cleaned")
    assert layer_names(engine, "cleaned") >= {"/keep", "/keep/empty", "/p"}
    assert not {each for each in layer_names(engine, "cleaned") if each.startswith("/new")}


def test_what_a_step_is_not_granted(engine: Engine, context: Path) -> None:
    """Nobody has allowed it; `none` has no network but its own loopback (B03)."""
    for flag in ("--network=host", "--security=insecure"):
        write(context, f"FROM busybox\nRUN {flag} true")
        ran = build(engine, context, check=False)
        assert "granting entitlement" in ran.stderr
    write(context, "FROM busybox\nRUN --network=none ls /sys/class/net > /links")
    build(engine, context, "-t", "alone")
    assert run(engine, "alone", "cat", "/links") == "lo"
