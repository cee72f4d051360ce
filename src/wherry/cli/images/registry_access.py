"""Who this user is to a registry, for the commands that go there."""

from wherry.cli.configuration import configuration_directory
from wherry.cli.session import Session
from wherry.client.config_file import ConfigProblem
from wherry.client.credentials import CredentialStore, Login, server_of


def credential_store(session: Session) -> CredentialStore:
    """Where the user's credentials are."""
    return CredentialStore(configuration_directory(session.config_directory))


def login_for(session: Session, domain: str) -> Login:
    """The credentials for the registry of a reference; none, with a warning, if unreadable."""
    server = server_of(domain)
    try:
        return credential_store(session).get(server)
    except ConfigProblem as problem:
        session.complain(f"WARNING: Error loading credentials: {problem}")
        return Login(server)


def known_logins(session: Session) -> list[Login]:
    """All credentials that the user has; none, with a warning, if unreadable."""
    try:
        return [each for each in credential_store(session).everything() if not each.is_anonymous]
    except ConfigProblem as problem:
        session.complain(f"WARNING: Error loading credentials: {problem}")
        return []
