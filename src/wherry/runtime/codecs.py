"""Codecs have to be in memory before a fork.

After its root has changed a child must not look a codec up: Python imports them at their first
use, and would search for them in the image's files.
"""

_CODECS = ("utf-8", "ascii", "latin-1")


def warm_codecs() -> None:
    """Have the codecs looked up."""
    for codec in _CODECS:
        "x".encode(codec, "surrogateescape").decode(codec, "replace")
