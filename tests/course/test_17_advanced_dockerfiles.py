"""Chapter 17 of the course: the language of Dockerfiles, instruction by instruction."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.builds import build, remove_what_was_built, write_tree
from support.daemon import Engine
from support.waiting import wait_until


@pytest.fixture
def make(engine: Engine, tmp_path: Path) -> Iterator["Maker"]:
    """Builds `made` from instructions on busybox and some files."""
    yield Maker(engine, tmp_path)
    remove_what_was_built(engine)
    engine.docker_ok("volume", "prune", "-af")


class Maker:
    """One project, built again and again."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.engine = engine
        self.directory = directory

    def __call__(
        self, text: str, files: Mapping[str, str] | None = None, *flags: str, tag: str = "made"
    ) -> str:
        """What the build prints."""
        whole = text if text.startswith("FROM") else f"FROM busybox\n{text}"
        write_tree(self.directory, {"Dockerfile": f"{whole}\n", **(files or {})})
        return build(self.engine, self.directory, tag, *flags)

    def run(self, *words: str) -> str:
        """What a container of the image prints."""
        return self.engine.docker_ok("run", "--rm", "made", *words)

    def config(self) -> Mapping[str, object]:
        """The configuration of the image."""
        found: Mapping[str, object] = json.loads(
            self.engine.docker_ok("image", "inspect", "made")
        )[0]["Config"]
        return found


@pytest.mark.slide("17.3")
def test_instructions_in_order(make: Maker) -> None:
    """Each is a layer or a piece of metadata; what has not changed comes from the cache."""
    first = make("# a comment\nRUN echo 1 >/f\nCMD echo one\nCMD echo two")
    assert [line[:8] for line in first.splitlines() if line.startswith("Step")] == [
        "Step 1/4", "Step 2/4", "Step 3/4", "Step 4/4",
    ]  # fmt: skip
    assert make.run() == "two"
    again = make("RUN echo 1 >/f\nCMD echo one\nCMD echo three")
    assert again.count("Using cache") == 2
    with pytest.raises(AssertionError, match=r"no build stage in current context|FROM"):
        write_tree(make.directory, {"Dockerfile": "RUN true\nFROM busybox\n"})
        build(make.engine, make.directory, "made")


@pytest.mark.slide("17.4")
def test_run_in_two_forms(make: Maker) -> None:
    """With a shell that expands, and without one, where there may be none."""
    make('RUN echo $((6 * 7)) >/shell\nRUN ["/bin/sh", "-c", "echo \\"$0\\" >/exec", "$HOME"]')
    assert make.run("cat", "/shell", "/exec") == "42\n$HOME"
    bare = (
        'FROM busybox AS tools\nFROM scratch\nCOPY --from=tools /bin/busybox /\nRUN ["/busybox", "'
    )
    make(f'{bare}touch", "/touched"]')
    with pytest.raises(AssertionError, match="/bin/sh"):
        make("FROM scratch\nRUN true")


@pytest.mark.slide("17.5", "17.6")
def test_what_run_keeps(make: Maker) -> None:
    """Files, of several commands in one step; no processes."""
    make("RUN sleep 1000 & echo one >/a \\\n && echo two >/b")
    assert make.run("sh", "-c", "cat /a /b; ps | grep -c '[s]leep'; true") == "one\ntwo\n0"
    history = make.engine.docker_ok("history", "--format", "{{.CreatedBy}}", "made").splitlines()
    assert sum("sleep 1000" in line for line in history) == 1


@pytest.mark.slide("17.7", "17.8")
def test_expose(make: Maker) -> None:
    """Ports are told, not opened: `-P` opens them, `-p` opens any."""
    make("EXPOSE 8080\nEXPOSE 80 443\nEXPOSE 53/tcp 53/udp\nCMD httpd -f -p 80")
    exposed = make.config()["ExposedPorts"]
    assert isinstance(exposed, dict)
    assert exposed.keys() == {"443/tcp", "53/tcp", "53/udp", "80/tcp", "8080/tcp"}
    docker = make.engine.docker_ok
    assert docker("port", docker("run", "-d", "made")) == ""
    listed = docker("port", docker("run", "-dP", "made")).splitlines()
    assert {line.split()[0] for line in listed} == exposed.keys()
    other = docker("run", "-d", "-p", "81", "made")
    assert docker("port", other).startswith("81/tcp -> 0.0.0.0:")


@pytest.mark.slide("17.9", "17.10")
def test_copy_and_the_context(make: Maker) -> None:
    """`.` and `/` are the context; `..` does not lead out of it."""
    files = {"a": "a\n", "d/b": "b\n"}
    for source in (".", "/"):
        make(f"COPY {source} /src", files)
        assert make.run("cat", "/src/a", "/src/d/b") == "a\nb"
    (make.directory.parent / "outside").write_text("secret")
    with pytest.raises(AssertionError, match="outside"):
        make("COPY ../outside /")
    (make.directory.parent / "outside").unlink()


@pytest.mark.slide("17.11", "17.12")
def test_add(make: Maker, tmp_path: Path) -> None:
    """A tar archive is unpacked, a copied one is not; files that changed are noticed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("inside")
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"in\n"))
    (tmp_path / "assets.tar.gz").write_bytes(packed.getvalue())
    text = "ADD assets.tar.gz /unpacked/\nCOPY assets.tar.gz /copied/"
    make(text)
    assert make.run("ls", "/unpacked", "/copied").split() == [
        "/copied:", "assets.tar.gz", "/unpacked:", "inside",
    ]  # fmt: skip
    assert make(text).count("Using cache") == 2
    (tmp_path / "assets.tar.gz").write_bytes(packed.getvalue() + b"\0" * 512)
    assert make(text).count("Using cache") == 0


@pytest.mark.slide("17.13")
def test_volume(make: Maker) -> None:
    """A directory beside the layers, which can be written when the root can not."""
    make("VOLUME /var/lib/mysql")
    write = "touch /var/lib/mysql/x && ! touch /x 2>/dev/null && echo only there"
    docker = make.engine.docker_ok
    assert docker("run", "--rm", "--read-only", "made", "sh", "-c", write) == "only there"
    docker("run", "--name", "old", "made", "sh", "-c", "echo data >/var/lib/mysql/f")
    assert docker("run", "--rm", "--volumes-from", "old", "made", "cat", "/var/lib/mysql/f") == (
        "data"
    )


@pytest.mark.slide("17.14", "17.15", "17.16")
def test_surroundings(make: Maker) -> None:
    """WORKDIR, ENV and USER hold for what follows and for the container; `-e` is stronger."""
    make(
        "ENV WEBAPP_PORT 8080\nWORKDIR /src\nRUN pwd >where; echo $WEBAPP_PORT >>where\n"
        "WORKDIR deeper\nUSER nobody\nUSER 1:1\nCMD pwd; id -u; echo $WEBAPP_PORT $WEBAPP_HOST"
    )
    assert make.run("cat", "/src/where") == "/src\n8080"
    assert make.run() == "/src/deeper\n1\n8080"
    given = ("-e", "WEBAPP_PORT=8000", "-e", "WEBAPP_HOST=www.example.com")
    shown = make.engine.docker_ok("run", "--rm", *given, "made")
    assert shown.endswith("8000 www.example.com")


@pytest.mark.slide("17.17", "17.18", "17.19")
def test_cmd(make: Maker) -> None:
    """The default command, by a shell or without one; words behind the image take its place."""
    make("CMD echo $((1 + 1))")
    assert make.run() == "2"
    make('CMD ["echo", "$((1 + 1))"]')
    assert make.run() == "$((1 + 1))"
    assert make.run("echo", "else") == "else"


@pytest.mark.slide("17.20", "17.21", "17.22")
def test_entrypoint(make: Maker) -> None:
    """Words behind the image are its arguments, instead of CMD's; `--entrypoint` replaces it."""
    make('ENTRYPOINT ["echo", "server"]\nCMD ["-g", "daemon off;"]')
    assert make.run() == "server -g daemon off;"
    assert make.run("-t") == "server -t"
    run = ("run", "--rm", "--entrypoint", "ls", "made")
    assert make.engine.docker_ok(*run, "-d", "/etc") == "/etc"


@pytest.mark.slide("17.23")
def test_more_instructions(make: Maker) -> None:
    """LABEL, ARG, STOPSIGNAL, HEALTHCHECK and SHELL are what the image says."""
    make(
        'ARG WHO=nobody\nLABEL owner=$WHO\nSTOPSIGNAL SIGUSR1\nSHELL ["/bin/sh", "-ec"]\n'
        "HEALTHCHECK --interval=1s CMD true\nCMD trap 'echo ends; exit 7' USR1; while sleep 0.1;"
        " do :; done",
        None, "--build-arg", "WHO=alice",
    )  # fmt: skip
    config = make.config()
    assert (config["Labels"], config["StopSignal"]) == ({"owner": "alice"}, "SIGUSR1")
    docker, engine = make.engine.docker_ok, make.engine
    docker("run", "-d", "--name", "healthy", "made")
    wait_until(
        "it is healthy",
        lambda: engine.inspect("healthy")["State"]["Health"]["Status"] == "healthy",
    )
    assert engine.inspect("healthy")["Config"]["Cmd"][:2] == ["/bin/sh", "-ec"]
    docker("stop", "healthy")
    assert docker("wait", "healthy") == "7"


@pytest.mark.slide("17.24")
def test_onbuild(make: Maker) -> None:
    """A trigger runs in the build of the next image; it chains no trigger and no FROM."""
    make("ONBUILD COPY word /src/", {"word": "hello\n"})
    assert make.engine.docker("run", "--rm", "made", "ls", "/src").returncode == 1
    make("FROM made", {"word": "hello\n"}, tag="child")
    assert make.engine.docker_ok("run", "--rm", "child", "cat", "/src/word") == "hello"
    for chained in ("ONBUILD RUN true", "FROM busybox"):
        with pytest.raises(AssertionError, match="ONBUILD"):
            make(f"ONBUILD {chained}")
