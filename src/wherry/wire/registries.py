"""Registries: credentials in, answers out."""

from msgspec import Struct


class AuthConfig(Struct, kw_only=True):
    """Credentials for one registry, of `POST /auth` and of the `X-Registry-Auth` header."""

    username: str = ""
    password: str = ""
    auth: str = ""
    """Base64 of `username:password`."""
    email: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class AuthAnswer(Struct):
    """A login that succeeded."""

    Status: str
    IdentityToken: str


class SearchItem(Struct):
    """One hit of a search."""

    name: str
    description: str
    is_official: bool
    is_automated: bool
    star_count: int


class OciPlatform(Struct, omit_defaults=True):
    """A platform as OCI writes it."""

    architecture: str
    os: str
    variant: str = ""


class OciDescriptor(Struct, omit_defaults=True):
    """A descriptor as OCI writes it."""

    mediaType: str
    digest: str
    size: int
    platform: OciPlatform | None = None


class DistributionAnswer(Struct):
    """What a registry has under a name."""

    Descriptor: OciDescriptor
    Platforms: list[OciPlatform]
