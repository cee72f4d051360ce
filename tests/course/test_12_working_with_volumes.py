"""The course's chapter on volumes, command by command; what it says is true here.

Images of the course that only a registry has are stood in for by busybox: what matters is where
the files are.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import build, write_tree
from support.daemon import Engine
from support.waiting import wait_until

_BUILT = """FROM busybox
RUN mkdir -m 700 /uploads && touch /uploads/before
VOLUME /uploads /new
RUN test -f /uploads/before && stat -c %a /uploads | grep 700
RUN touch /uploads/file /new/file /etc/file && rm /uploads/before
"""


@pytest.fixture(autouse=True)
def _no_volumes(engine: Engine) -> Iterator[None]:
    """The chapter begins and ends without volumes."""
    yield
    engine.remove_all_containers()
    engine.docker_ok("volume", "prune", "-af")


@pytest.fixture(scope="module")
def tomcat(shared_engine: Engine) -> Iterator[str]:
    """An image with `webapps.dist` and an empty `webapps`, as tomcat's has."""
    script = (
        "mkdir -p /usr/local/tomcat/webapps /usr/local/tomcat/webapps.dist/ROOT"
        " && echo hello > /usr/local/tomcat/webapps.dist/ROOT/index.jsp"
    )
    made = shared_engine.docker_ok("create", "busybox", "sh", "-c", script)
    shared_engine.docker_ok("start", "-a", made)
    shared_engine.docker_ok("commit", "-c", 'CMD ["sleep", "99"]', made, "tomcat")
    shared_engine.docker_ok("rm", made)
    yield "tomcat"
    shared_engine.remove_all_containers()
    shared_engine.docker_ok("rmi", "tomcat")


@pytest.mark.slide("12.5")
def test_volumes_bypass_copy_on_write(engine: Engine, tmp_path: Path) -> None:
    """What is in a volume is in no image, by commit or RUN, and can be written when / can't."""
    write = "echo kept > /uploads/file; echo lost > /etc/file"
    volume = ("--name", "writer", "-v", "/uploads")
    engine.docker_ok("run", *volume, "busybox", "sh", "-c", write.replace("lost", "kept"))
    engine.docker_ok("commit", "writer", "committed")
    find = ("sh", "-c", "ls -d /uploads/file /etc/file 2>/dev/null; true")
    assert engine.docker_ok("run", "--rm", "committed", *find) == "/etc/file"
    write_tree(tmp_path, {"Dockerfile": _BUILT})
    build(engine, tmp_path, "built")
    assert engine.docker_ok("run", "--rm", "built", *find) == "/etc/file"
    assert engine.docker_ok("run", "--rm", "built", "ls", "/uploads", "/new").split() == [
        "/new:", "/uploads:", "before",
    ]  # fmt: skip
    into = ("busybox", "sh", "-c", write)
    read_only = engine.docker("run", "--rm", "--read-only", "-v", "/uploads", *into)
    assert "can't create /etc/file" in read_only.stderr
    assert "/uploads" not in read_only.stderr
    refused = engine.docker("run", "--rm", "--read-only", "-v", "uploads:/uploads:ro", *into)
    assert "can't create /uploads/file" in refused.stderr
    engine.remove_all_containers()
    engine.docker_ok("rmi", "committed", "built")
    engine.docker_ok("builder", "prune", "-af")


@pytest.mark.slide("12.6", "12.7")
def test_logs_of_another_container(engine: Engine, tomcat: str) -> None:
    """Sharing app server logs: `-v PATH`, then `--volumes-from` in a second container."""
    engine.docker_ok("run", "--name", "webapp", "-d", "-v", "/usr/local/tomcat/logs", tomcat)
    engine.docker_ok("exec", "webapp", "sh", "-c", "echo started > /usr/local/tomcat/logs/out")
    read = engine.docker_ok("run", "--volumes-from", "webapp", "busybox", "sh", "-c",
                            "cat /usr/local/tomcat/logs/*")  # fmt: skip
    assert read == "started"


@pytest.mark.slide("12.8", "12.9", "12.10", "12.11", "12.12")
def test_named_volumes(engine: Engine, tomcat: str) -> None:
    """Naming, populating, using, and using in another container."""
    assert engine.docker_ok("volume", "create", "webapps") == "webapps"
    assert engine.docker_ok("volume", "create", "logs") == "logs"
    listed = [line.split() for line in engine.docker_ok("volume", "ls").splitlines()]
    assert listed == [["DRIVER", "VOLUME", "NAME"], ["local", "logs"], ["local", "webapps"]]
    home = "/usr/local/tomcat"
    engine.docker_ok("run", "-v", f"webapps:{home}/webapps.dist", tomcat, "true")
    serving = engine.docker_ok(
        "run", "-d", "-p", "1234:8080", "-v", f"logs:{home}/logs", "-v",
        f"webapps:{home}/webapps", tomcat,
    )  # fmt: skip
    page = ("exec", serving, "cat", f"{home}/webapps/ROOT/index.jsp")
    assert engine.docker_ok(*page) == "hello"
    engine.docker_ok("run", "-v", "webapps:/webapps", "-w", "/webapps", "busybox", "sh", "-c",
                     "echo vandalised > ROOT/index.jsp")  # fmt: skip
    assert engine.docker_ok(*page) == "vandalised"


@pytest.mark.slide("12.14", "12.15", "12.16", "12.17")
def test_migration(engine: Engine) -> None:
    """Data of a stopped container goes on in its successor, asked through `--link`."""

    def store(name: str, *flags: str) -> None:
        serve = "while :; do nc -l -p 6379 -e cat /data/counter; done"
        engine.docker_ok("run", "-d", "--name", name, *flags, "busybox", "sh", "-c", serve)

    def counter(name: str) -> str:
        ask = ("busybox", "nc", "redis", "6379")
        return engine.docker("run", "--rm", "-i", "--link", f"{name}:redis", *ask).stdout

    store("redis28", "-v", "/data")
    engine.docker_ok("exec", "redis28", "sh", "-c", "echo 42 > /data/counter")
    wait_until("it answers", lambda: counter("redis28") == "42\n")
    engine.docker_ok("stop", "-t", "0", "redis28")
    store("redis30", "--volumes-from", "redis28")
    wait_until("its successor answers the same", lambda: counter("redis30") == "42\n")


@pytest.mark.slide("12.8", "12.18")
def test_lifecycle(engine: Engine) -> None:
    """A volume stays when its container is removed, and goes by `volume rm`."""
    engine.docker_ok("run", "--name", "once", "-v", "kept:/k", "busybox", "touch", "/k/x")
    engine.docker_ok("rm", "once")
    assert engine.docker_ok("volume", "ls", "-q") == "kept"
    assert engine.docker_ok("run", "--rm", "-v", "kept:/k", "busybox", "ls", "/k") == "x"
    assert engine.docker_ok("volume", "rm", "kept") == "kept"


@pytest.mark.slide("12.4", "12.19", "12.20")
def test_declared_by_the_image(engine: Engine) -> None:
    """`VOLUME` shows in the image, and as a mount of its containers."""
    made = engine.docker_ok("create", "busybox", "true")
    engine.docker_ok("commit", "-c", "VOLUME /var/webapp", made, "datavol")
    shown = json.loads(engine.docker_ok("inspect", "datavol"))[0]
    assert shown["Config"]["Volumes"] == {"/var/webapp": {}}
    container = engine.docker_ok("create", "datavol")
    (mount,) = engine.inspect(container)["Mounts"]
    assert (mount["Type"], mount["Destination"]) == ("volume", "/var/webapp")
    assert Path(mount["Source"]).is_dir()
    engine.docker_ok("rm", "-v", container, made)
    engine.docker_ok("rmi", "datavol")


@pytest.mark.slide("12.21")
def test_the_control_socket(engine: Engine) -> None:
    """A single file, the engine's socket, is shared, and answers from inside."""
    out = engine.docker_ok(
        "run", "--rm", "-v", f"{engine.socket}:/var/run/docker.sock", "busybox", "sh", "-c",
        "test -S /var/run/docker.sock && echo socket",
    )  # fmt: skip
    assert out == "socket"


@pytest.mark.slide("12.13", "12.23", "12.24")
def test_mount_syntax(engine: Engine, tmp_path: Path) -> None:
    """`--mount`: a host path, a volume, a temporary file system."""
    (tmp_path / "file").write_text("host\n")
    for mount, script, answer in (
        (f"type=bind,source={tmp_path},target=/c", "cat /c/file", "host"),
        ("source=myvolume,target=/c", "echo v > /c/f && cat /c/f", "v"),
        ("type=tmpfs,destination=/c,tmpfs-size=1000000", "stat -f -c %T /c", "tmpfs"),
    ):
        out = engine.docker_ok("run", "--rm", "--mount", mount, "busybox", "sh", "-c", script)
        assert out == answer
    # Chapter 10: "`--mount` fails if the path on the host doesn't exist; `-v` creates it".
    missing = tmp_path / "missing"
    refused = engine.docker("run", "--rm", "--mount", f"type=bind,source={missing},target=/c",
                            "busybox", "true")  # fmt: skip
    assert refused.returncode == 125
    engine.docker_ok("run", "--rm", "-v", f"{missing}:/c", "busybox", "true")
    assert missing.is_dir()
