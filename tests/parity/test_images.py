"""The local image store: load, save, import, tag, remove, list, inspect, history."""

import functools
import hashlib
import http.server
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import http_over_unix
from support.daemon import BUSYBOX, Engine


@pytest.fixture(autouse=True)
def _only_busybox_after(engine: Engine) -> Iterator[None]:
    """Other images are gone after each test."""
    yield
    engine.remove_all_containers()
    for image in engine.api("GET", "/images/json").json:
        if image["RepoTags"] != [BUSYBOX]:
            tags = [tag for tag in image["RepoTags"] or [image["Id"]] if tag != BUSYBOX]
            for tag in tags:
                engine.docker("rmi", "-f", tag)


def test_list_and_inspect(engine: Engine) -> None:
    """The image is listed with its tag, and inspected by tag, id and short id."""
    listed = engine.docker_ok("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    assert listed.splitlines()[0].split()[0] == BUSYBOX
    short = listed.split()[1]
    found = engine.api("GET", f"/images/{short}/json").json
    assert found["Id"].startswith(f"sha256:{short}")
    assert found["RepoTags"] == [BUSYBOX]
    assert found["Os"] == "linux"
    assert found["RootFS"]["Type"] == "layers"
    assert len(found["RootFS"]["Layers"]) >= 1
    assert found["Size"] > 500_000


def test_tag_and_untag(engine: Engine) -> None:
    """A tag is one more name; removing it leaves the image."""
    engine.docker_ok("tag", "busybox", "example.test:5000/team/box:v1")
    names = engine.docker_ok("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert set(names) == {BUSYBOX, "example.test:5000/team/box:v1"}
    removed = engine.docker_ok("rmi", "example.test:5000/team/box:v1")
    assert removed == "Untagged: example.test:5000/team/box:v1"
    assert engine.docker_ok("run", "--rm", "busybox", "echo", "still") == "still"
    refused = engine.docker("tag", "busybox", "sha256:abc")
    assert refused.stderr.strip() == (
        "Error response from daemon: "
        "refusing to create an ambiguous tag using digest algorithm as name"
    )


def test_save_and_load_give_the_same_image(engine: Engine, tmp_path: Path) -> None:
    """What is saved, removed and loaded again has the same id."""
    engine.docker_ok("tag", "busybox", "kept:1")
    identity = engine.docker_ok("inspect", "-f", "{{.Id}}", "kept:1")
    archive = tmp_path / "kept.tar"
    engine.docker_ok("save", "-o", str(archive), "kept:1")
    with tarfile.open(archive) as saved:
        manifest = json.load(saved.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert manifest[0]["RepoTags"] == ["kept:1"]
    engine.docker_ok("rmi", "kept:1")
    loaded = engine.docker_ok("load", "-i", str(archive))
    assert "Loaded image: kept:1" in loaded
    assert engine.docker_ok("inspect", "-f", "{{.Id}}", "kept:1") == identity


def test_import_with_changes(engine: Engine, tmp_path: Path) -> None:
    """A plain archive becomes a one-layer image with the configuration of `--change`."""
    archive = tmp_path / "root.tar"
    _small_root(archive)
    changes = ("-c", 'CMD ["/bin/busybox", "cat", "/word"]', "-c", "ENV A=b", "-c", "USER 7")
    engine.docker_ok("import", *changes, "-m", "by hand", str(archive), "imported:1")
    assert engine.docker_ok("run", "--rm", "imported:1") == "from the archive"
    found = json.loads(engine.docker_ok("inspect", "imported:1"))[0]
    assert found["Config"]["Env"] == ["A=b"]
    assert found["Config"]["User"] == "7"
    assert len(found["RootFS"]["Layers"]) == 1
    history = engine.docker_ok("history", "--format", "{{.Comment}}", "imported:1")
    assert "by hand" in history


@pytest.fixture
def web(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """A web server on the engine's loopback that gives what is in the test's directory."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = engine.machine.in_network(
        lambda: http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    )
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


def test_import_from_the_web(engine: Engine, web: str, tmp_path: Path) -> None:
    """The engine fetches an archive itself; what the server refuses is told as it says it."""
    _small_root(tmp_path / "root.tar")
    subprocess.run(["gzip", "-k", tmp_path / "root.tar"], check=True)
    change = ("-c", 'CMD ["/bin/busybox", "cat", "/word"]')
    for url in (f"http://{web}/root.tar", f"http://{web}/root.tar.gz"):
        told = engine.docker_ok("import", *change, url, "fetched:1")
        assert f"Downloading from {url}" in told
        assert engine.docker_ok("run", "--rm", "fetched:1") == "from the archive"
        comment = engine.docker_ok("inspect", "-f", "{{.Comment}}", "fetched:1")
        assert comment == f"Imported from {url}"
        engine.docker_ok("rmi", "fetched:1")
    bare = engine.api("POST", f"/images/create?fromSrc={web}/root.tar")
    assert bare.status == 200
    assert b"sha256:" in bare.body
    refused = engine.docker("import", f"http://{web}/nothing.tar", "fetched:1")
    assert f"failed to GET http://{web}/nothing.tar with status 404 " in refused.stderr
    refused = engine.docker("import", "http://127.0.0.1:1/x.tar", "fetched:1")
    assert "connection refused" in refused.stderr
    (tmp_path / "words.tar").write_text("no archive " * 100)
    refused = engine.docker("import", f"http://{web}/words.tar", "fetched:1")
    assert refused.returncode == 1
    assert engine.docker("image", "inspect", "fetched:1").returncode == 1


@pytest.mark.stock_differs  # its busybox is smaller than what a socket takes
def test_clients_that_leave_in_the_middle(engine: Engine, tmp_path: Path) -> None:
    """Whoever breaks off a download or an upload holds nothing of the engine."""
    request = f"GET {engine.api_prefix}/images/busybox/get HTTP/1.1\r\nHost: x\r\n\r\n"
    upload = (
        f"POST {engine.api_prefix}/images/load HTTP/1.1\r\nHost: x\r\n"
        "Transfer-Encoding: chunked\r\n\r\n100\r\n" + "x" * 100
    )
    for _ in range(12):
        for text in (request, upload):
            with http_over_unix.connect(engine.socket, timeout_s=30) as leaving:
                leaving.sendall(text.encode())
                if text is request:
                    leaving.recv(100)
    assert engine.docker_ok("save", "-o", str(tmp_path / "whole.tar"), "busybox") == ""


def test_removal_says_what_went(engine: Engine, tmp_path: Path) -> None:
    """The last name of an image takes the image and its layers along."""
    archive = tmp_path / "root.tar"
    _small_root(archive)
    engine.docker_ok("import", str(archive), "gone:1")
    identity = engine.docker_ok("inspect", "-f", "{{.Id}}", "gone:1")
    removed = engine.docker_ok("rmi", "gone:1").splitlines()
    assert removed[0] == "Untagged: gone:1"
    assert f"Deleted: {identity}" in removed
    missing = engine.docker("inspect", "--type", "image", "gone:1")
    assert missing.returncode == 1


def test_an_image_in_use_stays(engine: Engine, tmp_path: Path) -> None:
    """An image that a container needs is not removed without force."""
    archive = tmp_path / "root.tar"
    _small_root(archive)
    engine.docker_ok("import", str(archive), "used:1")
    container = engine.docker_ok("create", "used:1", "/bin/busybox", "true")
    refused = engine.docker("rmi", "used:1")
    assert refused.returncode == 1
    assert (
        'conflict: unable to remove repository reference "used:1" (must force) - '
        f"container {container[:12]} is using its referenced image"
    ) in refused.stderr


def test_unknown_images(engine: Engine) -> None:
    """An image that is not there is 404 with Docker's words."""
    answer = engine.api("GET", "/images/nothing:1/json")
    assert answer.status == 404
    assert answer.message.lower().endswith("no such image: nothing:1")
    answer = engine.api("POST", "/containers/create", {"Image": "nothing:1"})
    assert (answer.status, answer.message) == (404, "No such image: nothing:1")
    answer = engine.api("DELETE", "/images/nothing:1")
    assert (answer.status, answer.message) == (404, "No such image: nothing:1")


def test_layers_keep_what_tar_can_say(engine: Engine, tmp_path: Path) -> None:
    """Modes, owners, links, devices and extended attributes survive an import."""
    archive = tmp_path / "root.tar"
    _small_root(archive, with_oddities=True)
    engine.docker_ok("import", str(archive), "odd:1")
    script = (
        "stat -c '%a %u:%g %h' /suid /hard; readlink /symbolic; stat -c '%F %t:%T' /null; "
        "stat -c '%a' /fifo; [ -p /fifo ] && echo fifo"
    )
    out = engine.docker_ok("run", "--rm", "odd:1", "/bin/busybox", "sh", "-c", script)
    assert out.splitlines() == [
        "4755 12:34 2", "4755 12:34 2", "target/of/link", "character special file 1:3",
        "640", "fifo",
    ]  # fmt: skip


def test_whiteouts_hide(engine: Engine, tmp_path: Path) -> None:
    """A layer of a docker-archive removes what lower ones had."""
    archive = tmp_path / "two.tar"
    _two_layers(archive)
    engine.docker_ok("load", "-i", str(archive))
    script = "ls -A /dir /opaque; cat /changed"
    out = engine.docker_ok("run", "--rm", "two:1", "/bin/busybox", "sh", "-c", script)
    assert out.split() == ["/dir:", "kept", "/opaque:", "new", "upper"]


def test_broken_archives_are_refused(engine: Engine) -> None:
    """What is no image archive is refused with a sentence and leaves nothing."""
    before = engine.census()
    for octets in (b"not a tar", b"\0" * 1024, _tar({"manifest.json": b"{"})):
        answer = engine.api("POST", "/images/load", octets)
        said_so = answer.status >= 400 or b'"error' in answer.body
        assert said_so, answer
        assert answer.status != 500 or engine.api_prefix == "/v1.41"
    assert engine.leaks_since(before) == []


def _small_root(path: Path, *, with_oddities: bool = False) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.add("/bin/busybox", "bin/busybox")
        _add(tar, "word", b"from the archive\n")
        if not with_oddities:
            return
        entry = _add(tar, "suid", b"x", mode=0o4755, uid=12, gid=34)
        assert entry
        for name, kind, target in (
            ("hard", tarfile.LNKTYPE, "suid"),
            ("symbolic", tarfile.SYMTYPE, "target/of/link"),
            ("null", tarfile.CHRTYPE, ""),
            ("fifo", tarfile.FIFOTYPE, ""),
        ):
            made = tarfile.TarInfo(name)
            made.type, made.linkname, made.mode = kind, target, 0o640
            if kind == tarfile.LNKTYPE:  # its header speaks of the same inode
                made.mode, made.uid, made.gid = 0o4755, 12, 34
            if kind == tarfile.CHRTYPE:
                made.devmajor, made.devminor = 1, 3
            tar.addfile(made)


def _add(tar: tarfile.TarFile, name: str, content: bytes, **fields: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for field, value in fields.items():
        setattr(entry, field, value)
    tar.addfile(entry, io.BytesIO(content))
    return entry


def _tar(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in files.items():
            _add(tar, name, content)
    return made.getvalue()


def _two_layers(path: Path) -> None:
    lower, upper = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=lower, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in ("dir/kept", "dir/gone", "opaque/old", "changed"):
            _add(tar, name, b"lower\n")
    with tarfile.open(fileobj=upper, mode="w") as tar:
        for name in ("dir/.wh.gone", "opaque/.wh..wh..opq"):
            _add(tar, name, b"")
        _add(tar, "opaque/new", b"upper\n")
        _add(tar, "changed", b"upper\n")
    layers = [lower.getvalue(), upper.getvalue()]
    digests = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]
    config = {
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": digests},
        "history": [{"created_by": "lower"}, {"created_by": "upper"}],
    }  # fmt: skip
    manifest = [{"Config": "config.json", "RepoTags": ["two:1"], "Layers": ["0.tar", "1.tar"]}]
    path.write_bytes(
        _tar(
            {
                "0.tar": layers[0],
                "1.tar": layers[1],
                "config.json": json.dumps(config).encode(),
                "manifest.json": json.dumps(manifest).encode(),
            }
        )
    )
