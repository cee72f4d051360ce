"""The commands of `wherry compose`; nothing is imported before it runs."""

from wherry.cli.catalogue import Entry

ENTRIES: dict[str, Entry] = {
    "config": Entry("config", "CONFIG", "Show the project as the files mean it"),
    "create": Entry("up", "CREATE", "Create containers for a service"),
    "down": Entry("down", "DOWN", "Stop and remove containers, networks"),
    "logs": Entry("logs", "LOGS", "View output from containers"),
    "ps": Entry("listing", "PS", "List containers"),
    "up": Entry("up", "UP", "Create and start containers"),
    "version": Entry("config", "VERSION", "Show which Compose this is"),
}

_LATER = "it comes with the next part of compose"
ABSENT = dict.fromkeys(
    [
        "attach",
        "build",
        "commit",
        "cp",
        "events",
        "exec",
        "export",
        "images",
        "kill",
        "ls",
        "pause",
        "port",
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
        "viz",
        "volumes",
        "wait",
        "watch",
    ],
    _LATER,
)
"""What Compose has and Wherry has not yet, and why."""
