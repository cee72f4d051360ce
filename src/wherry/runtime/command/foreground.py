"""A command that stays while a program of the container runs, and ends as it ends."""

import os
import signal

from wherry.runtime import signals
from wherry.runtime.command.consoles import Relay

_SIGNALS_KEPT = frozenset({signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP, signal.SIGURG})


def hold_signals() -> None:
    """Keep what is sent to us until there is a program to pass it on to."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _passed_on())


def _passed_on() -> set[signal.Signals]:
    known = (each for each in signal.valid_signals() if isinstance(each, signal.Signals))
    return {each for each in known if each not in _SIGNALS_KEPT and each < signal.SIGRTMIN}


def wait_in_foreground(pid: int, pidfd: int, console: int | None) -> int:
    """Pass signals on and the terminal's bytes to and fro, until the program ends.

    Returns its exit status, or 128 and the signal that ended it.
    """
    for number in _passed_on() - {signal.SIGWINCH}:
        signal.signal(number, lambda got, _frame: _pass_on(pidfd, got))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _passed_on())
    if console is not None:
        with Relay(console) as relay:
            relay.run(pidfd)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


def _pass_on(pidfd: int, number: int) -> None:
    signals.kill(pidfd, number)
