"""What every command needs: the engine, the streams, and the words for failures."""

import os
import sys
from typing import TextIO

from wherry.cli.failures import CommandFailed
from wherry.client.documents import text
from wherry.client.endpoint import Endpoint, default_endpoint, parse_endpoint
from wherry.client.engine_client import Client
from wherry.client.errors import ApiError, ClientError, InvalidEndpoint, Unreachable


class Session:
    """One run of the command line. The engine is not spoken to before a command asks for it."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        is_default_endpoint: bool,
        may_autostart: bool,
        is_debugging: bool = False,
        config_directory: str = "",
    ) -> None:
        self.endpoint = endpoint
        self.out: TextIO = sys.stdout
        self.err: TextIO = sys.stderr
        self.is_debugging = is_debugging
        self.config_directory = config_directory
        self._may_autostart = may_autostart and is_default_endpoint
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The engine; started first, if it is this machine's own and none answers.

        Raises: Unreachable, ProtocolError.
        """
        if self._client is None:
            client = Client(self.endpoint)
            try:
                client.version  # noqa: B018 (agrees on a version, which shows that it answers)
            except Unreachable as problem:
                if not self._may_autostart or problem.is_forbidden or os.geteuid() != 0:
                    raise
                from wherry.cli.autostart import start_daemon

                start_daemon(self.endpoint)
            self._client = client
        return self._client

    def setting(self, name: str) -> str:
        """A string of the user's configuration file; empty when it isn't set."""
        from wherry.cli.configuration import load_configuration

        return text(load_configuration(self.config_directory), name)

    def say(self, line: str = "") -> None:
        """One line to standard output."""
        self.out.write(line + "\n")

    def complain(self, line: str) -> None:
        """One line to standard error, after what standard output has so far."""
        self.out.flush()
        self.err.write(line + "\n")
        self.err.flush()


def choose_endpoint(hosts: list[str]) -> tuple[Endpoint, bool]:
    """The engine's address, and whether it is the default: -H, WHERRY_HOST, DOCKER_HOST.

    Raises: CommandFailed.
    """
    if len(hosts) > 1:
        raise CommandFailed(
            "Failed to initialize: unable to resolve docker endpoint: Specify only one -H"
        )
    address = hosts[0] if hosts else ""
    address = address or os.environ.get("WHERRY_HOST", "") or os.environ.get("DOCKER_HOST", "")
    if not address:
        return default_endpoint(), True
    try:
        endpoint = parse_endpoint(address)
    except InvalidEndpoint as problem:
        raise CommandFailed(
            f"Failed to initialize: unable to resolve docker endpoint: {problem}"
        ) from None
    return endpoint, endpoint == default_endpoint()


def explain(problem: ClientError | OSError) -> str:
    """The sentence for a request that failed."""
    if isinstance(problem, ApiError):
        return f"Error response from daemon: {problem.message}"
    if isinstance(problem, Unreachable):
        if problem.is_forbidden:
            return (
                "permission denied while trying to connect to the Wherry daemon socket at "
                f"{problem.address}"
            )
        return (
            f"Cannot connect to the Wherry daemon at {problem.address}. "
            "Is the wherry daemon running?"
        )
    if isinstance(problem, OSError) and problem.strerror:
        return f"error during connect: {problem.strerror.lower()}"
    return f"error during connect: {problem}"
