"""What a registry demands in `WWW-Authenticate` (RFC 9110 section 11.6.1), read by hand.

A header may hold several challenges, and commas separate both challenges and their parameters:
`Basic realm="a", Bearer realm="https://b/token",service="b"`. A word that is followed by a space
and then by `name=` begins the next challenge.
"""

import re
from collections.abc import Mapping, Sequence

from wherry.kit.values import dataclass

_LONGEST_HEADER = 8192
_SCHEME = re.compile(r"[ \t,]*([A-Za-z][A-Za-z0-9-]*)(?:[ \t]+|$|(?=,))")
_PARAMETER = re.compile(
    r'[ \t,]*([A-Za-z][A-Za-z0-9_-]*)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))'
)
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to be let in: `basic`, or `bearer` with the token server as its realm."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(headers: Sequence[str]) -> tuple[Challenge, ...]:
    """The challenges of all `WWW-Authenticate` headers, schemes and names in lower case.

    What can't be read ends the reading of its header: a server that talks nonsense gets no
    credentials.
    """
    found = []
    for header in headers:
        text, position = header[:_LONGEST_HEADER], 0
        while (scheme := _SCHEME.match(text, position)) is not None:
            position = scheme.end()
            parameters: dict[str, str] = {}
            while (parameter := _PARAMETER.match(text, position)) is not None:
                name, quoted, bare = parameter.groups()
                value = bare if quoted is None else _ESCAPE.sub(r"\1", quoted)
                parameters.setdefault(name.lower(), value)
                position = parameter.end()
            found.append(Challenge(scheme=scheme.group(1).lower(), parameters=parameters))
    return tuple(found)
