"""What a bearer token is asked for (distribution specification, "Token Scope")."""

from wherry.kit.values import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """Actions on one repository; the text is the one that token servers know."""

    repository: str
    actions: str

    def __str__(self) -> str:
        return f"repository:{self.repository}:{self.actions}"


def pulling(repository: str) -> tuple[Scope, ...]:
    """To read a repository."""
    return (Scope(repository, "pull"),)


def pushing(repository: str, *, mounted_from: str = "") -> tuple[Scope, ...]:
    """To write a repository, and to mount blobs from another one."""
    own = Scope(repository, "pull,push")
    return (own, Scope(mounted_from, "pull")) if mounted_from else (own,)


NO_SCOPE: tuple[Scope, ...] = ()
"""To be known, no more: a login."""
