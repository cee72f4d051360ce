"""Who we are to a registry."""

from wherry.kit.values import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a user gave for one registry; secrets never show in a `repr`.

    A user name and password are for Basic authorisation and for token servers; an identity
    token is an OAuth2 refresh token; a registry token is a bearer token that is used as it is.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)


ANONYMOUS = Credentials()
"""Nobody in particular: what most pulls need."""
