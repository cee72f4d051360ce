"""From create to remove, as the stock client and the API see it."""

import hashlib
import json
import time
from urllib.parse import quote

import pytest

from support.daemon import Engine
from support.waiting import wait_until


@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill $$", 143)]
)
def test_run_returns_the_exit_code(engine: Engine, command: str, code: int) -> None:
    """`docker run` ends with the code of the container; 128+n for a signal."""
    # A first process ignores signals that it has no handler for, even its own, except from
    # its parent namespace (pid_namespaces(7)); so the shell that dies is a child.
    shell = ("sh", "-c", f"sh -c '{command}'; exit $?")
    assert engine.docker("run", "--rm", "busybox", *shell).returncode == code


def test_run_passes_both_streams(engine: Engine) -> None:
    """Standard output and error arrive apart and whole."""
    ran = engine.docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (ran.stdout, ran.stderr, ran.returncode) == ("out\n", "err\n", 0)


def test_run_passes_stdin(engine: Engine) -> None:
    """`-i` hands the client's input over, and its end too."""
    text = "".join(f"line {n}\n" for n in range(20_000))
    ran = engine.docker("run", "--rm", "-i", "busybox", "md5sum", stdin=text)
    assert ran.stdout.split()[0] == hashlib.md5(text.encode()).hexdigest()


def test_states_from_create_to_remove(engine: Engine) -> None:
    """The state, its times and its codes are what happened."""
    container = engine.create("sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done")
    state = engine.inspect(container)["State"]
    assert (state["Status"], state["Running"], state["Pid"]) == ("created", False, 0)
    assert state["StartedAt"].startswith("0001-01-01T00:00:00")

    assert engine.api("POST", f"/containers/{container}/start").status == 204
    assert engine.api("POST", f"/containers/{container}/start").status == 304
    state = engine.inspect(container)["State"]
    assert (state["Status"], state["Running"]) == ("running", True)
    assert state["Pid"] > 0

    assert engine.api("DELETE", f"/containers/{container}").status == 409
    assert engine.api("POST", f"/containers/{container}/stop?t=10").status == 204
    assert engine.api("POST", f"/containers/{container}/stop").status == 304
    state = engine.inspect(container)["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 3, 0)
    assert state["StartedAt"] < state["FinishedAt"]

    assert engine.api("DELETE", f"/containers/{container}").status == 204
    assert engine.api("GET", f"/containers/{container}/json").status == 404


def test_stop_of_a_deaf_process(engine: Engine) -> None:
    """A first process that ignores SIGTERM is killed when the time is over: 137."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    begun = time.monotonic()
    engine.docker_ok("stop", "-t", "1", container)
    assert 0.9 < time.monotonic() - begun < 5
    assert engine.inspect(container)["State"]["ExitCode"] == 137


def test_restart_makes_a_new_process(engine: Engine) -> None:
    """Restart keeps the container's files and gives it a new first process."""
    container = engine.docker_ok("run", "-d", "busybox", "sh", "-c", "date >> /n; sleep 1000")
    before = engine.inspect(container)["State"]
    wait_until("the file is there", lambda: engine.docker("exec", container, "cat", "/n").stdout)
    engine.docker_ok("restart", "-t", "0", container)
    after = engine.inspect(container)["State"]
    assert after["Running"]
    assert after["Pid"] != before["Pid"]
    assert after["StartedAt"] > before["StartedAt"]
    lines = wait_until(
        "a second line",
        lambda: [x for x in [engine.docker_ok("exec", container, "cat", "/n")] if "\n" in x],
    )
    assert lines


def test_kill_with_a_signal_of_choice(engine: Engine) -> None:
    """`docker kill -s` delivers any signal, by name or number."""
    script = "trap 'echo got-usr1' USR1; echo ready; while :; do sleep 0.05; done"
    container = engine.docker_ok("run", "-d", "busybox", "sh", "-c", script)
    wait_until("ready", lambda: "ready" in engine.docker_ok("logs", container))
    for name in ("USR1", "SIGUSR1", "10"):
        engine.docker_ok("kill", "-s", name, container)
        wait_until("the trap ran", lambda: "got-usr1" in engine.docker_ok("logs", container))
    engine.docker_ok("kill", container)
    assert engine.inspect(container)["State"]["ExitCode"] == 137


@pytest.mark.slide("23.4")
def test_pause_stops_time(engine: Engine) -> None:
    """A paused container does nothing; unpaused it goes on."""
    script = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done"
    container = engine.docker_ok("run", "-d", "busybox", "sh", "-c", script)
    engine.docker_ok("pause", container)
    assert engine.inspect(container)["State"]["Status"] == "paused"
    assert engine.docker_ok("ps", "--format", "{{.Status}}").endswith("(Paused)")
    seen = engine.docker_ok("logs", container)
    refused = engine.docker("exec", container, "true")
    assert refused.returncode == 1
    assert "is paused, unpause the container before exec" in refused.stderr
    assert engine.docker_ok("logs", container) == seen
    engine.docker_ok("unpause", container)
    wait_until("it goes on", lambda: engine.docker_ok("logs", container) != seen)


def test_wait_returns_the_code(engine: Engine) -> None:
    """`wait` before, during and after the end gives the same code."""
    container = engine.create("sh", "-c", "read line; exit 9", OpenStdin=True)
    engine.api("POST", f"/containers/{container}/start")
    engine.docker("attach", container, stdin="go\n")
    assert engine.docker_ok("wait", container) == "9"
    assert engine.api("POST", f"/containers/{container}/wait").json["StatusCode"] == 9


def test_auto_remove(engine: Engine) -> None:
    """`--rm` leaves nothing, and `wait` for the removal ends with the code."""
    container = engine.docker_ok("run", "-d", "--rm", "busybox", "sh", "-c", "sleep 0.3; exit 4")
    answer = engine.api("POST", f"/containers/{container}/wait?condition=removed")
    assert answer.json["StatusCode"] == 4
    assert engine.docker_ok("ps", "-aq", "--no-trunc") == ""


def test_names(engine: Engine) -> None:
    """Names are unique, renamed at will, and given when none is wanted."""
    first = engine.docker_ok("create", "--name", "first", "busybox", "true")
    taken = engine.docker("create", "--name", "first", "busybox", "true")
    assert taken.returncode == 1
    assert (
        f'Conflict. The container name "/first" is already in use by container "{first}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    ) in taken.stderr
    engine.docker_ok("rename", "first", "renamed")
    assert engine.inspect("renamed")["Name"] == "/renamed"
    engine.docker_ok("create", "--name", "first", "busybox", "true")
    unnamed = engine.docker_ok("create", "busybox", "true")
    assert "_" in engine.inspect(unnamed)["Name"]


def test_references(engine: Engine) -> None:
    """A container answers to its id, to an unambiguous prefix and to its name."""
    container = engine.create("true", name="referee")
    for reference in (container, container[:12], container[:5], "referee"):
        assert engine.inspect(reference)["Id"] == container
    missing = engine.api("GET", "/containers/nobody/json")
    assert (missing.status, missing.message) == (404, "No such container: nobody")


def test_list_and_filters(engine: Engine) -> None:
    """`ps` shows running ones, `-a` all, and filters choose."""
    running = engine.docker_ok(
        "run", "-d", "--name", "runs", "-l", "a=1", "busybox", "sleep", "99"
    )
    created = engine.docker_ok("create", "--name", "waits", "-l", "a=2", "-l", "b", "busybox", "x")
    engine.docker_ok("run", "--name", "ended", "busybox", "true")

    def names(*flags: str) -> set[str]:
        return set(engine.docker_ok("ps", "--format", "{{.Names}}", *flags).split())

    assert names() == {"runs"}
    assert names("-a") == {"runs", "waits", "ended"}
    assert names("-a", "-f", "status=created") == {"waits"}
    assert names("-a", "-f", "status=exited", "-f", "status=running") == {"runs", "ended"}
    assert names("-a", "-f", "exited=0") == {"ended"}
    assert names("-a", "-f", "label=a") == {"runs", "waits"}
    assert names("-a", "-f", "label=a=2", "-f", "label=b") == {"waits"}
    assert names("-a", "-f", "name=^/wai") == {"waits"}
    assert names("-a", "-f", f"id={created[:8]}") == {"waits"}
    assert names("-a", "-f", "ancestor=busybox") == {"runs", "waits", "ended"}
    assert names("-n", "1") == {"ended"}
    assert names("-a", "-f", f"before={created}") == {"runs"}
    assert names("-a", "-f", f"since={running}") == {"waits", "ended"}
    refused = engine.docker("ps", "-f", "colour=red")
    assert refused.returncode == 1
    assert "invalid filter 'colour'" in refused.stderr.lower()


def test_events_tell_the_story(engine: Engine) -> None:
    """Each step of a container's life is one event, in order."""
    since = time.time()
    engine.docker("run", "--name", "story", "busybox", "sh", "-c", "exit 5")
    engine.docker_ok("rm", "story")
    target = f"/events?since={since:.6f}&until={time.time():.6f}&filters="
    events = engine.api("GET", target + quote(json.dumps({"type": ["container"]}))).lines
    actions = [event["Action"] for event in events]
    assert actions == ["create", "attach", "start", "die", "destroy"]
    died = events[3]
    assert died["Actor"]["Attributes"]["exitCode"] == "5"
    assert died["Actor"]["Attributes"]["name"] == "story"
    assert died["Actor"]["Attributes"]["image"] == "busybox"
    assert [event["timeNano"] for event in events] == sorted(e["timeNano"] for e in events)


def test_top_lists_host_processes(engine: Engine) -> None:
    """`top` names the container's processes with the columns of `ps -ef`."""
    container = engine.docker_ok("run", "-d", "busybox", "sh", "-c", "sleep 321 & sleep 123")
    wait_until("both are there", lambda: engine.docker_ok("top", container).count("sleep ") >= 2)
    titles = engine.docker_ok("top", container).splitlines()[0].split()
    assert titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]


def test_environment_and_hostname(engine: Engine) -> None:
    """The environment, the working directory and the host name are what was asked for."""
    flags = ("-e", "A=1", "-e", "B=x y", "-w", "/made/here", "-h", "box", "--domainname", "d.test")
    out = engine.docker_ok(
        "run", "--rm", *flags, "busybox", "sh", "-c", 'echo "$A|$B|$HOME|$PWD|$(hostname)|$PATH"'
    )
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert out == f"1|x y|/root|/made/here|box|{path}"


def test_users(engine: Engine) -> None:
    """`-u` by number and by name, with its groups."""
    out = engine.docker_ok("run", "--rm", "-u", "1000:1001", "busybox", "sh", "-c", "id -u; id -G")
    assert out.split() == ["1000", "1001"]
    out = engine.docker_ok("run", "--rm", "-u", "nobody", "busybox", "id", "-u")
    assert out == "65534"


def test_entrypoint_and_labels(engine: Engine) -> None:
    """`--entrypoint` replaces the image's, and inspect keeps what was asked."""
    flags = ("--name", "asked", "--entrypoint", "/bin/echo", "-l", "k=v", "--stop-signal", "INT")
    assert engine.docker_ok("run", *flags, "busybox", "one", "two") == "one two"
    found = engine.inspect("asked")
    assert found["Path"] == "/bin/echo"
    assert found["Args"] == ["one", "two"]
    assert found["Config"]["Labels"]["k"] == "v"
    assert found["Config"]["StopSignal"] == "INT"


def test_init_reaps(engine: Engine) -> None:
    """With `--init` the first process is a small init that hands signals on and reaps."""
    container = engine.docker_ok("run", "-d", "--init", "busybox", "sleep", "1000")
    first = engine.docker_ok("exec", container, "cat", "/proc/1/cmdline")
    assert "docker-init" in first or "tini" in first
    begun = time.monotonic()
    engine.docker_ok("stop", "-t", "10", container)
    assert time.monotonic() - begun < 5
    assert engine.inspect(container)["State"]["ExitCode"] == 143


def test_restart_of_an_exited_container(engine: Engine) -> None:
    """An exited container starts again with the files that it left."""
    script = "echo x >> /count; wc -l < /count"
    assert engine.docker_ok("run", "--name", "again", "busybox", "sh", "-c", script) == "1"
    assert engine.docker_ok("start", "-a", "again") == "2"
    assert engine.docker_ok("start", "-a", "again") == "3"
    assert engine.docker_ok("logs", "again").split() == ["1", "2", "3"]
