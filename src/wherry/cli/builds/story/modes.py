"""The ways in which a build is shown, and by whose words."""

import os

MODES = ("auto", "plain", "tty", "rawjson", "quiet")


def is_classic() -> bool:
    """Whether the user wants the classic builder, which tells step by step: as with Docker."""
    return os.environ.get("DOCKER_BUILDKIT", "") in ("0", "false")
