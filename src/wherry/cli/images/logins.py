"""`login` and `logout`: credentials for registries are checked, kept and forgotten."""

import sys

from wherry.cli.command import AT_MOST_ONE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.images.registry_access import credential_store
from wherry.cli.session import Session, explain
from wherry.client.config_file import ConfigProblem
from wherry.client.credentials import HUB_SERVER, Login, host_of
from wherry.client.documents import text
from wherry.client.errors import ClientError

_ON_THE_LINE = "WARNING! Using --password via the CLI is insecure. Use --password-stdin."
_NO_TERMINAL = "Error: Cannot perform an interactive login from a non TTY device"


def log_in(session: Session, parsed: Parsed) -> int:
    """Check credentials with a registry and keep them."""
    username, password = parsed.text("username"), parsed.text("password")
    if parsed.was_given("password"):
        session.complain(_ON_THE_LINE)
        if parsed.is_on("password-stdin"):
            raise CommandFailed(
                "conflicting options: cannot specify both --password and --password-stdin"
            )
    if parsed.is_on("password-stdin"):
        if not username:
            raise CommandFailed("the --password-stdin option requires --username to be set")
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r")
        if not password:
            raise CommandFailed("password is empty")
    server = _server(parsed)
    try:
        known = credential_store(session).get(server)
    except ConfigProblem as problem:
        raise CommandFailed(str(problem)) from None
    if not username and not password and not known.is_anonymous:
        status = _with_known(session, known)
        if status:
            session.say(status)
            return 0
    username, password = _asked(session, username or "", password, known.username)
    login = Login(server, username, password)
    session.say(_checked_and_kept(session, login))
    return 0


def log_out(session: Session, parsed: Parsed) -> int:
    """Forget credentials; the registry is not asked."""
    server = _server(parsed)
    session.say(f"Removing login credentials for {server}")
    try:
        credential_store(session).erase(server)
    except ConfigProblem as problem:
        session.complain(f"WARNING: could not erase credentials:\n{server}: {problem}")
    return 0


def _server(parsed: Parsed) -> str:
    given = parsed.arguments[0] if parsed.arguments else ""
    if given in ("", "docker.io", "index.docker.io", HUB_SERVER):
        return HUB_SERVER
    return host_of(given)


def _with_known(session: Session, known: Login) -> str:
    """Log in as before; empty when that does not work any more."""
    shown = f" [Username: {known.username}]" if known.username else ""
    session.complain(f"Authenticating with existing credentials...{shown}")
    session.complain(
        "\n Info -> To login with a different account, run 'wherry logout' followed by "
        "'wherry login'\n\n"
    )
    try:
        return _checked_and_kept(session, known)
    except CommandFailed as problem:
        session.complain(f"Login did not succeed, error: {problem.message}")
        return ""


def _checked_and_kept(session: Session, login: Login) -> str:
    """What the engine says of a login that is good. Raises: CommandFailed."""
    try:
        answer = session.client.system.log_in(login.as_document())
    except (ClientError, OSError) as problem:
        raise CommandFailed(explain(problem)) from None
    token = text(answer, "IdentityToken")
    kept = login._replace(password="", identity_token=token) if token else login
    store = credential_store(session)
    try:
        is_readable = store.put(kept)
    except ConfigProblem as problem:
        raise CommandFailed(str(problem)) from None
    if is_readable:
        session.complain(
            f"\nWARNING! Your credentials are stored unencrypted in '{store.path}'.\n"
            "Configure a credential helper to remove this warning. See\n"
            "https://docs.docker.com/go/credential-store/\n"
        )
    return text(answer, "Status") or "Login Succeeded"


def _asked(session: Session, username: str, password: str, before: str) -> tuple[str, str]:
    """Name and password, from the terminal where they were not given. Raises: CommandFailed."""
    if username and password:
        return username, password
    if not sys.stdin.isatty():
        raise CommandFailed(_NO_TERMINAL)
    import getpass

    if not username:
        prompt = f"Username ({before}): " if before else "Username: "
        session.out.write(prompt)
        session.out.flush()
        username = sys.stdin.readline().strip() or before
        if not username:
            raise CommandFailed("Error: Non-null Username Required")
    if not password:
        password = getpass.getpass("Password: ", stream=session.out)
        if not password:
            raise CommandFailed("Error: Password Required")
    return username, password


LOGIN = Command(
    shape="[SERVER]",
    summary="Authenticate to a registry",
    arguments=AT_MOST_ONE,
    run=log_in,
    flags=(
        Flag("password", STRING, "Password or Personal Access Token (PAT)", short="p"),
        Flag(
            "password-stdin",
            SWITCH,
            "Take the Password or Personal Access Token (PAT) from stdin",
        ),
        Flag("username", STRING, "Username", short="u"),
    ),
)
LOGOUT = Command(
    shape="[SERVER]", summary="Log out from a registry", arguments=AT_MOST_ONE, run=log_out
)
