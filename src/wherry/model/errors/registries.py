"""Failures of what is elsewhere: of registries, and of servers on the web."""

from wherry.model.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    Unauthorized,
    Unavailable,
)


class RegistryUnreachable(Unavailable):
    """A request that got no answer; `cause` is told in the words of Go's client."""

    method: str
    url: str
    cause: str
    is_not_tls: bool = False
    """Whether a TLS handshake was answered in plain HTTP."""
    may_pass: bool = True
    """Whether another attempt makes sense."""


class RegistryFailed(Unavailable):
    """The registry has a problem of its own (429, 5xx) that did not pass."""

    method: str
    url: str
    status: int
    complaint: str
    retry_after: str = ""


class RegistryUnauthorized(Unauthorized):
    """A registry or its token server does not take our credentials, or our lack of them."""

    place: str
    complaint: str


class LoginNeeded(Unavailable):
    """As `RegistryUnauthorized`, of a transfer: clients that are told 401 ask for a password."""

    place: str
    complaint: str


class RegistryRefused(Conflict):
    """A registry understood a request and did not do it."""

    action: str
    complaint: str
    status: int


class RegistryHasNoSearch(NotSupported):
    """A registry whose repositories can't be searched."""

    registry: str


class RepositoryDenied(NotFound):
    """No such repository, or not for us: registries don't tell which."""

    repository: str
    complaint: str


class ManifestUnknown(NotFound):
    """A repository that has no such tag or digest."""

    repository: str
    reference: str


class PlatformMissing(NotFound):
    """An index without an image for the platform."""

    platform: str
    reference: str


class SystemUnusable(InvalidRequest):
    """An image of an operating system that is not this machine's."""

    system: str


class OtherPlatform(NotFound):
    """An image that is here, but not for this platform."""

    reference: str
    platform: str


class DownloadRefused(NotFound):
    """A file on the web that its server doesn't give; `status` is HTTP's."""

    address: str
    status: int
    complaint: str


class ManifestRefused(InvalidRequest):
    """A manifest that is malformed, ambiguous or too large."""

    problem: str
