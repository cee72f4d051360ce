"""What every command needs: the engine, the streams, and the words for failures."""

import os
import sys
from typing import NamedTuple, TextIO

from wherry.cli.failures import CommandFailed
from wherry.client.documents import text
from wherry.client.endpoint import Endpoint, TlsFiles, default_endpoint, parse_endpoint
from wherry.client.engine_client import Client
from wherry.client.errors import (
    ApiError,
    ClientError,
    EmptyName,
    InvalidEndpoint,
    Unreachable,
)


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


class Choice(NamedTuple):
    """What the global flags say about the engine to speak with."""

    hosts: list[str]
    context: str = ""
    config_directory: str = ""
    tls: TlsFiles | None = None
    """For TCP; None: no TLS."""


def choose_endpoint(choice: Choice) -> tuple[Endpoint, bool]:
    """The engine's address, and whether it is the default.

    The first that says something: -H, --context, WHERRY_HOST, DOCKER_HOST, DOCKER_CONTEXT, and
    the context that `context use` has set.

    Raises: CommandFailed.
    """
    failure = "Failed to initialize: unable to resolve docker endpoint: "
    if len(choice.hosts) > 1:
        raise CommandFailed(f"{failure}Specify only one -H")
    if choice.hosts and choice.context:
        raise CommandFailed("conflicting options: cannot specify both --host and --context")
    try:
        if not choice.hosts and (name := _chosen_context(choice)):
            from wherry.cli.configuration import configuration_directory
            from wherry.client.contexts import ContextProblem, ContextStore

            store = ContextStore(configuration_directory(choice.config_directory))
            try:
                return store.endpoint(name), False
            except ContextProblem as problem:
                raise CommandFailed(f"{failure}{problem}") from None
        address = choice.hosts[0] if choice.hosts else _address_of_environment()
        if not address:
            return default_endpoint(), True
        endpoint = parse_endpoint(address, choice.tls)
    except InvalidEndpoint as problem:
        raise CommandFailed(f"{failure}{problem}") from None
    return endpoint, endpoint == default_endpoint()


def _address_of_environment() -> str:
    return os.environ.get("WHERRY_HOST", "") or os.environ.get("DOCKER_HOST", "")


def default_address() -> str:
    """Where the context `default` leads."""
    return _address_of_environment() or default_endpoint().address


def _chosen_context(choice: Choice) -> str:
    """The stored context that is meant; empty: none, or `default`."""
    name = choice.context
    if not name:
        name = current_context(choice.config_directory)
    return "" if name == "default" else name


def current_context(config_directory: str) -> str:
    """The context in use when no flag names one."""
    if _address_of_environment():
        return "default"
    if name := os.environ.get("DOCKER_CONTEXT", ""):
        return name
    from wherry.cli.configuration import load_configuration

    return text(load_configuration(config_directory), "currentContext") or "default"


def explain(problem: ClientError | OSError) -> str:
    """The sentence for a request, or for a file, that failed."""
    if isinstance(problem, EmptyName):
        return problem.message
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
        if problem.filename is not None:
            failed = "read" if isinstance(problem, IsADirectoryError) else "open"
            return f"{failed} {problem.filename}: {problem.strerror.lower()}"
        return f"error during connect: {problem.strerror.lower()}"
    return f"error during connect: {problem}"
