"""Chapters 3, 4, 5, 10 and 20 of the course, command by command, as its reader types them.

Images that the course pulls or builds are made here by import and commit: `clock` prints the time,
`namer` serves on an exposed port, `crash` fails as a web server without its directory does,
`hamba` writes the configuration that it is given. What waits for others: `git clone` and
`docker build` (chapter 10) and the `COPY` of a baked-in configuration (chapter 20) for the
builder.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.waiting import wait_until

SCRIPTS = {
    "clock": "while true; do date; sleep 1; done",
    "crash": "mkdir -p /var/log/nginx; echo 'open() \"/run/nginx/nginx.pid\" failed (2: No such"
             " file or directory)' > /var/log/nginx/error.log; rm /etc/motd; exit 1",
    "namer": "httpd -f -p 9292 -h /src",
    "hamba": 'mkdir -p /config; if [ "$1" = reconfigure ]; then shift; echo "$@" > /config/list;'
             ' else echo "$@" > /config/list; exec sleep 1000; fi',
}  # fmt: skip
CHANGES = {
    "clock": ("CMD [\"/entry\"]",),
    "crash": ("CMD [\"/entry\"]",),
    "namer": ("CMD [\"/entry\"]", "EXPOSE 9292", "WORKDIR /src"),
    "hamba": ("ENTRYPOINT [\"/entry\"]", "VOLUME /config"),
}  # fmt: skip


@pytest.fixture(scope="module")
def course(shared_engine: Engine, clean_census: None) -> Iterator[Engine]:
    """The engine with the images of the course."""
    engine = shared_engine
    for name, script in SCRIPTS.items():
        text = f"#!/bin/sh\n{script}\n".replace("'", "'\"'\"'")
        make = f"printf %s '{text}' >/entry; chmod +x /entry; mkdir -p /src; echo hi >/etc/motd;" \
               " echo '<p style=\"color: royalblue\">' >/src/index.html"  # fmt: skip
        made = engine.docker_ok("run", "-d", "busybox", "sh", "-c", make)
        engine.docker_ok("wait", made)
        exported = engine.root / f"{name}.tar"
        engine.docker_ok("export", "-o", str(exported), made)
        flags = [word for change in CHANGES[name] for word in ("-c", change)]
        engine.docker_ok("import", *flags, str(exported), name)
        engine.docker_ok("rm", made)
        exported.unlink()
    yield engine
    engine.remove_all_containers()
    for name in SCRIPTS:
        engine.docker_ok("rmi", name)
    engine.docker("volume", "prune", "-af")


@pytest.fixture(autouse=True)
def _clean(course: Engine) -> Iterator[None]:
    yield
    course.remove_all_containers()


# -- chapter 3: naming and inspecting --------------------------------------------------------


def test_names(course: Engine) -> None:
    """A container is reached by its name; without one it gets a mood and an inventor."""
    course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    wait_until("the clock ticks", lambda: course.docker_ok("logs", "ticktock") != "")
    unnamed = course.docker_ok("run", "-d", "clock")
    made_up = course.docker_ok("inspect", "-f", "{{.Name}}", unnamed)
    assert re.fullmatch(r"/[a-z]+_[a-z]+[0-9]*", made_up)
    assert course.docker_ok("stop", "-t", "0", "ticktock") == "ticktock"


def test_names_are_unique_until_renamed(course: Engine) -> None:
    """A name that exists is refused; renaming frees it without touching the container."""
    first = course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    refused = course.docker("run", "--name", "ticktock", "clock")
    assert refused.returncode == 125
    assert (
        'Conflict. The container name "/ticktock" is already in use by container '
        f'"{first}". You have to remove (or rename) that container to be able to reuse that name.'
    ) in refused.stderr
    assert course.docker_ok("rename", "ticktock", "oldclock") == ""
    course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    assert course.docker_ok("inspect", "-f", "{{.Id}} {{.State.Running}}", "oldclock") == (
        f"{first} true"
    )


def test_inspect(course: Engine) -> None:
    """Pages of JSON, for jq or for a Go template."""
    container = course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    (document,) = json.loads(course.docker_ok("inspect", "ticktock"))
    assert document["Id"] == container
    created = course.docker_ok("inspect", "--format", "{{ json .Created }}", "ticktock")
    assert re.fullmatch(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"', created)
    assert created == json.dumps(document["Created"])
    both = course.docker_ok("inspect", "-f", "{{.Config.Image}}", "ticktock", container[:6])
    assert both == "clock\nclock"


# -- chapter 4: labels -----------------------------------------------------------------------


def test_labels(course: Engine) -> None:
    """Set with -l, shown by inspect, selected by ps; no value is an empty value."""
    alice = course.docker_ok("run", "-d", "-l", "owner=alice", "clock")
    bob = course.docker_ok("run", "-d", "-l", "owner=bob", "clock")
    nobody = course.docker_ok("run", "-d", "-l", "owner", "clock")
    last = course.docker_ok("ps", "-lq")
    assert nobody.startswith(last)
    (document,) = json.loads(course.docker_ok("inspect", last))
    assert document["Config"]["Labels"] == {"owner": ""}
    running = course.docker_ok("ps", "-q").split()
    shown = course.docker_ok("inspect", *running, "--format", "OWNER={{.Config.Labels.owner}}")
    assert shown.splitlines() == ["OWNER=", "OWNER=bob", "OWNER=alice"]
    by_key = course.docker_ok("ps", "--filter", "label=owner", "-q", "--no-trunc").split()
    assert by_key == [nobody, bob, alice]
    assert course.docker_ok("ps", "--filter", "label=owner=alice", "-q", "--no-trunc") == alice


# -- chapter 5: getting inside ---------------------------------------------------------------


def test_processes_are_seen_from_the_host(course: Engine) -> None:
    """`ps faux` on the host shows what runs in the container."""
    course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    assert "/bin/sh /entry" in course.machine.run("ps", "fauxww").stdout


def test_a_shell_in_a_running_container(course: Engine) -> None:
    """`docker exec` joins it; the program must be there, and the container must run."""
    course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    assert course.docker_ok("exec", "ticktock", "sh", "-c", "cat /proc/1/comm") == "entry"
    missing = course.docker("exec", "ticktock", "bash")
    assert missing.returncode in (126, 127)  # dockerd said 126 until its version 23
    assert 'exec: "bash": executable file not found in $PATH' in missing.stdout
    course.docker_ok("stop", "-t", "0", "ticktock")
    refused = course.docker("exec", "ticktock", "sh")
    assert refused.returncode == 1
    assert "is not running" in refused.stderr


def test_analysing_a_crashed_container(course: Engine, tmp_path: Path) -> None:
    """ps -l, diff, cp, commit, and a shell in the image of the crash."""
    crashed = course.docker("run", "crash")
    assert (crashed.returncode, crashed.stdout) == (1, "")
    assert "Exited (1)" in course.docker_ok("ps", "-l")
    container = course.docker_ok("ps", "-lq")
    changes = set(course.docker_ok("diff", container).splitlines())
    assert {"C /etc", "D /etc/motd", "A /var/log/nginx/error.log"} <= changes
    course.docker_ok("cp", f"{container}:/var/log/nginx/error.log", str(tmp_path))
    assert "No such file or directory" in (tmp_path / "error.log").read_text()
    course.docker_ok("start", container)
    course.docker_ok("wait", container)
    assert re.fullmatch(
        r"sha256:[0-9a-f]{64}", course.docker_ok("commit", container, "debugimage")
    )
    inside = course.docker_ok(
        "run", "--rm", "--entrypoint", "sh", "debugimage", "-c", "ls /var/log/nginx"
    )
    assert inside == "error.log"
    course.docker_ok("rm", container)
    course.docker_ok("rmi", "debugimage")


def test_a_complete_dump(course: Engine) -> None:
    """`docker export | tar tv` lists everything that is in a container."""
    container = course.docker_ok("create", "clock")
    dumped = course.root / "dump.tar"
    course.docker_ok("export", "-o", str(dumped), container)
    listing = course.machine.run("tar", "tvf", str(dumped)).stdout
    dumped.unlink()
    assert re.search(r"^-rwxr-xr-x \S+ .* entry$", listing, re.MULTILINE)
    assert re.search(r"^drwxr-xr-x \S+ .* bin/$", listing, re.MULTILINE)


# -- chapter 10: local development workflow --------------------------------------------------


def page(engine: Engine, container: str) -> str:
    """What the container serves on the host port that its 9292 got."""
    address = engine.docker_ok("port", container, "9292/tcp").splitlines()[0]
    port = address.rpartition(":")[2]
    fetched = engine.machine.run("busybox", "wget", "-q", "-O-", f"http://127.0.0.1:{port}/")
    return str(fetched.stdout)


def test_publishing_an_exposed_port(course: Engine) -> None:
    """`-P` gives each exposed port one of the host; `ps -l` says which."""
    container = course.docker_ok("run", "-dP", "namer")
    header, line = course.docker_ok("ps", "-l").splitlines()
    assert header.split() == [
        "CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES",
    ]  # fmt: skip
    assert re.search(r"0\.0\.0\.0:\d+->9292/tcp", line)
    wait_until("it serves", lambda: "royalblue" in page(course, container))


@pytest.mark.parametrize("flag", ["-v", "--mount"])
def test_editing_code_from_the_host(course: Engine, flag: str) -> None:
    """A bind mount shows changes at once, in both spellings; old containers keep their code."""
    code = course.root / "code"
    code.mkdir(exist_ok=True)
    (code / "index.html").write_text("color: royalblue")
    mount = f"{code}:/src" if flag == "-v" else f"type=bind,source={code},target=/src"
    old = course.docker_ok("run", "-dP", "namer")
    new = course.docker_ok("run", "-d", flag, mount, "-P", "namer")
    wait_until("it serves", lambda: "royalblue" in page(course, new))
    (code / "index.html").write_text("color: red")
    assert page(course, new) == "color: red"
    course.docker_ok("exec", new, "sh", "-c", "echo 'color: green' >/src/index.html")
    assert (code / "index.html").read_text() == "color: green\n"
    assert "royalblue" in page(course, old)


def test_mounts_that_are_missing(course: Engine) -> None:
    """`-v` makes a directory that is not there, `--mount` refuses it; `ro` can't be written."""
    missing = course.root / "made"
    course.docker_ok("run", "--rm", "-v", f"{missing}:/deep/er", "busybox", "true")
    assert missing.is_dir()
    missing.rmdir()
    refused = course.docker(
        "run", "--rm", "--mount", f"type=bind,source={missing},target=/src", "busybox", "true"
    )
    assert refused.returncode == 125
    assert f"bind source path does not exist: {missing}" in refused.stderr
    written = course.docker("run", "--rm", "-v", "/tmp:/x:ro", "busybox", "touch", "/x/y")
    assert (written.returncode, "Read-only file system" in written.stderr) == (1, True)


def test_stopping_and_removing(course: Engine) -> None:
    """`docker stop` and `docker rm` repeat what they were given."""
    container = course.docker_ok("run", "-d", "namer")
    assert course.docker_ok("exec", container, "sh", "-c", "pwd") == "/src"
    assert course.docker_ok("stop", "-t", "0", container[:12]) == container[:12]
    assert course.docker_ok("rm", container[:12]) == container[:12]
    assert course.docker_ok("ps", "-aq") == ""


# -- chapter 20: application configuration ---------------------------------------------------


def test_configuration_by_arguments(course: Engine) -> None:
    """Arguments behind the image are the entrypoint's."""
    container = course.docker_ok("run", "-d", "hamba", "80", "www1:80", "www2:80")
    shown = course.docker_ok("inspect", "-f", "{{.Path}} {{.Args}}", container)
    assert shown == "/entry [80 www1:80 www2:80]"
    told = lambda: course.docker("exec", container, "cat", "/config/list").stdout  # noqa: E731
    wait_until("it is configured", lambda: told() == "80 www1:80 www2:80\n")


def test_configuration_by_environment(course: Engine) -> None:
    """`-e` sets a variable that the program reads; an image's default gives way."""
    url = "http://es42:9201/"
    shown = course.docker_ok("run", "--rm", "-e", f"ELASTICSEARCH_URL={url}", "busybox", "env")
    assert f"ELASTICSEARCH_URL={url}" in shown.splitlines()


def test_configuration_in_a_volume(course: Engine) -> None:
    """A named volume keeps the configuration; another container may edit it."""
    edit = "echo level=debug >/etc/appconfig/app.conf"
    course.docker_ok("run", "--rm", "-v", "appconfig:/etc/appconfig", "busybox", "sh", "-c", edit)
    read = course.docker_ok(
        "run",
        "--rm",
        "-v",
        "appconfig:/etc/appconfig",
        "busybox",
        "cat",
        "/etc/appconfig/app.conf",
    )
    assert read == "level=debug"
    assert course.docker_ok("volume", "rm", "appconfig") == "appconfig"


def test_reconfiguring_through_a_shared_volume(course: Engine) -> None:
    """`--volumes-from` lets a second container change what the first one reads."""
    course.docker_ok("run", "-d", "--name", "loadbalancer", "hamba", "80", "goo.gl:80")
    course.docker_ok(
        "run", "--rm", "--volumes-from", "loadbalancer", "hamba", "reconfigure", "80",
        "google.com:80",
    )  # fmt: skip
    listed = course.docker_ok("exec", "loadbalancer", "cat", "/config/list")
    assert listed == "80 google.com:80"


def test_secrets_are_seen_by_whoever_may_ask(course: Engine) -> None:
    """Why a password does not belong in a variable: inspect shows it."""
    container = course.docker_ok("create", "-e", "PASSWORD=hunter2", "busybox")
    assert "PASSWORD=hunter2" in course.docker_ok("inspect", container)
