"""The command line program `wherry`."""

import sys

from wherry.cli.entry import main as run_command_line


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
