"""Chapter 5 of the course: getting inside a container."""

import re
from pathlib import Path

import pytest

from support.daemon import Engine
from support.terminal import Terminal
from support.waiting import wait_until


@pytest.mark.slide("5.4")
def test_without_a_shell(course: Engine) -> None:
    """Logs come out by themselves, metrics are seen from outside, files lie in a shared volume."""
    course.docker_ok("run", "-d", "--name", "ticktock", "-v", "shared:/shared", "clock")
    wait_until("its output is kept", lambda: course.docker_ok("logs", "ticktock") != "")
    shown = course.docker_ok("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}")
    assert re.fullmatch(r"ticktock [12]", shown)
    course.docker_ok("run", "--rm", "-v", "shared:/x", "busybox", "sh", "-c", "echo new >/x/conf")
    assert course.docker_ok("exec", "ticktock", "cat", "/shared/conf") == "new"


@pytest.mark.slide("5.5")
def test_processes_are_seen_from_the_host(course: Engine) -> None:
    """`ps faux` on the host shows what runs in the container."""
    course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    assert "sh -c while date; do sleep 1; done" in course.machine.run("ps", "fauxww").stdout


@pytest.mark.slide("5.7")
def test_a_shell_in_a_running_container(course: Engine) -> None:
    """`docker exec -ti` starts a new process inside; `nsenter` does it by hand."""
    course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    command = [*course.cli, "exec", "-ti", "ticktock", "sh"]
    with Terminal(command, course.environment) as terminal:
        terminal.expect("/ # ")
        terminal.type("cat /proc/1/comm; echo $((6 * 7))\n")
        terminal.expect("42")
        terminal.type("exit\n")
        assert terminal.wait() == 0
    pid = str(course.inspect("ticktock")["State"]["Pid"])
    entered = course.machine.run("nsenter", "-t", pid, "-m", "-p", "cat", "/proc/1/cmdline")
    assert entered.stdout.startswith("sh\0-c\0while date")


@pytest.mark.slide("5.8")
def test_caveats(course: Engine) -> None:
    """The tool must exist inside, one namespace can be entered alone, the container must run."""
    course.docker_ok("run", "-d", "--name", "ticktock", "clock")
    missing = course.docker("exec", "ticktock", "bash")
    assert missing.returncode in (126, 127)  # dockerd said 126 until its version 23
    assert 'exec: "bash": executable file not found in $PATH' in missing.stdout
    pid = str(course.inspect("ticktock")["State"]["Pid"])
    of_the_host = course.machine.run("nsenter", "-t", pid, "--net", "ip", "-brief", "addr")
    assert course.inspect("ticktock")["NetworkSettings"]["IPAddress"] in of_the_host.stdout
    course.docker_ok("stop", "-t", "0", "ticktock")
    refused = course.docker("exec", "ticktock", "sh")
    assert refused.returncode == 1
    assert "is not running" in refused.stderr


@pytest.mark.slide("5.10", "5.11", "5.12", "5.13")
def test_analysing_a_crashed_container(course: Engine, tmp_path: Path) -> None:
    """ps -l, diff, cp, start, commit, and a shell in the image of the crash."""
    crashed = course.docker("run", "crashtest")
    assert (crashed.returncode, crashed.stdout) == (1, "")
    assert "Exited (1)" in course.docker_ok("ps", "-l")
    container = course.docker_ok("ps", "-lq")
    changes = set(course.docker_ok("diff", container).splitlines())
    assert {"C /etc", "D /etc/motd", "A /var/log/nginx/error.log"} <= changes
    course.docker_ok("cp", f"{container}:/var/log/nginx/error.log", str(tmp_path))
    assert "No such file or directory" in (tmp_path / "error.log").read_text()
    course.docker_ok("start", container)
    assert course.docker_ok("wait", container) == "1"
    debugged = course.docker_ok("commit", container, "debugimage")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", debugged)
    command = [*course.cli, "run", "-ti", "--entrypoint", "sh", "debugimage"]
    with Terminal(command, course.environment) as terminal:
        terminal.expect("/ # ")
        terminal.type("ls /var/log/nginx\n")
        terminal.expect("error.log")
        terminal.type("exit\n")
        assert terminal.wait() == 0
    course.remove_all_containers()
    course.docker_ok("rmi", "debugimage")


@pytest.mark.slide("5.14")
def test_a_complete_dump(course: Engine) -> None:
    """`docker export | tar tv` lists everything that is in a container."""
    container = course.docker_ok("create", "crashtest")
    dumped = course.root / "dump.tar"
    course.docker_ok("export", "-o", str(dumped), container)
    listing = course.machine.run("tar", "tvf", str(dumped)).stdout
    dumped.unlink()
    assert re.search(r"^-rwxr-xr-x \S+ .* serve$", listing, re.MULTILINE)
    assert re.search(r"^drwxr-xr-x \S+ .* bin/$", listing, re.MULTILINE)
