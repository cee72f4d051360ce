"""What is said of a result beside what it is: predicates, each of a type, as in-toto has them."""

import csv
from collections.abc import Mapping, Sequence

from wherry.kit.values import dataclass
from wherry.model.errors import InvalidValue
from wherry.oci.json_fields import Json, JsonObject

_STATEMENT = "https://in-toto.io/Statement/v0.1"
_KINDS = ("provenance", "sbom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """One thing that is said, of a type that says how it is to be read."""

    type: str
    content: JsonObject
    file: str
    """What its statement is called where it is a file."""


def statement(predicate: Predicate, subjects: Sequence[Json]) -> JsonObject:
    """What is said, and of whom: each with a name and digests."""
    return {
        "_type": _STATEMENT,
        "predicateType": predicate.type,
        "subject": subjects,
        "predicate": predicate.content,
    }


def asked_for(attests: Mapping[str, str], kind: str) -> Mapping[str, str] | None:
    """The attributes of a kind that a request wants; None where it wants none.

    Raises: InvalidValue, for a kind that nobody knows.
    """
    for each in attests:
        if each not in _KINDS:
            raise InvalidValue(f"unknown attestation type {each!r}")
    if kind not in attests:
        return None
    given = {
        name.strip(): value.strip()
        for part in next(csv.reader([attests[kind]]), [])
        for name, _equals, value in (part.partition("="),)
    }
    return None if given.get("disabled", "false") != "false" else given
