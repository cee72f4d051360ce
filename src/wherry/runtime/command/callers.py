"""What the caller of a command gives to a program, and is told of it: descriptors, its pid."""

import os

from wherry.kit.numbers import parse_unsigned
from wherry.kit.values import replace
from wherry.oci.runtime_spec import Process
from wherry.runtime.command.arguments import Arguments
from wherry.runtime.command.records import CommandFailed


def preserved_descriptors(arguments: Arguments) -> int:
    """How many descriptors after 2 go to the program: `--preserve-fds` and the sockets that
    systemd passes (sd_listen_fds(3)). Raises: CommandFailed for one that is not open."""
    count = arguments.number("preserve-fds") + _listening()
    for number in range(3, 3 + count):
        try:
            os.fstat(number)
        except OSError:
            raise CommandFailed(f"unable to stat preserved fd {number}") from None
        os.set_inheritable(number, True)
    return count


def told_of_sockets(process: Process) -> Process:
    """The process with the variables by which it finds the sockets that systemd passes."""
    listening = _listening()
    if not listening:
        return process
    return replace(process, env=(*process.env, f"LISTEN_FDS={listening}", "LISTEN_PID=1"))


def _listening() -> int:
    text = os.environ.get("LISTEN_FDS") or "0"
    try:
        return parse_unsigned(text, bits=31)
    except ValueError as error:
        raise CommandFailed(f"LISTEN_FDS: {error}") from None


def write_pid_file(arguments: Arguments, pid: int) -> None:
    """Write `--pid-file`, if there is to be one. Raises: OSError."""
    path = arguments.text("pid-file")
    if not path:
        return
    # Hidden and renamed: who waits for the file must never read half of a number.
    directory, name = os.path.split(os.path.abspath(path))
    staged = f"{directory}/.{name}"
    with open(staged, "w", encoding="ascii") as file:
        file.write(str(pid))
    os.rename(staged, path)
