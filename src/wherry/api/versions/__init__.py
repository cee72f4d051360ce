"""The version ladder: how answers and behaviour differ for clients of an older API.

One module per rung, `v1_NN`: what a client of version 1.NN or older must see differently from a
client of the version after it. An answer is made for the newest version and walks down the
ladder; each rung is pure. API versions are compared here and nowhere else.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from wherry.api.errors import Refusal
from wherry.api.versions import (
    v1_24,
    v1_27,
    v1_34,
    v1_41,
    v1_42,
    v1_43,
    v1_44,
    v1_47,
    v1_48,
    v1_49,
)
from wherry.api.versions.rung import Rung, Traits
from wherry.wire.versions import NEWEST, OLDEST, ApiVersion, parse_version

__all__ = ["Traits", "admit", "downgrade", "response_steps", "traits"]

Step = Callable[[Any], None]

LADDER: tuple[Rung, ...] = (
    v1_49.RUNG,
    v1_48.RUNG,
    v1_47.RUNG,
    v1_44.RUNG,
    v1_43.RUNG,
    v1_42.RUNG,
    v1_41.RUNG,
    v1_34.RUNG,
    v1_27.RUNG,
    v1_24.RUNG,
)
"""From the top down."""


def admit(text: str) -> ApiVersion:
    """The version that a path asks for, if it is one of ours.

    Raises: Refusal.
    """
    try:
        version = parse_version(text)
    except ValueError as error:
        raise Refusal(400, str(error)) from error
    if version < OLDEST:
        raise Refusal(
            400,
            f"client version {text} is too old. Minimum supported API version is {OLDEST}, "
            "please upgrade your client to a newer version",
        )
    if version > NEWEST:
        raise Refusal(
            400,
            f"client version {text} is too new. Maximum supported API version is {NEWEST}",
        )
    return version


@cache
def response_steps(endpoint: str, version: ApiVersion) -> Sequence[Step]:
    """What has to be done to an endpoint's answer for a version, in order."""
    return tuple(
        rung.downgrade_response[endpoint]
        for rung in LADDER
        if version <= rung.version and endpoint in rung.downgrade_response
    )


def downgrade(steps: Sequence[Step], document: Any) -> Any:
    """The answer as the older version has it."""
    for step in steps:
        step(document)
    return document


@cache
def traits(version: ApiVersion) -> Traits:
    """How a version behaves."""
    current = Traits()
    for rung in LADDER:
        if version <= rung.version:
            current = rung.downgrade_traits(current)
    return current
