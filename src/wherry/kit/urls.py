"""URLs as they are told to people: in messages, step names and the list of what is cached."""

import re

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"']+@")


def without_credentials(text: str) -> str:
    """A text whose URLs name nobody's password."""
    return _CREDENTIALS.sub("xxxxx:xxxxx@", text) if "://" in text else text
