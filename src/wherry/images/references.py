"""Image references: what people type, and the full names that it stands for.

The grammar and the familiar forms are those of the distribution project's `reference` package:
`busybox` is `docker.io/library/busybox`, with the tag `latest` where one is needed.
"""

import re

from wherry.kit.values import dataclass
from wherry.model.errors.images import InvalidReference, UnusableReference
from wherry.model.ids import Digest

DEFAULT_TAG = "latest"
_DEFAULT_DOMAIN = "docker.io"
_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
_LONGEST_NAME = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_DOMAIN_PATTERN = re.compile(_DOMAIN)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ALGORITHM = "sha256"
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")
_INVALID = "invalid reference format"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A full name: `domain/path`, and perhaps a tag, a digest, or both."""

    domain: str
    path: str
    tag: str = ""
    digest: Digest | None = None

    @property
    def repository(self) -> str:
        """The name alone, in full: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_repository(self) -> str:
        """The name alone, as people write it: `busybox`."""
        if self.domain != _DEFAULT_DOMAIN:
            return self.repository
        rest = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in rest else rest

    @property
    def familiar(self) -> str:
        """The whole as people write it: `busybox:latest`."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return self.familiar_repository + tag + digest

    def with_default_tag(self) -> "Reference":
        """The same, with `latest` where there is neither tag nor digest."""
        if self.tag or self.digest is not None:
            return self
        return Reference(domain=self.domain, path=self.path, tag=DEFAULT_TAG)


def parse(text: str) -> Reference:
    """Read a reference as a user writes it.

    Raises: InvalidReference with Docker's sentence.
    """
    if _IDENTIFIER.fullmatch(text):
        raise InvalidReference(
            text, f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    remainder, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidReference(text, _INVALID)
    name, tag = _split_tag(remainder)
    domain, path = _split_domain(name)
    if path != path.lower():
        raise InvalidReference(text, f"repository name ({path}) must be lowercase")
    if not _PATH.fullmatch(path) or not _DOMAIN_PATTERN.fullmatch(domain):
        raise InvalidReference(text, _INVALID)
    if tag is not None and not _TAG.fullmatch(tag):
        raise InvalidReference(text, _INVALID)
    if len(domain) + 1 + len(path) > _LONGEST_NAME:
        raise InvalidReference(
            text, f"repository name must not be more than {_LONGEST_NAME} characters"
        )
    return Reference(
        domain=domain, path=path, tag=tag or "", digest=Digest(digest) if at else None
    )


def parse_new(text: str) -> Reference:
    """Read the name that an image is to have, with its tag.

    An image named as a digest's algorithm could never be told from an identifier.

    Raises: InvalidReference with Docker's sentence.
    """
    name = parse(text)
    if name.familiar_repository == _ALGORITHM:
        raise UnusableReference(
            text, "refusing to create an ambiguous tag using digest algorithm as name"
        )
    return name.with_default_tag()


def from_full(repository: str, tag: str) -> Reference:
    """The reference of a full name and a tag that were parsed before."""
    domain, _, path = repository.partition("/")
    return Reference(domain=domain, path=path, tag=tag)


def with_digest(repository: str, digest: str) -> Reference:
    """The reference of a full name and a digest that were parsed before."""
    domain, _, path = repository.partition("/")
    return Reference(domain=domain, path=path, digest=Digest(digest))


def _split_tag(text: str) -> tuple[str, str | None]:
    """A colon after the last slash begins a tag; one before it a port."""
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, None
    return name, tag


def _split_domain(name: str) -> tuple[str, str]:
    """The first part is a host only when it looks like one: dot, colon, capital, localhost."""
    first, slash, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first.lower() != first
    if not slash or not is_host:
        domain, path = _DEFAULT_DOMAIN, name
    else:
        domain, path = first, rest
    if domain == _LEGACY_DOMAIN:
        domain = _DEFAULT_DOMAIN
    if domain == _DEFAULT_DOMAIN and "/" not in path:
        path = _OFFICIAL + path
    return domain, path
