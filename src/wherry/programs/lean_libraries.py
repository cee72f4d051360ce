"""What libraries would load that a daemon has no use for; imported before them.

aiohttp keeps its callbacks in lists of `frozenlist`, whose quick variant brings the runtime of C++
along: 0.9 MiB for a dozen of lists that are read once. And it reads the host's table of what the
endings of files mean, 0.4 MiB, for a server of files, which this is not.
"""

import mimetypes
import os

_QUICK_OR_SMALL = "FROZENLIST_NO_EXTENSIONS"

os.environ[_QUICK_OR_SMALL] = "1"
import frozenlist  # noqa: E402, F401  (it looks at the environment once)

del os.environ[_QUICK_OR_SMALL]

mimetypes.knownfiles.clear()
