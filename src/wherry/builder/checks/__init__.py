"""Build checks: what is allowed in a Dockerfile and most often not meant.

`rules` has the names and words of BuildKit's Dockerfile frontend. `writing` looks at how a file is
written, `meaning` at what it says once its stages are planned: with the variables, images and
ignored files of this build; `checking` does both for one build. `policy` is what the user wants
of them: which are skipped, and whether one is an error.
"""

from wherry.builder.checks.checking import CHECK_ARGUMENT, Checking
from wherry.builder.checks.writing import Source

__all__ = ["CHECK_ARGUMENT", "Checking", "Source"]
