"""Versions of the Engine API, as they stand in front of a path."""

import re
from typing import NamedTuple


class ApiVersion(NamedTuple):
    """`1.51`; ordered as numbers."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


OLDEST = ApiVersion(1, 24)
NEWEST = ApiVersion(1, 51)

_VERSION = re.compile(r"[0-9.]{1,64}")


def looks_like_version(segment: str) -> bool:
    """Whether a path's first segment is a version's place: `v` and digits or dots."""
    return segment.startswith("v") and _VERSION.fullmatch(segment, 1) is not None


def parse_version(text: str) -> ApiVersion:
    """The version in `1.41`; what is behind the second number does not count.

    Raises: ValueError.
    """
    major, _, rest = text.partition(".")
    minor = rest.partition(".")[0]
    if len(major) > 9 or len(minor) > 9:
        raise ValueError(f"not an API version: {text!r}")
    return ApiVersion(int(major or "0"), int(minor or "0"))
