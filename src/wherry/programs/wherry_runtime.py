"""`wherry-runtime`: the OCI runtime behind runc's command line, for podman, containerd and you.

Thin: a start has to import all that is imported here.
"""

import sys

from wherry.programs.version import VERSION
from wherry.runtime.command.dispatch import main as run_command

__all__ = ["main"]


def main() -> int:
    """Do what the command line says; the exit code."""
    return run_command(sys.argv[1:], VERSION)


if __name__ == "__main__":
    sys.exit(main())
