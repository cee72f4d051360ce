"""Starts this machine's own daemon when none answers."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from wherry.cli.failures import CommandFailed
from wherry.client.endpoint import Endpoint
from wherry.client.engine_client import Client
from wherry.client.errors import ClientError

PATIENCE_S = 15.0
_BETWEEN_ATTEMPTS_S = 0.05
LOG_PATH = "/var/log/wherryd.log"


def start_daemon(
    endpoint: Endpoint, *, command: Sequence[str] = (), log_path: str = LOG_PATH
) -> None:
    """Start wherryd detached from this terminal, and wait until it answers.

    Its output goes to a log file, because nobody holds its terminal any more. Another command
    than wherryd's own is for tests.

    Raises: CommandFailed when it ends, or doesn't answer in time.
    """
    command = command or _daemon_command()
    try:
        with open(log_path, "ab") as log:
            daemon = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
    except OSError as problem:
        raise CommandFailed(f"cannot start {command[0]}: {problem.strerror}") from problem
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if _answers(endpoint):
            return
        if daemon.poll() is not None:
            raise CommandFailed(
                f"wherryd ended at once with code {daemon.returncode}; {log_path} says why"
            )
        time.sleep(_BETWEEN_ATTEMPTS_S)
    raise CommandFailed(f"wherryd doesn't answer after {PATIENCE_S:.0f} s; see {log_path}")


def _daemon_command() -> list[str]:
    """wherryd beside the script that runs, or the module in this interpreter."""
    beside = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), "wherryd")
    if os.access(beside, os.X_OK):
        return [beside]
    return [sys.executable, "-m", "wherry.programs.wherryd"]


def _answers(endpoint: Endpoint) -> bool:
    client = Client(endpoint)
    try:
        client.ping()
    except (ClientError, OSError):
        return False
    finally:
        client.close()
    return True
