"""`wherry-runtime`: runc's words, exit codes and files, with real containers."""

import array
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bundles import Bundle
from support.waiting import wait_until

pytestmark = pytest.mark.kernel


@pytest.fixture
def bundle(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bundle]:
    """A bundle whose container is gone afterwards, with all that was its own."""
    bundle = Bundle(tmp_path, f"command-{os.getpid()}-{abs(hash(request.node.name)) % 10**8}")
    yield bundle
    bundle.does("delete", "--force", bundle.name)
    assert bundle.left() == []


def test_run_in_the_foreground(bundle: Bundle) -> None:
    """The exit status and the output are the program's, and nothing is left."""
    bundle.wants("sh", "-c", "echo out; echo err >&2; exit 7")
    done = bundle.does("run", bundle.name, fails=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert bundle.left() == []


def test_a_life_in_steps(bundle: Bundle) -> None:
    """create parks, start lets go, pause freezes, kill ends, delete removes."""
    pid_file = bundle.directory / "pid"
    bundle.spec["root"]["readonly"] = False
    bundle.wants("sh", "-c", "echo > /started; exec sleep 1000")
    bundle.makes("create", "--pid-file", str(pid_file), bundle.name)
    state = bundle.state()
    assert (state["status"], state["pid"]) == ("created", int(pid_file.read_text()))
    assert not (bundle.directory / "bundle/rootfs/started").exists()
    bundle.does("start", bundle.name)
    assert bundle.state()["status"] == "running"
    wait_until("the program has run", (bundle.directory / "bundle/rootfs/started").exists)
    again = bundle.does("start", bundle.name, fails=True)
    assert "cannot start an already running container" in again.stderr
    bundle.does("pause", bundle.name)
    assert bundle.state()["status"] == "paused"
    refused = bundle.does("exec", bundle.name, "true", fails=True)
    assert refused.returncode == 255
    bundle.does("resume", bundle.name)
    assert "is not stopped: running" in bundle.does("delete", bundle.name, fails=True).stderr
    bundle.does("kill", bundle.name, "KILL")
    wait_until("it has ended", lambda: bundle.state()["status"] == "stopped")
    assert bundle.state()["pid"] == 0
    assert "container not running" in bundle.does("kill", bundle.name, fails=True).stderr
    bundle.does("delete", bundle.name)
    assert "does not exist" in bundle.does("state", bundle.name, fails=True).stderr


def test_exec(bundle: Bundle) -> None:
    """Directory, variables, user, groups, capabilities and exit status are as asked for."""
    bundle.wants("sleep", "1000")
    bundle.makes("run", "--detach", bundle.name)
    done = bundle.does(
        "exec", "--cwd", "/tmp", "--env", "A=1", "-e", "B=2", "--user", "7:8",
        "--additional-gids", "9", "--cap", "CAP_CHOWN", bundle.name,
        "sh", "-c", "pwd; echo $A$B; id -u; id -g; id -G; grep CapBnd /proc/self/status; exit 3",
        fails=True,
    )  # fmt: skip
    assert done.returncode == 3
    pwd, variables, uid, gid, groups, bounding = done.stdout.splitlines()
    assert (pwd, variables, uid, gid) == ("/tmp", "12", "7", "8")
    assert "9" in groups.split()
    assert int(bounding.split()[1], 16) & 1
    process = bundle.directory / "process.json"
    process.write_text(json.dumps(bundle.spec["process"] | {"args": ["echo", "from", "file"]}))
    assert bundle.does("exec", "-p", str(process), bundle.name).stdout == "from file\n"
    missing = bundle.does("exec", bundle.name, "no-such-program", fails=True)
    assert missing.returncode == 255
    assert "executable file not found in $PATH" in missing.stderr
    pid_file = bundle.directory / "exec-pid"
    bundle.makes("exec", "-d", "--pid-file", str(pid_file), bundle.name, "sleep", "999")
    pids = json.loads(bundle.does("ps", "-f", "json", bundle.name).stdout)
    assert int(pid_file.read_text()) in pids
    assert len(bundle.does("ps", bundle.name).stdout.splitlines()) == 1 + len(pids)


def test_a_terminal_goes_through_the_console_socket(bundle: Bundle) -> None:
    """The master comes with SCM_RIGHTS, and what the program writes can be read from it."""
    bundle.spec["process"]["terminal"] = True
    bundle.wants("sh", "-c", "tty; stty size")
    refused = bundle.does("create", bundle.name, fails=True)
    assert "cannot allocate tty if runc will detach without setting console socket" in (
        refused.stderr
    )
    path = str(bundle.directory / "console.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(1)
        bundle.makes("create", "--console-socket", path, bundle.name)
        connection, _ = listener.accept()
        with connection:
            _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
    (master,) = array.array("i", ancillary[0][2])
    bundle.does("start", bundle.name)
    shown = b""
    try:
        while chunk := os.read(master, 4096):
            shown += chunk
    except OSError:
        pass
    os.close(master)
    assert b"/dev/pts/0" in shown


def test_descriptors_are_preserved(bundle: Bundle) -> None:
    """Those that were asked for arrive, and no other does."""
    written = bundle.directory / "through"
    bundle.wants("sh", "-c", "echo through >&3; ls /proc/self/fd | wc -l")
    command = bundle.command("run", "--preserve-fds", "1", bundle.name)
    done = subprocess.run(
        ["sh", "-c", f'"$@" 3> {written}', "sh", *command],
        cwd=bundle.directory / "bundle", stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    assert written.read_text() == "through\n"
    assert done.stdout.strip() == "5"  # 0, 1, 2, 3 and the directory
    missing = bundle.does("run", "--preserve-fds", "40", bundle.name, fails=True)
    assert "unable to stat preserved fd" in missing.stderr


def test_signals_are_passed_on(bundle: Bundle) -> None:
    """In the foreground a signal reaches the program, and its end is told as shells do."""
    bundle.wants("sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done")
    with subprocess.Popen(
        bundle.command("run", bundle.name),
        cwd=bundle.directory / "bundle", stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 9


def test_limits_are_changed(bundle: Bundle) -> None:
    """By flags and by a document, and `events` tells of them."""
    bundle.wants("sleep", "1000")
    bundle.makes("run", "-d", bundle.name)
    bundle.does("update", "--pids-limit", "20", "--memory", "64m", bundle.name)
    event = json.loads(bundle.does("events", "--stats", bundle.name).stdout)
    assert event["data"]["pids"]["limit"] == 20
    assert event["data"]["memory"]["usage"]["limit"] == 64 << 20
    bundle.does("update", "-r", "-", bundle.name, stdin=None, input='{"pids": {"limit": 30}}')
    event = json.loads(bundle.does("events", "--stats", bundle.name).stdout)
    assert event["data"]["pids"]["limit"] == 30
    wrong = bundle.does(
        "update", "-r", "-", bundle.name, stdin=None, input='{"pids": {"limit": "x"}}', fails=True
    )
    assert "pids.limit: expected a whole number, not 'x'" in wrong.stderr


def test_device_rules_are_changed(bundle: Bundle) -> None:
    """`devices` of an update replace the container's own; limits below what is in use are
    refused when checkBeforeUpdate asks for it."""
    shown = {"destination": "/dev/tun", "source": "/dev/net/tun", "options": ["bind"]}
    bundle.spec["mounts"].append(shown)
    bundle.wants("sleep", "1000")
    bundle.makes("run", "-d", bundle.name)
    opens = ("exec", bundle.name, "sh", "-c", ": < /dev/tun")
    assert "permitted" in bundle.does(*opens, fails=True).stderr

    def changed(rules: list[dict[str, object]]) -> None:
        text = json.dumps({"devices": rules})
        bundle.does("update", "-r", "-", bundle.name, stdin=None, input=text)

    changed([{"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rwm"}])
    bundle.does(*opens)
    changed([{"allow": False, "access": "rwm"}])
    assert bundle.does(*opens, fails=True).returncode != 0
    refused = bundle.does(
        "update", "-r", "-", bundle.name, stdin=None, fails=True,
        input='{"memory": {"limit": 4096, "checkBeforeUpdate": true}}',
    )  # fmt: skip
    assert "memory.limit: 4096 is less than the" in refused.stderr


def test_a_poststart_hook_that_fails(bundle: Bundle) -> None:
    """`start` says why and the container is stopped; `run` leaves nothing."""
    bundle.spec["hooks"] = {"poststart": [{"path": "/bin/false"}]}
    bundle.wants("sleep", "1000")
    bundle.makes("create", bundle.name)
    refused = bundle.does("start", bundle.name, fails=True)
    assert "poststart hook /bin/false" in refused.stderr
    assert bundle.state()["status"] == "stopped"
    bundle.does("delete", bundle.name)
    assert "poststart hook" in bundle.does("run", bundle.name, fails=True).stderr
    assert bundle.left() == []


def test_stdio_is_the_users(bundle: Bundle) -> None:
    """A program of another user opens its pipes by name."""
    bundle.spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    bundle.wants("sh", "-c", "echo out > /proc/self/fd/1; echo err > /proc/self/fd/2")
    done = bundle.does("run", bundle.name)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_list_and_log(bundle: Bundle) -> None:
    """Containers are listed as runc lists them; errors go to the log in its form."""
    bundle.wants("sleep", "1000")
    bundle.makes("run", "-d", bundle.name)
    assert bundle.does("list", "-q").stdout.split() == [bundle.name]
    (told,) = json.loads(bundle.does("list", "-f", "json").stdout)
    assert (told["id"], told["status"], told["owner"]) == (bundle.name, "running", "")
    assert bundle.does("list").stdout.split()[:6] == [
        "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER",
    ]  # fmt: skip
    log = bundle.directory / "log.json"
    bundle.does("--log", str(log), "--log-format", "json", "run", bundle.name, fails=True)
    line = json.loads(log.read_text())
    assert line["level"] == "error"
    assert "container with given ID already exists" in line["msg"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--systemd-cgroup", "list"], "--systemd-cgroup is not supported"),
        (["--rootless=true", "list"], "--rootless=true is not supported"),
        (["--log-format", "x", "list"], "invalid log-format: x"),
        (["state", "../x"], "invalid container ID format"),
        (["state"], "needs exactly one container id"),
        (["dance"], "No help topic for 'dance'"),
        (["run", "--colour", "x"], "flag provided but not defined: -colour"),
        (["kill", "nobody", "SIGNOPE"], "unknown signal 'SIGNOPE'"),
        (["run", "--bundle", "/nowhere", "x"], "config.json not found"),
    ],
)
def test_what_is_refused(bundle: Bundle, words: list[str], sentence: str) -> None:
    """One sentence, exit code 1, and nothing left behind."""
    done = bundle.does(*words, fails=True)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_a_bad_configuration_is_named(bundle: Bundle) -> None:
    """A member of the wrong type is told by its place, and the id is free again."""
    bundle.wants("true")
    bundle.spec["linux"]["namespaces"] = [{"type": 3}]
    bundle.wants("true")
    done = bundle.does("run", bundle.name, fails=True)
    assert "linux.namespaces[0].type: expected a string, not 3" in done.stderr
    assert bundle.left() == []


def test_features_and_spec(bundle: Bundle) -> None:
    """The documents say what is true here; the example is not written twice."""
    told = json.loads(bundle.does("features").stdout)
    assert "createContainer" in told["hooks"]
    assert "SCMP_ACT_NOTIFY" in told["linux"]["seccomp"]["actions"]
    again = bundle.does("spec", fails=True)
    assert "file config.json exists" in again.stderr


def test_the_root_is_moved_where_it_can_not_be_pivoted(bundle: Bundle) -> None:
    """`--no-pivot`: the container sees its own root all the same."""
    bundle.wants("sh", "-c", "ls /; ls /..")
    done = bundle.does("run", "--no-pivot", bundle.name)
    assert "busybox" not in done.stdout
    assert done.stdout.count("proc") == 2
    assert "home" not in done.stdout


@pytest.mark.parametrize("verb", [["create"], ["run", "--detach"]], ids=["create", "run"])
def test_a_pid_file_that_can_not_be_written(bundle: Bundle, verb: list[str]) -> None:
    """The container is not made, and nothing of it is left."""
    bundle.wants("sleep", "1000")
    pid_file = str(bundle.directory / "nowhere/pid")
    done = bundle.does(*verb, "--pid-file", pid_file, bundle.name, fails=True)
    assert "no such file or directory" in done.stderr
    assert bundle.left() == []
    assert "does not exist" in bundle.does("state", bundle.name, fails=True).stderr


def test_an_exec_whose_pid_can_not_be_told(bundle: Bundle) -> None:
    """Nobody would know of the process, so it is ended."""
    bundle.wants("sleep", "1000")
    bundle.makes("run", "--detach", bundle.name)
    pid_file = str(bundle.directory / "nowhere/pid")
    words = ("exec", "--detach", "--pid-file", pid_file, bundle.name, "sleep", "999")
    assert "no such file or directory" in bundle.does(*words, fails=True).stderr

    def processes() -> list[int]:
        listed: list[int] = json.loads(bundle.does("ps", "-f", "json", bundle.name).stdout)
        return listed

    wait_until("the other process has gone", lambda: len(processes()) == 1)


def test_sockets_of_systemd_are_counted(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no number is refused by its name."""
    bundle.wants("true")
    monkeypatch.setenv("LISTEN_FDS", "two")
    done = bundle.does("run", bundle.name, fails=True)
    assert "LISTEN_FDS: not an unsigned number: 'two'" in done.stderr
    assert bundle.left() == []
