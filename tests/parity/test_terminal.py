"""A terminal behaves as a terminal: size, signals, detaching and coming back."""

from collections.abc import Iterator

import pytest

from support.daemon import Engine
from support.terminal import Terminal
from support.waiting import wait_until


@pytest.fixture
def shell(engine: Engine) -> Iterator[Terminal]:
    """`docker run -it` of a shell, at its prompt."""
    command = ["docker", "run", "-it", "--name", "sh", "busybox", "sh"]
    with Terminal(command, engine.environment) as terminal:
        terminal.expect("/ # ")
        yield terminal


def test_the_size_follows(shell: Terminal) -> None:
    """The container's terminal has the client's size, also after a change."""
    wait_until_size(shell, "24 80")
    shell.resize(50, 132)
    wait_until_size(shell, "50 132")


def test_interrupt_reaches_the_foreground(shell: Terminal) -> None:
    """Ctrl-C ends the program in the foreground, not the shell."""
    shell.type("sh -c \"echo u''p; exec sleep 1000\"\n")
    shell.expect("\r\nup\r\n")
    shell.type("\x03")
    shell.expect("/ # ")
    shell.type("echo code=$?\n")
    shell.expect("code=130")


def test_exit_code_comes_back(shell: Terminal) -> None:
    """`exit 5` in the shell is the client's exit code."""
    shell.type("exit 5\n")
    assert shell.wait() == 5


def test_end_of_input_ends_the_shell(shell: Terminal) -> None:
    """Ctrl-D on an empty line is the end."""
    shell.type("\x04")
    assert shell.wait() == 0


def test_detach_and_attach(shell: Terminal, engine: Engine) -> None:
    """Ctrl-P Ctrl-Q leaves the container running; attach comes back to the same shell."""
    shell.type("word=kept\n")
    shell.expect("/ # ")
    shell.type("\x10\x11")
    assert shell.wait() == 0
    assert engine.inspect("sh")["State"]["Running"]
    with Terminal(["docker", "attach", "sh"], engine.environment) as again:
        again.wait_until_raw()
        again.type("echo $word\n")
        again.expect("kept\r\n")
        again.type("exit 0\n")
        assert again.wait() == 0


def test_detach_keys_of_choice(engine: Engine) -> None:
    """`--detach-keys` replaces the sequence."""
    command = ["docker", "run", "-it", "--name", "own", "--detach-keys", "ctrl-x,y", "busybox"]
    with Terminal([*command, "sh"], engine.environment) as terminal:
        terminal.expect("/ # ")
        terminal.type("\x18y")
        terminal.wait()
    assert engine.inspect("own")["State"]["Running"]


def test_exec_has_a_terminal_too(engine: Engine) -> None:
    """`exec -it` has a size and a controlling terminal of its own."""
    engine.docker_ok("run", "-d", "--name", "host", "busybox", "sleep", "1000")
    command = ["docker", "exec", "-it", "host", "sh"]
    with Terminal(command, engine.environment, rows=33, columns=99) as terminal:
        terminal.expect("/ # ")
        wait_until_size(terminal, "33 99")
        terminal.resize(20, 60)
        wait_until_size(terminal, "20 60")
        terminal.type("tty\n")
        terminal.expect("/dev/pts/[0-9]+")
        terminal.type("exit 6\n")
        assert terminal.wait() == 6


def test_the_console_is_a_terminal_device(engine: Engine) -> None:
    """With `-t` there is a /dev/console, and it is of the container's own devpts."""
    out = engine.docker_ok("run", "-t", "--rm", "busybox", "stat", "-c", "%F %t", "/dev/console")
    assert out.strip() == "character special file 88"
    none = engine.docker("run", "--rm", "busybox", "stat", "/dev/console")
    assert none.returncode == 1


def test_a_terminal_is_no_pipe(engine: Engine) -> None:
    """The stock client refuses `-t` for an input that is no terminal."""
    refused = engine.docker("run", "-it", "--rm", "busybox", "sh", stdin="exit\n")
    assert refused.returncode == 1
    assert "the input device is not a TTY" in refused.stderr


def test_signals_are_passed_on(engine: Engine) -> None:
    """Without a terminal the client hands SIGTERM over to the container."""
    script = "trap 'echo bye; exit 12' TERM; echo ready; while :; do sleep 0.05; done"
    command = ["docker", "run", "--rm", "--name", "sig", "busybox", "sh", "-c", script]
    with Terminal(command, engine.environment) as terminal:
        terminal.expect("ready")
        engine.docker_ok("kill", "-s", "TERM", "sig")
        terminal.expect("bye")
        assert terminal.wait() == 12


def wait_until_size(terminal: Terminal, size: str) -> None:
    """Ask `stty` until the size has arrived: a resize is a request of its own."""

    def has_arrived() -> bool:
        terminal.type("stty size\n")
        return terminal.expect(r"\r\n(\d+ \d+)\r\n").group(1) == size

    wait_until(f"the terminal is {size}", has_arrived)
