"""The commands of `wherry compose`; nothing is imported before it runs."""

from wherry.cli.catalogue import Entry

ENTRIES: dict[str, Entry] = {
    "config": Entry("compose_config", "CONFIG", "Show the project as the files mean it"),
    "version": Entry("compose_config", "VERSION", "Show which Compose this is"),
}

_LATER = "it comes with the next part of compose"
ABSENT = dict.fromkeys(
    [
        "attach",
        "build",
        "commit",
        "cp",
        "create",
        "down",
        "events",
        "exec",
        "export",
        "images",
        "kill",
        "logs",
        "ls",
        "pause",
        "port",
        "ps",
        "publish",
        "pull",
        "push",
        "restart",
        "rm",
        "run",
        "scale",
        "start",
        "stats",
        "stop",
        "top",
        "unpause",
        "up",
        "viz",
        "volumes",
        "wait",
        "watch",
    ],
    _LATER,
)
"""What Compose has and Wherry has not yet, and why."""
