"""The course's chapter on volumes, command by command; what it says is true here.

Images of the course that only a registry has are stood in for by busybox: what matters is where
the files are.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine


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


def test_logs_of_another_container(engine: Engine, tomcat: str) -> None:
    """Sharing app server logs: `-v PATH`, then `--volumes-from` in a second container."""
    engine.docker_ok("run", "--name", "webapp", "-d", "-v", "/usr/local/tomcat/logs", tomcat)
    engine.docker_ok("exec", "webapp", "sh", "-c", "echo started > /usr/local/tomcat/logs/out")
    read = engine.docker_ok("run", "--volumes-from", "webapp", "busybox", "sh", "-c",
                            "cat /usr/local/tomcat/logs/*")  # fmt: skip
    assert read == "started"


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


def test_migration(engine: Engine) -> None:
    """Data of a stopped container goes on in its successor."""
    engine.docker_ok("run", "-d", "--name", "redis28", "-v", "/data", "busybox", "sleep", "99")
    engine.docker_ok("exec", "redis28", "sh", "-c", "echo 42 > /data/counter")
    engine.docker_ok("stop", "-t", "0", "redis28")
    engine.docker_ok("run", "-d", "--name", "redis30", "--volumes-from", "redis28", "busybox",
                     "sleep", "99")  # fmt: skip
    assert engine.docker_ok("exec", "redis30", "cat", "/data/counter") == "42"


def test_lifecycle(engine: Engine) -> None:
    """A volume stays when its container is removed, and goes by `volume rm`."""
    engine.docker_ok("run", "--name", "once", "-v", "kept:/k", "busybox", "touch", "/k/x")
    engine.docker_ok("rm", "once")
    assert engine.docker_ok("volume", "ls", "-q") == "kept"
    assert engine.docker_ok("run", "--rm", "-v", "kept:/k", "busybox", "ls", "/k") == "x"
    assert engine.docker_ok("volume", "rm", "kept") == "kept"


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


def test_the_control_socket(engine: Engine) -> None:
    """A single file, the engine's socket, is shared, and answers from inside."""
    out = engine.docker_ok(
        "run", "--rm", "-v", f"{engine.socket}:/var/run/docker.sock", "busybox", "sh", "-c",
        "test -S /var/run/docker.sock && echo socket",
    )  # fmt: skip
    assert out == "socket"


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
