"""`--provenance`, `--sbom` and `--attest`: what is to be said of a result beside it."""

import csv

from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Parsed

_YES, _NO = ("true", "1"), ("false", "0")


def read_attests(parsed: Parsed) -> dict[str, str]:
    """Attestations by type, each with its attributes. Raises: CommandFailed."""
    given = [*parsed.texts("attest")]
    given += [attest(kind, parsed.text(kind)) for kind in ("provenance", "sbom")
              if parsed.text(kind)]  # fmt: skip
    found: dict[str, str] = {}
    for each in given:
        fields = next(csv.reader([each]), [])
        kinds = [field.partition("=")[2] for field in fields if field.startswith("type=")]
        if len(kinds) != 1:
            raise CommandFailed(f"attestation type not specified: {each!r}")
        if kinds[0] in found:
            raise CommandFailed(f"duplicate attestation field {kinds[0]}")
        found[kinds[0]] = ",".join(field for field in fields if not field.startswith("type="))
    return found


def attest(kind: str, value: str) -> str:
    """The long form of a flag that has one type: a switch, or attributes."""
    if value in _YES:
        return f"type={kind}"
    if value in _NO:
        return f"type={kind},disabled=true"
    return f"type={kind},{value}"
