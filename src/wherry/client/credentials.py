"""Credentials for registries, where docker keeps them: in `config.json`, or with a helper.

    auths        SERVER: {"auth": base64 of NAME:PASSWORD}, or an identity token
    credsStore   NAME: everything is with the program `docker-credential-NAME`
    credHelpers  SERVER: NAME, for one server only

A helper is spoken to as docker does: `get`, `store` or `erase` as its one argument, and JSON or
the server's name on its standard input (docker/docker-credential-helpers). An identity token is
kept there as the secret of the user `<token>`. What finds and runs programs is loaded with the
first helper: it would be a sixth of a command such as `images`, which needs no credentials.
"""

import base64
import binascii
import json
from typing import NamedTuple

from wherry.client.config_file import ConfigFile, ConfigProblem
from wherry.client.documents import Document, child, document, mapping, parse, text

HUB_SERVER = "https://index.docker.io/v1/"
"""What Docker Hub is called in files and by helpers, for historical reasons."""
_TOKEN_USER = "<token>"
_NOT_FOUND = "credentials not found in native keychain"
_PATIENCE_S = 60


class CredentialProblem(ConfigProblem):
    """Credentials that cannot be read or kept, or a helper that failed; one sentence."""


class Login(NamedTuple):
    """Who a user is to one server."""

    server: str
    username: str = ""
    password: str = ""
    identity_token: str = ""

    @property
    def is_anonymous(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.username or self.password or self.identity_token)

    def as_document(self) -> Document:
        """As the Engine API takes it (`AuthConfig`)."""
        members: Document = {
            "username": self.username,
            "password": self.password,
            "identitytoken": self.identity_token,
            "serveraddress": self.server,
        }
        return {key: value for key, value in members.items() if value}

    def as_header(self) -> str:
        """As `X-Registry-Auth` has it: JSON in base64url."""
        return base64.urlsafe_b64encode(json.dumps(self.as_document()).encode()).decode()


class CredentialStore:
    """The credentials of one configuration directory."""

    def __init__(self, directory: str) -> None:
        self._file = ConfigFile(directory)
        self.path = self._file.path

    def get(self, server: str) -> Login:
        """What is known for a server, possibly nothing. Raises: ConfigProblem."""
        settings = self._file.read()
        helper = _helper(settings, server)
        if helper:
            return _from_helper(helper, server)
        auths = child(settings, "auths")
        if server in auths:
            return _decoded(server, document(auths[server]))
        for each, entry in auths.items():
            if server in (host_of(each), each):
                return _decoded(server, document(entry))
        return Login(server)

    def everything(self) -> list[Login]:
        """All that is known, for what may need any registry. Raises: ConfigProblem."""
        settings = self._file.read()
        servers = [*child(settings, "auths"), *child(settings, "credHelpers")]
        return [self.get(server) for server in dict.fromkeys(servers)]

    def put(self, login: Login) -> bool:
        """Keep it; whether a password is now readable in the file. Raises: ConfigProblem."""
        settings = self._file.read()
        helper = _helper(settings, login.server)
        entry: Document = {}
        if helper:
            _to_helper(helper, login)
        else:
            entry = _encoded(login)
        auths = child(settings, "auths")
        if login.server in auths and auths[login.server] == entry:
            return False
        auths[login.server] = entry
        settings["auths"] = auths
        self._file.write(settings)
        return not helper and bool(login.password)

    def erase(self, server: str) -> None:
        """Forget it, under every spelling of the server. Raises: ConfigProblem."""
        settings = self._file.read()
        spellings = [server]
        if server != HUB_SERVER:
            host = host_of(server)
            spellings += [host, f"http://{host}", f"https://{host}"]
        auths = child(settings, "auths")
        known = [each for each in dict.fromkeys(spellings) if auths.pop(each, None) is not None]
        for each in known or [server]:
            helper = _helper(settings, each)
            if helper:
                _run(helper, "erase", each)
        if known:
            settings["auths"] = auths
            self._file.write(settings)


def server_of(domain: str) -> str:
    """What the registry of a reference's domain is called in files and by helpers."""
    return HUB_SERVER if domain in ("docker.io", "index.docker.io", "") else domain


def host_of(server: str) -> str:
    """A server's `host[:port]`, without scheme and path."""
    return server.removeprefix("https://").removeprefix("http://").partition("/")[0]


# -- entries of the file ---------------------------------------------------------------------


def _decoded(server: str, entry: Document) -> Login:
    try:
        pair = base64.b64decode(text(entry, "auth"), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise CredentialProblem(f"invalid auth configuration for {server}") from None
    username, _, password = pair.partition(":")
    return Login(
        server,
        username or text(entry, "username"),
        password.rstrip("\x00") or text(entry, "password"),
        text(entry, "identitytoken"),
    )


def _encoded(login: Login) -> Document:
    pair = f"{login.username}:{login.password}".encode()
    entry: Document = {"auth": base64.b64encode(pair).decode()} if login.username else {}
    if login.identity_token:
        entry["identitytoken"] = login.identity_token
    return entry


# -- helpers ---------------------------------------------------------------------------------


def _helper(settings: Document, server: str) -> str:
    """The helper for a server, by name; empty: the file."""
    chosen = mapping(settings, "credHelpers").get(server) or text(settings, "credsStore")
    if chosen or child(settings, "credHelpers") or child(settings, "auths"):
        return chosen
    from shutil import which

    # As docker: with nothing kept yet, a keychain that this machine has is taken.
    native = "pass" if which("pass") else "secretservice"
    return native if which(f"docker-credential-{native}") else ""


def _from_helper(helper: str, server: str) -> Login:
    try:
        found = document(parse(_run(helper, "get", server)))
    except CredentialProblem as problem:
        if _NOT_FOUND in str(problem):
            return Login(server)
        raise
    except ValueError as problem:
        raise CredentialProblem(f"docker-credential-{helper}: {problem}") from None
    username, secret = text(found, "Username"), text(found, "Secret")
    if username == _TOKEN_USER:
        return Login(server, identity_token=secret)
    return Login(server, username, secret)


def _to_helper(helper: str, login: Login) -> None:
    kept: Document = {
        "ServerURL": login.server,
        "Username": _TOKEN_USER if login.identity_token else login.username,
        "Secret": login.identity_token or login.password,
    }
    _run(helper, "store", json.dumps(kept))


def _run(helper: str, verb: str, told: str) -> str:
    """One call of a helper. Raises: CredentialProblem with what it says."""
    import subprocess

    program = f"docker-credential-{helper}"
    try:
        ran = subprocess.run(
            [program, verb],
            input=told,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
    except FileNotFoundError:
        raise CredentialProblem(
            f'error getting credentials - err: exec: "{program}": executable file not found '
            "in $PATH, out: ``"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise CredentialProblem(f"error getting credentials - err: {problem}, out: ``") from None
    if ran.returncode:
        said = ran.stdout.strip()
        raise CredentialProblem(
            f"error getting credentials - err: exit status {ran.returncode}, out: `{said}`"
        )
    return ran.stdout
