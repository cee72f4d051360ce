"""Chapter 10 of the course: code on the host, its program in a container."""

import re
from pathlib import Path

import pytest

from support.builds import build, write_tree
from support.daemon import Engine
from support.terminal import Terminal
from support.waiting import wait_until

CODE = {
    "Dockerfile": 'FROM busybox\nCOPY . /src\nWORKDIR /src\nCMD ["httpd", "-f", "-p", "9292"]\n'
    "EXPOSE 9292\n",
    "index.html": "color: royalblue\n",
}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """The checkout of the application."""
    write_tree(tmp_path, CODE)
    return tmp_path


def page(engine: Engine, container: str) -> str:
    """What the container serves on the host port that its 9292 got."""
    address = engine.docker_ok("port", container, "9292/tcp").splitlines()[0]
    port = address.rpartition(":")[2]
    fetched = engine.machine.run("busybox", "wget", "-q", "-O-", f"http://127.0.0.1:{port}/")
    return str(fetched.stdout)


@pytest.mark.slide("10.6", "10.7", "10.8", "10.13")
def test_building_and_running(course: Engine, code: Path) -> None:
    """`docker build`, `docker run -dP`, and `docker ps -l` says which port it got."""
    built = build(course, code, "mine")
    assert "Step 5/5 : EXPOSE 9292" in built
    assert "Successfully tagged mine:latest" in built
    container = course.docker_ok("run", "-dP", "mine")
    header, line = course.docker_ok("ps", "-l").splitlines()
    assert header.split() == [
        "CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES",
    ]  # fmt: skip
    assert re.search(r"0\.0\.0\.0:\d+->9292/tcp", line)
    wait_until("it serves", lambda: "royalblue" in page(course, container))
    course.remove_all_containers()
    course.docker_ok("rmi", "mine")


@pytest.mark.slide("10.9", "10.18", "10.19")
def test_a_new_image_beside_the_old(course: Engine, code: Path) -> None:
    """Edit, rebuild, run again: what ran before runs on as it was, to go back to."""
    old = course.docker_ok("run", "-dP", "namer")
    (code / "index.html").write_text("color: red\n")
    build(course, code, "namer:red")
    new = course.docker_ok("run", "-dP", "namer:red")
    wait_until("both serve", lambda: page(course, new) and page(course, old))
    assert "red" in page(course, new)
    assert "royalblue" in page(course, old)
    course.docker_ok("exec", old, "rm", "-rf", "/src/index.html")
    assert "royalblue" not in page(course, old)
    fixed = course.docker_ok("run", "-dP", "namer")
    wait_until("it serves", lambda: "royalblue" in page(course, fixed))
    course.remove_all_containers()
    course.docker_ok("rmi", "namer:red")


@pytest.mark.slide("10.10", "10.12", "10.14", "10.15", "10.16")
@pytest.mark.parametrize("flag", ["-v", "--mount"])
def test_editing_code_from_the_host(course: Engine, code: Path, flag: str) -> None:
    """A bind mount shows changes at once, both ways and in both spellings."""
    mount = f"{code}:/src" if flag == "-v" else f"type=bind,source={code},target=/src"
    container = course.docker_ok("run", "-d", flag, mount, "-P", "namer")
    wait_until("it serves", lambda: "royalblue" in page(course, container))
    (code / "index.html").write_text("color: red\n")
    assert page(course, container) == "color: red\n"
    course.docker_ok("exec", container, "sh", "-c", "echo 'color: green' >/src/index.html")
    assert (code / "index.html").read_text() == "color: green\n"


@pytest.mark.slide("10.11", "10.12")
def test_forms_of_a_mount(course: Engine, tmp_path: Path) -> None:
    """`-v` makes both ends, `--mount` refuses what is not there; `rw` unless it says `ro`."""
    missing = tmp_path / "made"
    refused = course.docker(
        "run", "--rm", "--mount", f"type=bind,source={missing},target=/src", "busybox", "true"
    )
    assert refused.returncode == 125
    assert f"bind source path does not exist: {missing}" in refused.stderr
    course.docker_ok("run", "--rm", "-v", f"{missing}:/deep/er", "busybox", "touch", "/deep/er/x")
    assert (missing / "x").exists()
    for mode, code in (("ro", 1), ("rw", 0)):
        written = course.docker("run", "--rm", "-v", f"{missing}:/x:{mode}", "busybox",
                                "touch", "/x/y")  # fmt: skip
        assert written.returncode == code
        assert ("Read-only file system" in written.stderr) == (mode == "ro")


@pytest.mark.slide("10.21", "10.22")
def test_debugging_inside_the_container(course: Engine) -> None:
    """`docker exec -it` opens a prompt where the application is."""
    container = course.docker_ok("run", "-d", "namer")
    with Terminal([*course.cli, "exec", "-it", container, "sh"], course.environment) as terminal:
        terminal.expect("/src # ")
        terminal.type("ls\n")
        terminal.expect("index.html")
        terminal.type("exit\n")
        assert terminal.wait() == 0


@pytest.mark.slide("10.23")
def test_stopping_and_removing(course: Engine) -> None:
    """`docker stop` and `docker rm` repeat what they were given."""
    container = course.docker_ok("run", "-d", "namer")
    assert course.docker_ok("stop", "-t", "0", container[:12]) == container[:12]
    assert course.docker_ok("rm", container[:12]) == container[:12]
    assert course.docker_ok("ps", "-aq") == ""
