"""The commands of `wherry compose`; nothing is imported before it runs."""

from wherry.cli.catalogue import Entry

ENTRIES: dict[str, Entry] = {
    "attach": Entry("inside", "ATTACH", "Attach local streams to a service's running container"),
    "build": Entry("transfers", "BUILD", "Build or rebuild services"),
    "commit": Entry("inside", "COMMIT", "Create a new image from a service container's changes"),
    "config": Entry("config", "CONFIG", "Show the project as the files mean it"),
    "cp": Entry("inside", "CP", "Copy files between a service container and this machine"),
    "create": Entry("up", "CREATE", "Create containers for a service"),
    "down": Entry("down", "DOWN", "Stop and remove containers, networks"),
    "events": Entry("views", "EVENTS", "Receive real time events from containers"),
    "exec": Entry("inside", "EXEC", "Execute a command in a running container"),
    "export": Entry("inside", "EXPORT", "Write a service container's files as a tar archive"),
    "images": Entry("views", "IMAGES", "List images used by the created containers"),
    "kill": Entry("lifecycle", "KILL", "Force stop service containers"),
    "logs": Entry("logs", "LOGS", "View output from containers"),
    "ls": Entry("views", "LS", "List running compose projects"),
    "pause": Entry("lifecycle", "PAUSE", "Pause services"),
    "port": Entry("views", "PORT", "Print the public port for a port binding"),
    "ps": Entry("listing", "PS", "List containers"),
    "pull": Entry("transfers", "PULL", "Pull service images"),
    "push": Entry("transfers", "PUSH", "Push service images"),
    "restart": Entry("lifecycle", "RESTART", "Restart service containers"),
    "rm": Entry("lifecycle", "RM", "Remove stopped service containers"),
    "run": Entry("one_off", "RUN", "Run a one-off command on a service"),
    "scale": Entry("lifecycle", "SCALE", "Scale services"),
    "start": Entry("lifecycle", "START", "Start services"),
    "stats": Entry("views", "STATS", "Display what containers use, live"),
    "stop": Entry("lifecycle", "STOP", "Stop services"),
    "top": Entry("views", "TOP", "Display the running processes"),
    "unpause": Entry("lifecycle", "UNPAUSE", "Unpause services"),
    "up": Entry("up", "UP", "Create and start containers"),
    "version": Entry("config", "VERSION", "Show which Compose this is"),
    "volumes": Entry("views", "VOLUMES", "List volumes"),
    "viz": Entry("viz", "VIZ", "Write the services and their dependencies as a graph"),
    "wait": Entry("lifecycle", "WAIT", "Block until containers of services stop"),
    "watch": Entry("watching", "WATCH", "Watch files, and rebuild or refresh containers"),
}

_LATER = "it comes with the next part of compose"
ABSENT = dict.fromkeys(
    [
        "publish",
    ],
    _LATER,
)
"""What Compose has and Wherry has not yet, and why."""
