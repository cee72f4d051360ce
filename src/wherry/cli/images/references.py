"""Image references as people write them (the grammar of distribution/reference)."""

import re
from typing import NamedTuple

DEFAULT_DOMAIN, DEFAULT_TAG, OFFICIAL = "docker.io", "latest", "library/"
LONGEST_NAME = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = (  # Compiled when it is first needed: `ps` imports this module.
    rf"(?P<name>(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)
_IDENTIFIER = r"[a-f0-9]{64}"


class Reference(NamedTuple):
    """A reference in parts; `name` has no domain, tag and digest may be empty."""

    domain: str
    name: str
    tag: str
    digest: str

    @property
    def familiar_name(self) -> str:
        """The name as people know it: without docker.io and library."""
        if self.domain == DEFAULT_DOMAIN:
            return self.name.removeprefix(OFFICIAL)
        return f"{self.domain}/{self.name}"


def is_image_id(text: str) -> bool:
    """Whether it is a whole id: no repository may be called so."""
    return re.fullmatch(_IDENTIFIER, text) is not None


def parse_reference(text: str) -> Reference:
    """Read and normalise a reference; a tag is not added.

    Raises: ValueError with the library's text.
    """
    if is_image_id(text):
        raise ValueError(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    domain, name = _split_domain(text)
    remote = name.partition("@")[0].partition(":")[0]
    if remote != remote.lower():
        raise ValueError(f"invalid reference format: repository name ({remote}) must be lowercase")
    match = re.fullmatch(_REFERENCE, f"{domain}/{name}")
    if match is None:
        raise ValueError("invalid reference format")
    if len(match.group("name")) > LONGEST_NAME:
        raise ValueError(
            f"repository name must not be more than {LONGEST_NAME} characters: "
            f"{match.group('name')}"
        )
    path = match.group("name").partition("/")[2]
    return Reference(domain, path, match.group("tag") or "", match.group("digest") or "")


def without_digest(text: str) -> str:
    """A reference that has tag and digest, without the digest; any other text as it is."""
    try:
        reference = parse_reference(text)
    except ValueError:
        return text
    if reference.tag:
        return f"{reference.familiar_name}:{reference.tag}"
    return text


def with_default_tag(text: str) -> str:
    """The familiar form, with `:latest` where neither tag nor digest was given.

    Raises: ValueError.
    """
    reference = parse_reference(text)
    if reference.digest:
        tag = f":{reference.tag}" if reference.tag else ""
        return f"{reference.familiar_name}{tag}@{reference.digest}"
    return f"{reference.familiar_name}:{reference.tag or DEFAULT_TAG}"


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    is_domain = slash and (
        "." in first or ":" in first or first == "localhost" or first.lower() != first
    )
    domain, name = (first, rest) if is_domain else (DEFAULT_DOMAIN, text)
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in name:
        name = OFFICIAL + name
    return domain, name
