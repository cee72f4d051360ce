"""Import and touch, before any fork, all that a forked child will use.

After its root has changed a child must not import a module or look up a codec: Python would
search for them in the image's files.
"""

import json

import wherry.operations.catalogue
import wherry.runtime.container
import wherry.runtime.joining  # noqa: F401  (imported to be there)
from wherry.linux.files import open_in_root  # noqa: F401
from wherry.runtime.machine import this_machine

_CODECS = ("utf-8", "ascii", "latin-1")


def preload() -> None:
    """Have everything in memory, and the machine's facts read. Raises: OSError."""
    for codec in _CODECS:
        "x".encode(codec, "surrogateescape").decode(codec, "replace")
    json.loads(json.dumps({"\udc80": [1, 1.5, None, True]}))
    this_machine()
