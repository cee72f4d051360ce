"""What is said of a result beside what it is: predicates, each of a type, as in-toto has them."""

import csv
from collections.abc import Mapping

from wherry.kit.values import dataclass
from wherry.model.errors import InvalidValue
from wherry.oci.json_fields import JsonObject

_KINDS = ("provenance", "sbom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """One thing that is said, of a type that says how it is to be read."""

    type: str
    content: JsonObject


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
