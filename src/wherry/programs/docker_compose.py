"""`docker-compose`: `wherry compose` by the name that others look for it by, in both of its roles.

Alone, `docker-compose up` is `wherry compose up`. As a plugin of Docker's command line it lies in
a directory `cli-plugins`, is asked who it is, and is then run with the whole line:

    docker                                       docker-compose
    docker-cli-plugin-metadata   ───────────>    says its version, as JSON
    [GLOBAL FLAGS] compose up    ───────────>    runs it
    closes DOCKER_CLI_PLUGIN_SOCKET ────────>    takes it for SIGINT (where there is no terminal)
"""

import os
import signal
import socket
import sys
import threading
from contextlib import suppress

_METADATA = "docker-cli-plugin-metadata"
_ORIGINAL = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND"
_SOCKET = "DOCKER_CLI_PLUGIN_SOCKET"


def main() -> None:
    """Answer, or run the command line and exit with its code."""
    words = sys.argv[1:]
    if words[:1] == [_METADATA]:
        print(_metadata())
        sys.exit(0)
    from wherry.cli.entry import main as run_command_line

    if _ORIGINAL in os.environ:
        _end_with_caller()
        sys.exit(run_command_line(words))
    sys.exit(run_command_line(["compose", *words]))


def _metadata() -> str:
    import json

    from wherry.compose.labels import COMPOSE_VERSION

    return json.dumps(
        {
            "SchemaVersion": "0.1.0",
            "Vendor": "Wherry",
            "Version": f"v{COMPOSE_VERSION}",
            "ShortDescription": "Wherry's Compose",
        }
    )


def _end_with_caller() -> None:
    """Interrupt ourselves when the caller closes the socket that it gave us."""
    path = os.environ.get(_SOCKET, "")
    if not path:
        return
    channel = socket.socket(socket.AF_UNIX)
    try:
        # An abstract name is written with an at sign.
        channel.connect("\0" + path[1:] if path.startswith("@") else path)
    except OSError:
        return

    def wait() -> None:
        with suppress(OSError):
            while channel.recv(4096):
                pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
