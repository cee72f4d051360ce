"""`wherry-runtime`: the OCI runtime behind runc's command line, for podman, containerd and you.

Thin: a start has to import all that is imported here.
"""

import gc
import sys

from wherry.programs.version import VERSION
from wherry.runtime.command.dispatch import main as run_command

__all__ = ["main"]


def main() -> int:
    """Do what the command line says; the exit code."""
    # It lives for milliseconds and leaves no garbage to speak of: looking for it while modules
    # are imported, and at the end, is a fifth of a start.
    gc.disable()
    try:
        return run_command(sys.argv[1:], VERSION)
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
