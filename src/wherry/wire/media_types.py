"""Content types: reading the header as Go's mime package does, and Docker's stream types."""

import re

JSON = "application/json"
TAR = "application/x-tar"
RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE = re.compile(rf"\s*({_TOKEN}/{_TOKEN})\s*")
_PARAMETER = re.compile(rf';\s*({_TOKEN})\s*=\s*(?:{_TOKEN}|"(?:[^"\\]|\\.)*")\s*')
_TRAILING = re.compile(r"(?:;\s*)*")


class MalformedMediaType(ValueError):
    """A Content-Type that is none; the text is a clause."""


def parse_media_type(header: str) -> str:
    """The type in lower case, without parameters.

    Raises: MalformedMediaType.
    """
    if not header.strip():
        raise MalformedMediaType("mime: no media type")
    match = _MEDIA_TYPE.match(header)
    if match is None:
        raise MalformedMediaType("mime: expected slash after first token")
    position = match.end()
    names: set[str] = set()
    while parameter := _PARAMETER.match(header, position):
        name = parameter[1].lower()
        if name in names:
            raise MalformedMediaType("mime: duplicate parameter name")
        names.add(name)
        position = parameter.end()
    if not _TRAILING.fullmatch(header, position):
        problem = (
            "invalid media parameter"
            if header[position] == ";"
            else ("unexpected content after media subtype")
        )
        raise MalformedMediaType(f"mime: {problem}")
    return match[1].lower()
