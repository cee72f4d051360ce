"""RELIABILITY A09: a build's context brings nothing of the host into an image.

What a Dockerfile names is looked for in the context, and links there lead where they would lead if
the context were all there is. Each context comes as a tar and, where a directory can be like
that, from a directory too; afterwards no file of the engine has the host's secret in it.
"""

import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from support.daemon import Engine
from support.proof_size import Size
from support.tar_archives import archive, directory, hard_link, member, symlink

SECRET = b"this is the host's and nobody else's"
DOCKERFILE = "Dockerfile"


@dataclass(frozen=True, slots=True)
class Context:
    """What is sent, and how the Dockerfile is called."""

    name: str
    dockerfile: str
    members: tuple[bytes, ...] = ()
    called: str = DOCKERFILE

    def tar(self) -> bytes:
        """As `POST /build` takes it."""
        return archive(member("Dockerfile", self.dockerfile.encode()), *self.members)

    def is_a_directory(self) -> bool:
        """Whether a client could have such a directory: no name leads out of it by itself."""
        try:
            with tarfile.open(fileobj=BytesIO(self.tar())) as packed:
                names = [each.name for each in packed if each.isfile() or each.issym()]
                has_links = any(each.islnk() for each in packed.getmembers())
        except tarfile.TarError:
            return False
        plain = all(not each.startswith("/") and ".." not in each.split("/") for each in names)
        return plain and not has_links and len(names) == len(set(names))


def contexts(host: str) -> tuple[Context, ...]:
    """`host` is a directory of the host with a file `secret`, `up` the way there from anywhere."""
    up = "../" * 24 + host.lstrip("/")
    scratch = "FROM scratch\n"

    def copies(what: str, *members: bytes, name: str = "", verb: str = "COPY") -> Context:
        return Context(name or f"{verb} {what}", f"{scratch}{verb} {what} /got/\n", members)

    top = symlink("l", host)
    file = symlink("f", f"{host}/secret")
    return (
        copies("../secret"),
        copies(f"{up}/secret", name="a source above the context"),
        copies(f"{host}/secret", name="an absolute source"),
        copies("l", top, name="an absolute link to a directory"),
        copies("l/secret", top, name="through an absolute link"),
        copies("l/*", top, name="a wildcard through an absolute link"),
        copies("*/secret", top, name="a wildcard that may be a link"),
        copies("f", file, name="an absolute link to a file"),
        copies("l", symlink("l", up), name="a relative link above the context"),
        copies("l/secret", symlink("l", up), name="through a relative link"),
        copies("d/l/secret", directory("d"), symlink("d/l", f"../{up}"), name="from deeper down"),
        copies("a/secret", symlink("a", "b"), symlink("b", host), name="through two links"),
        copies("d", directory("d"), symlink("d/l", host), name="a tree with a link in it"),
        copies(".", top, file, name="all of it, with links"),
        copies("l/..", symlink("l", f"{host}/.."), name="above where a link leads"),
        copies("p", symlink("p", "/proc/self/root"), name="the daemon's root"),
        copies(f"p{host}/secret", symlink("p", "/proc/self/root"), name="through its root"),
        copies("c/secret", symlink("c", "/proc/self/cwd"), name="through its directory"),
        copies("3", symlink("3", "/proc/self/fd/3"), name="a descriptor"),
        copies("f", file, verb="ADD", name="ADD of a link"),
        copies("l/secret", top, verb="ADD", name="ADD through a link"),
        copies("t.tar", member("t.tar", archive(symlink("l", host), member("l/x", b"1"))),
               verb="ADD", name="ADD of an archive with a link"),
        copies("t.tar", member("t.tar", archive(hard_link("h", f"{host}/secret"))),
               verb="ADD", name="ADD of an archive with a hard link"),
        copies("h", hard_link("h", f"{host}/secret"), name="a hard link to the host"),
        copies("h", hard_link("h", f"{up}/secret"), name="a hard link above"),
        copies("h", file, hard_link("h", "f"), name="a hard link to a link"),
        copies("x", member(f"{up}/x", b"1"), name="a member above the context"),
        copies("x", top, member("l/x", b"1"), name="a member through a link"),
        copies("x", member(f"{host}/x", b"1"), name="an absolute member"),
        copies("x", directory("x"), symlink("x", host), member("x/y", b"1"),
               name="a directory that becomes a link"),
        Context("a Dockerfile that is a link", "", (symlink("D", f"{host}/secret"),), "D"),
        Context("a Dockerfile through a link", "", (top,), "l/secret"),
        Context("a Dockerfile above the context", "", (), f"{up}/secret"),
        Context("an absolute Dockerfile", "", (), f"{host}/secret"),
        Context("a list of exceptions that is a link", f"{scratch}COPY . /got/\n",
                (symlink(".dockerignore", f"{host}/secret"), member("a", b"1"))),
        Context("exceptions that lead out", f"{scratch}COPY . /got/\n",
                (member(".dockerignore", f"**\n!{up}/secret\n!{host}/secret\n!../**\n".encode()),
                 member("a", b"1"))),
        Context("a stage's link", f"{scratch}AS one\nCOPY l /l\nFROM scratch\n"
                "COPY --from=one /l/secret /got\n", (top,)),
        Context("a mount above the context", "FROM busybox\n"
                f"RUN --mount=type=bind,source={up},target=/m cp /m/secret /got\n"),
        Context("a mount through a link", "FROM busybox\n"
                "RUN --mount=type=bind,source=l,target=/m cp /m/secret /got\n", (top,)),
        Context("a working directory that is a link", f"{scratch}COPY l /w\nWORKDIR /w\n"
                "COPY a .\n", (top, member("a", b"1"))),
    )  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A directory of the host, with a secret in it."""
    made = tmp_path / "host"
    made.mkdir()
    (made / "secret").write_bytes(SECRET)
    return made


def told_of(engine: Engine) -> list[str]:
    """The engine's files with the secret in them."""
    words = ("grep", "-rlaF", SECRET.decode(), str(engine.data_root))
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()


def state_of(place: Path) -> dict[str, bytes]:
    """Names and content of what is there."""
    return {each.name: each.read_bytes() for each in place.iterdir()}


def by_tar(engine: Engine, context: Context, _place: Path) -> bytes:
    """The classic way; what is said."""
    target = f"/build?t=got&nocache=1&dockerfile={context.called}"
    answer = engine.api("POST", target, context.tar(), timeout_s=60)
    assert answer.status < 500, context.name
    return answer.body


def by_directory(engine: Engine, context: Context, place: Path) -> bytes:
    """From a client's directory; what is said."""
    here = place / context.name.replace("/", "_")
    here.mkdir()
    (here / "Dockerfile").write_text(context.dockerfile)
    with tarfile.open(fileobj=BytesIO(context.tar())) as packed:
        for each in packed:
            target = here / each.name
            if each.isdir():
                target.mkdir(exist_ok=True)
            elif each.issym():
                if target.is_dir():
                    continue
                target.symlink_to(each.linkname)
            elif each.isfile() and each.name != DOCKERFILE and not (here / each.name).exists():
                extracted = packed.extractfile(each)
                assert extracted is not None
                if not os.path.islink(target.parent):
                    target.write_bytes(extracted.read())
    ran = engine.wherry("build", "-t", "got", str(here), timeout_s=120)
    return (ran.stdout + ran.stderr).encode()


Way = Callable[[Engine, Context, Path], bytes]


def leaks(engine: Engine, host: Path, place: Path, way: Way, chosen: list[Context]) -> list[str]:
    """The contexts by which something of the host came in, or was changed there."""
    found, before = [], state_of(host)
    for context in chosen:
        said = way(engine, context, place)
        if SECRET in said or told_of(engine) or state_of(host) != before:
            found.append(context.name)
    return found


@pytest.fixture
def tidy(engine: Engine) -> Iterator[Engine]:
    """The run's engine; what was built goes."""
    yield engine
    for image in engine.api("GET", "/images/json?all=1").json:
        if not any(each.startswith("busybox") for each in image["RepoTags"]):
            engine.api("DELETE", f"/images/{image['Id']}?force=1")
    engine.api("POST", "/build/prune?all=1")


def test_sent_as_a_tar(
    tidy: Engine, host: Path, tmp_path: Path, size: Size, figure: list[str]
) -> None:
    """Each of them by `POST /build`."""
    chosen = list(contexts(str(host)))[:: size.of(1, 4)]
    assert leaks(tidy, host, tmp_path, by_tar, chosen) == []
    figure.append(f"{len(chosen)} contexts, 0 files of the host")


def test_sent_from_a_directory(
    tidy: Engine, host: Path, tmp_path: Path, size: Size, figure: list[str]
) -> None:
    """Those that a directory can be, by our client."""
    possible = [
        each
        for each in contexts(str(host))
        if each.called == DOCKERFILE and each.is_a_directory() and "becomes" not in each.name
    ]
    chosen = possible[:: size.of(1, 8)]
    assert leaks(tidy, host, tmp_path, by_directory, chosen) == []
    figure.append(f"{len(chosen)} contexts, 0 files of the host")


def test_the_walk_finds_what_is_there(tidy: Engine, host: Path, tmp_path: Path) -> None:
    """A context with the secret as a file of its own is one that is found."""
    own = Context("its own", "FROM scratch\nCOPY own /own\n", (member("own", SECRET),))
    assert leaks(tidy, host, tmp_path, by_tar, [own]) == ["its own"]
