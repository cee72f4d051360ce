"""Secrets and agents of a build by our own door: seen by the command, and nowhere else."""

import base64
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from support.builds import output_of as run
from support.builds import remove_what_was_built, small_context
from support.builds import write_dockerfile as write
from support.daemon import Engine

SECRET = "s3cr3t/+=of%the day"


@pytest.fixture(autouse=True)
def _leaves_no_image(engine: Engine) -> Iterator[None]:
    """What was built goes again, and so does the cache."""
    yield
    remove_what_was_built(engine)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with some files."""
    return small_context(tmp_path / "context")


def places_with(secret: str, *roots: str) -> list[str]:
    """Files below some roots that have a text, as it is, in base64 or percent-encoded."""
    forms = (secret.encode(), base64.b64encode(secret.encode()), quote(secret, safe="").encode())
    found = []
    for root in roots:
        for place, _directories, names in os.walk(root):
            for name in names:
                path = Path(place, name)
                if path.is_file() and not path.is_symlink():
                    content = path.read_bytes()
                    found += [str(path) for form in forms if form in content]
    return found


def test_secrets_are_seen_by_the_command_alone(
    engine: Engine, context: Path, tmp_path: Path
) -> None:
    """As a file and as a variable; not in layers, history, cache, records or logs (B08)."""
    (tmp_path / "secret").write_text(SECRET)
    write(
        context,
        "FROM busybox\n"
        "RUN --mount=type=secret,id=one sha256sum < /run/secrets/one > /sum; "
        "stat -c '%a %u' /run/secrets/one >> /sum\n"
        "RUN --mount=type=secret,id=one,target=/t/s,mode=0444,uid=5 stat -c '%a %u' /t/s >> /sum\n"
        'RUN --mount=type=secret,id=one,env=TOKEN printf %s "$TOKEN" | sha256sum >> /sum; '
        "test ! -e /run/secrets/one\n"
        "RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent\n",
    )
    secret = f"id=one,src={tmp_path}/secret"
    built = engine.wherry("build", "-t", "kept", "--secret", secret, str(context))
    assert built.returncode == 0, built.stdout + built.stderr
    words = run(engine, "kept", "cat", "/sum").split()
    assert words[2:6] == ["400", "0", "444", "5"]
    assert words[0] == words[6]
    assert run(engine, "kept", "sh", "-c", "ls -d /run/secrets /t 2>/dev/null; true") == ""
    assert SECRET not in built.stdout + built.stderr
    assert SECRET not in engine.docker_ok("history", "--no-trunc", "kept")
    assert places_with(SECRET, str(engine.root)) == []
    again = engine.wherry("build", "--secret", secret, str(context))
    assert again.stderr.count(" CACHED\n") == 4
    write(context, "FROM busybox\nRUN --mount=type=secret,id=no,required true")
    refused = engine.wherry("build", str(context))
    assert refused.returncode == 1
    assert "secret no: not found" in refused.stderr


def test_an_agent_is_reached_through_a_socket(
    engine: Engine, context: Path, tmp_path: Path, probe: Path
) -> None:
    """What the command writes comes to the agent, and its answer comes back."""
    place = str(tmp_path / "agent.sock")
    heard: list[bytes] = []
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(place)
    listening.listen()

    def answer() -> None:
        connection, _address = listening.accept()
        with connection:
            heard.append(connection.recv(100))
            connection.sendall(b"an answer\n")

    answering = threading.Thread(target=answer, daemon=True)
    answering.start()
    write(
        context,
        "FROM busybox\n"
        "RUN --mount=type=ssh --mount=target=/c echo $SSH_AUTH_SOCK > /where; "
        "/c/probe ask $SSH_AUTH_SOCK hello > /said; stat -c %a $SSH_AUTH_SOCK >> /said\n",
    )
    shutil.copy(probe, context / "probe")
    built = engine.wherry("build", "-t", "agent", "--ssh", f"default={place}", str(context))
    listening.close()
    assert built.returncode == 0, built.stdout + built.stderr
    assert heard == [b"hello"]
    said = run(engine, "agent", "cat", "/where", "/said")
    assert said.split() == ["/run/buildkit/ssh_agent.0", "an", "answer", "600"]
    write(context, "FROM busybox\nRUN --mount=type=ssh,required true")
    refused = engine.wherry("build", str(context))
    assert 'no SSH key "default" forwarded from the client' in refused.stderr


def test_named_contexts(engine: Engine, context: Path, tmp_path: Path) -> None:
    """A directory or an image, in the place of a stage, an image, or a name of their own."""
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    (other / "deep/file").write_text("other\n")
    (other / "left-out").write_text("no\n")
    (other / ".dockerignore").write_text("left-out\n")
    write(
        context,
        "FROM nothing AS base\nFROM busybox AS made\nRUN false\nFROM base\n"
        "COPY --from=made deep /from-made\nCOPY --from=files . /files\n"
        "RUN --mount=from=files,target=/m cat /m/deep/file > /seen\n",
    )
    built = engine.wherry(
        "build", "-t", "named", "--build-context", "nothing=docker-image://busybox",
        "--build-context", f"made={other}", "--build-context", f"files={other}", str(context),
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    assert run(engine, "named", "cat", "/from-made/file", "/seen").split() == ["other"] * 2
    assert run(engine, "named", "ls", "-A", "/files").split() == [".dockerignore", "deep"]
    write(context, "FROM files\nCMD x")
    built = engine.wherry(
        "build", "-o", str(tmp_path / "out"), "--build-context", f"files={other}", str(context)
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert sorted(os.listdir(tmp_path / "out")) == [".dockerignore", "deep"]


def test_outputs(engine: Engine, context: Path, tmp_path: Path) -> None:
    """A directory, a tar, archives that load; the engine keeps none of it."""
    before = engine.docker_ok("images", "-aq")
    write(context, "FROM scratch\nCOPY a.txt d /x/\nLABEL a=b")
    for kind in ("tar", "oci", "docker"):
        built = engine.wherry(
            "build", "-t", "made:1", "-o", f"type={kind},dest={tmp_path}/{kind}", str(context)
        )
        assert built.returncode == 0, built.stdout + built.stderr
    listed = subprocess.run(
        ["tar", "-tf", tmp_path / "tar"], capture_output=True, text=True, check=True
    )
    assert {"x/a.txt", "x/e/f.txt"} <= {each.removeprefix("./") for each in listed.stdout.split()}
    built = engine.wherry("build", "-o", f"{tmp_path}/tree", str(context))
    assert (tmp_path / "tree/x/run.sh").read_text() == (context / "d/run.sh").read_text()
    assert os.access(tmp_path / "tree/x/run.sh", os.X_OK)
    assert engine.docker_ok("images", "-aq") == before
    for kind in ("oci", "docker"):
        assert "made:1" in engine.docker_ok("load", "-i", f"{tmp_path}/{kind}")
        engine.docker_ok("rmi", "made:1")
    bad = engine.wherry("build", "-o", f"type=tar,dest={tmp_path}/none", str(context / "none"))
    assert bad.returncode == 1
    assert not (tmp_path / "none").exists()


def test_one_layer_by_squash(engine: Engine, context: Path) -> None:
    """Files that a later step removed are in no layer; history keeps its lines."""
    write(
        context,
        "FROM busybox\nRUN mkdir /d && echo big > /d/big && echo kept > /d/kept\n"
        "RUN rm /d/big /etc/passwd\nRUN rm -r /d && mkdir /d && echo new > /d/new",
    )
    built = engine.wherry("build", "-t", "one", "--squash", str(context))
    assert built.returncode == 0, built.stdout + built.stderr
    layers = engine.docker_ok("image", "inspect", "-f", "{{len .RootFS.Layers}}", "one")
    assert layers == "2"
    assert (
        run(engine, "one", "sh", "-c", "ls /d; ls /etc/passwd 2>&1; true").split("\n")[0] == "new"
    )
    assert "No such file" in run(engine, "one", "sh", "-c", "ls /etc/passwd 2>&1; true")
    assert "rm /d/big" in engine.docker_ok("history", "--no-trunc", "one")


def test_an_identity_and_metadata_file(engine: Engine, context: Path, tmp_path: Path) -> None:
    """`--iidfile` and `--metadata-file` name what was built."""
    write(context, "FROM busybox\nLABEL a=b")
    engine.wherry(
        "build", "-t", "told", "--iidfile", f"{tmp_path}/id", "--metadata-file",
        f"{tmp_path}/all", str(context),
    )  # fmt: skip
    image_id = engine.docker_ok("image", "inspect", "-f", "{{.Id}}", "told")
    assert (tmp_path / "id").read_text() == image_id
    assert f'"containerimage.config.digest": "{image_id}"' in (tmp_path / "all").read_text()
