"""The command line program `wherry`.

A command lives for some twenty milliseconds. Looking for garbage while modules are imported, and
once more at the end, would be a quarter of that, and finds none.
"""

import gc
import sys

_SELDOM = 50_000
"""Objects that come between two searches: a command that stays, such as `events`, has them."""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(_SELDOM)
    from wherry.cli.entry import main as run_command_line

    try:
        sys.exit(run_command_line(sys.argv[1:]))
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
