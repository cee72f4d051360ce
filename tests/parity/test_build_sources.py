"""What a build takes from elsewhere: URLs, repositories, contexts by URL, results in images."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import classic_build as build
from support.builds import output_of as run
from support.builds import remove_what_was_built, small_context
from support.builds import write_dockerfile as write
from support.daemon import Engine
from support.web_sites import git, git_repository, web_site


@pytest.fixture(autouse=True)
def _leaves_no_image(engine: Engine) -> Iterator[None]:
    """What was built goes again, and so does the cache."""
    yield
    remove_what_was_built(engine)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with some files."""
    return small_context(tmp_path / "context")


@pytest.fixture
def site(engine: Engine, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server that the engine reaches, and the directory that it shows."""
    place = tmp_path / "site"
    place.mkdir()
    with web_site(engine, place) as url:
        yield url, place


@pytest.fixture
def repository(site: tuple[str, Path]) -> tuple[str, Path]:
    """A repository's URL and working tree; `main` and a tag, and a link that leads out."""
    url, place = site
    tree = git_repository(place)
    return f"{url}/r.git/.git", tree


def test_a_url(engine: Engine, context: Path, site: tuple[str, Path]) -> None:
    """A file that only root reads; unpacked where it is asked for; its bytes are its key."""
    url, place = site
    (place / "file.txt").write_text("downloaded\n")
    os.utime(place / "file.txt", (1_600_000_000, 1_600_000_000))
    subprocess.run(["tar", "-czf", place / "t.tgz", "-C", context, "a.txt"], check=True)
    digest = hashlib.sha256(b"downloaded\n").hexdigest()
    write(
        context,
        f"FROM busybox\nADD --checksum=sha256:{digest} {url}/file.txt /d/\n"
        f"ADD --chmod=644 {url}/t.tgz /t.tgz\nADD --unpack=true {url}/t.tgz /u/\n"
        "ADD --unpack=false d /whole/\n",
    )
    build(engine, context, "-t", "got")
    told = run(engine, "got", "stat", "-c", "%a %u %Y", "/d/file.txt", "/t.tgz").splitlines()
    assert told[0] == "600 0 1600000000"
    assert told[1].startswith("644 0 ")
    assert run(engine, "got", "cat", "/u/a.txt") == "a"
    assert build(engine, context).stdout.count("Using cache") == 4
    (place / "file.txt").write_text("other\n")
    refused = build(engine, context, check=False)
    assert f": sha256:{digest}" in refused.stderr
    write(context, f"FROM busybox\nADD {url}/none /")
    assert "with status 404" in build(engine, context, check=False).stderr


def test_a_repository(engine: Engine, context: Path, repository: tuple[str, Path]) -> None:
    """A tag, a directory, a commit; with its history if that is wanted."""
    url, tree = repository
    head = git(tree, "rev-parse", "HEAD")
    write(
        context,
        f"FROM busybox\nADD {url}#v1 /v1\nADD --keep-git-dir=true --checksum={head} {url} /all\n",
    )
    build(engine, context, "-t", "cloned")
    seen = run(engine, "cloned", "cat", "/v1/f", "/all/f", "/all/.git/HEAD").split()
    assert seen == ["first", "second", head]
    assert run(engine, "cloned", "ls", "-A", "/v1").split() == ["Dockerfile", "f"]


def test_a_repository_cannot_lead_outside(engine: Engine, repository: tuple[str, Path]) -> None:
    """A reference is no option, and a directory is one of the repository (B05)."""
    url, _tree = repository
    for fragment in ("--upload-pack=touch%20/tmp/owned", "-x", "main:out", "none"):
        answer = engine.api("POST", f"/build?remote={url}%23{fragment}")
        assert answer.status == 400, answer
    assert not Path("/tmp/owned").exists()


def test_a_host_that_does_not_answer(engine: Engine, context: Path) -> None:
    """ADD tells what went wrong as Docker tells it, and not where the URL has a password."""
    write(context, "FROM busybox\nADD http://me:secret@127.0.0.1:1/f /")
    refused = build(engine, context, check=False)
    sentence = '127.0.0.1:1/f": dial tcp 127.0.0.1:1: connect: connection refused'
    assert sentence in refused.stderr
    assert "secret" not in refused.stderr + refused.stdout


@pytest.mark.parametrize("url", ["ext::sh -c id .git", "file:///etc/x.git", "https://-x/y.git"])
def test_protocols_that_are_none_of_a_builds(engine: Engine, context: Path, url: str) -> None:
    """Nothing is run for a URL of another kind."""
    write(context, f'FROM busybox\nADD ["{url}", "/x"]')
    assert build(engine, context, check=False).returncode != 0


def test_a_context_by_url(
    engine: Engine, context: Path, repository: tuple[str, Path], site: tuple[str, Path]
) -> None:
    """A repository, a tar, or a Dockerfile alone."""
    url, _tree = repository
    base, place = site
    write(context, "FROM busybox\nCOPY d/e/f.txt /f")
    subprocess.run(["tar", "-czf", place / "c.tgz", "-C", context, "."], check=True)
    (place / "alone").write_text("FROM busybox\nRUN echo alone > /f\n")
    for remote, name, words in (
        (f"{url}%23v1", "/f", "first"),
        (f"{url}%23main:sub", "/g", "below"),
        (f"{base}/c.tgz", "/f", "f"),
        (f"{base}/alone", "/f", "alone"),
    ):
        answer = engine.api("POST", f"/build?t=far&remote={remote}")
        assert b"Successfully tagged far:latest" in answer.body, answer.body
        assert run(engine, "far", "cat", name) == words
    assert engine.wherry("build", f"{base}/alone").returncode == 0


def test_an_image_is_a_cache(engine: Engine, context: Path) -> None:
    """What an image was built by is not done again, as far as the same was done."""
    write(
        context, "FROM busybox\nRUN echo first > /f\nCOPY a.txt b.txt /x/\nENV a=b\nRUN date > /d"
    )
    build(engine, context, "-t", "made:1")
    dated = run(engine, "made:1", "cat", "/d")
    engine.docker_ok("save", "-o", str(context / "../made.tar"), "made:1")
    remove_what_was_built(engine)
    engine.docker_ok("load", "-i", str(context / "../made.tar"))
    assert "Using cache" not in build(engine, context, "--target", "0").stdout
    engine.docker_ok("builder", "prune", "-af")
    again = build(engine, context, "-t", "made:2", "--cache-from", "made:1,none:none").stdout
    assert again.count("Using cache") == 4
    assert run(engine, "made:2", "cat", "/d") == dated
    engine.docker_ok("builder", "prune", "-af")
    (context / "b.txt").write_text("other\n")
    ran = engine.wherry("build", "--cache-from", "type=registry,ref=made:1", str(context))
    assert ran.stderr.count(" CACHED\n") == 1
