"""Every command's name and where it is built; nothing is imported before it runs."""

from typing import NamedTuple


class Entry(NamedTuple):
    """The module below `wherry.cli` and the name of the `Command` in it."""

    module: str
    command: str
    summary: str


GROUPS = {
    "builder": "Manage builds",
    "checkpoint": "Manage checkpoints",
    "container": "Manage containers",
    "context": "Manage contexts",
    "image": "Manage images",
    "manifest": "Manage image manifests and manifest lists",
    "network": "Manage networks",
    "platform": "Manage processors whose programs run here",
    "plugin": "Manage plugins",
    "pod": "Manage pods: containers that share a network",
    "system": "Manage the engine",
    "trust": "Manage trust on images",
    "volume": "Manage volumes",
    "config": "Manage Swarm configs",
    "node": "Manage Swarm nodes",
    "secret": "Manage Swarm secrets",
    "service": "Manage Swarm services",
    "stack": "Manage Swarm stacks",
    "swarm": "Manage Swarm",
}

_CONTAINER = {
    "attach": Entry(
        "containers.attach", "ATTACH", "Attach this terminal's streams to a running container"
    ),
    "commit": Entry("containers.files", "COMMIT", "Make an image of a container's changes"),
    "cp": Entry("containers.copying", "COPY", "Copy files between a container and this machine"),
    "create": Entry("containers.create", "CREATE", "Create a new container"),
    "diff": Entry(
        "containers.files", "DIFF", "Show what a container changed of its image's files"
    ),
    "exec": Entry("containers.exec", "EXEC", "Execute a command in a running container"),
    "export": Entry("containers.files", "EXPORT", "Write a container's files as a tar archive"),
    "kill": Entry("containers.verbs", "KILL", "Kill one or more running containers"),
    "logs": Entry("containers.logs", "LOGS", "Fetch the logs of a container"),
    "pause": Entry("containers.verbs", "PAUSE", "Pause all processes of one or more containers"),
    "port": Entry("containers.views", "PORT", "List the port mappings of a container, or one"),
    "rename": Entry("containers.verbs", "RENAME", "Rename a container"),
    "restart": Entry("containers.verbs", "RESTART", "Restart one or more containers"),
    "rm": Entry("containers.verbs", "REMOVE", "Remove one or more containers"),
    "run": Entry("containers.run", "RUN", "Create and run a new container from an image"),
    "start": Entry("containers.start", "START", "Start one or more stopped containers"),
    "stats": Entry("containers.stats", "STATS", "Show what containers use, live"),
    "stop": Entry("containers.verbs", "STOP", "Stop one or more running containers"),
    "top": Entry("containers.views", "TOP", "Display the running processes of a container"),
    "unpause": Entry("containers.verbs", "UNPAUSE", "Unpause one or more containers"),
    "update": Entry("containers.update", "UPDATE", "Change what containers may use"),
    "wait": Entry(
        "containers.verbs", "WAIT", "Wait until containers stop, then print their exit codes"
    ),
}
_LIST_CONTAINERS = Entry("containers.listing", "LIST", "List containers")
_IMAGE = {
    "build": Entry("builds.building", "BUILD", "Build an image from a Dockerfile"),
    "history": Entry("images.history", "HISTORY", "Show the history of an image"),
    "import": Entry("images.archives", "IMPORT", "Make an image from a tarball of files"),
    "pull": Entry("images.transfers", "PULL", "Download an image from a registry"),
    "push": Entry("images.transfers", "PUSH", "Upload an image to a registry"),
    "load": Entry("images.archives", "LOAD", "Load an image from a tar archive or STDIN"),
    "save": Entry("images.archives", "SAVE", "Save images to a tar archive (STDOUT by default)"),
    "tag": Entry("images.verbs", "TAG", "Give an image another name"),
}
_REMOVE_IMAGE = Entry("images.verbs", "REMOVE", "Remove one or more images")
_LIST_IMAGES = Entry("images.listing", "LIST", "List images")
_INFO = Entry("system.info", "INFO", "Display system-wide information")
_EVENTS = Entry("system.events", "EVENTS", "Get real time events from the engine")

_CONTEXT = {
    "context create": Entry("system.contexts", "CREATE", "Create a context"),
    "context export": Entry("system.contexts", "EXPORT", "Export a context to a tar archive"),
    "context import": Entry(
        "system.contexts", "IMPORT", "Import a context from a tar or zip file"
    ),
    "context inspect": Entry("system.contexts", "INSPECT", "Show all about one or more contexts"),
    "context ls": Entry("system.contexts", "LIST", "List contexts"),
    "context rm": Entry("system.contexts", "REMOVE", "Remove one or more contexts"),
    "context show": Entry("system.contexts", "SHOW", "Print the name of the current context"),
    "context update": Entry("system.contexts", "UPDATE", "Update a context"),
    "context use": Entry("system.contexts", "USE", "Set the current context"),
}

ENTRIES: dict[str, Entry] = {
    **_CONTAINER,
    **{f"container {name}": entry for name, entry in _CONTAINER.items()},
    "ps": _LIST_CONTAINERS,
    "container ls": _LIST_CONTAINERS,
    "container inspect": Entry("inspecting", "CONTAINER", "Show all about one or more containers"),
    **_IMAGE,
    **{f"image {name}": entry for name, entry in _IMAGE.items()},
    "images": _LIST_IMAGES,
    "image ls": _LIST_IMAGES,
    "rmi": _REMOVE_IMAGE,
    "image rm": _REMOVE_IMAGE,
    "image inspect": Entry("inspecting", "IMAGE", "Show all about one or more images"),
    "image bootstrap": Entry(
        "images.bootstrap", "BOOTSTRAP", "Make a base image without a registry"
    ),
    "platform disable": Entry("images.platforms", "DISABLE", "Stop running a platform's programs"),
    "platform enable": Entry(
        "images.platforms", "ENABLE", "Run a platform's programs by an emulator"
    ),
    "platform ls": Entry("images.platforms", "LIST", "List the platforms whose programs run here"),
    "network connect": Entry("networks.verbs", "CONNECT", "Connect a container to a network"),
    "network create": Entry("networks.verbs", "CREATE", "Create a network"),
    "network disconnect": Entry("networks.verbs", "DISCONNECT", "Take a container off a network"),
    "network prune": Entry("networks.verbs", "PRUNE", "Remove all unused networks"),
    "network rm": Entry("networks.verbs", "REMOVE", "Remove one or more networks"),
    "network ls": Entry("networks.listing", "LIST", "List networks"),
    "network inspect": Entry("inspecting", "NETWORK", "Show all about one or more networks"),
    "inspect": Entry("inspecting", "INSPECT", "Show all about containers, images, networks"),
    "login": Entry("images.logins", "LOGIN", "Authenticate to a registry"),
    "logout": Entry("images.logins", "LOGOUT", "Log out from a registry"),
    "search": Entry("images.searching", "SEARCH", "Search a registry for images"),
    "manifest annotate": Entry(
        "images.manifests", "ANNOTATE", "Say more about an image of an index"
    ),
    "manifest create": Entry("images.manifests", "CREATE", "Begin an index of several images"),
    "manifest inspect": Entry("images.manifests", "INSPECT", "Show a manifest or an index"),
    "manifest push": Entry("images.manifests", "PUSH", "Send an index to its registry"),
    "manifest rm": Entry("images.manifests", "REMOVE", "Forget indexes that were not sent yet"),
    "play": Entry("pods.playing", "PLAY", "Make the pods of a Kubernetes manifest"),
    "pod create": Entry("pods.verbs", "CREATE", "Make an empty pod"),
    "pod ps": Entry("pods.verbs", "LIST", "List pods"),
    "pod rm": Entry("pods.verbs", "REMOVE", "Remove one or more pods"),
    "version": Entry("system.version", "VERSION", "Show the versions of client and engine"),
    "info": _INFO,
    "system info": _INFO,
    "events": _EVENTS,
    "system events": _EVENTS,
    **_CONTEXT,
    "builder build": _IMAGE["build"],
    "builder prune": Entry("system.pruning", "BUILDS", "Remove what builds have kept"),
    "container prune": Entry("system.pruning", "CONTAINERS", "Remove all stopped containers"),
    "image prune": Entry("system.pruning", "IMAGES", "Remove unused images"),
    "system prune": Entry("system.pruning", "SYSTEM", "Remove unused data"),
    "system check": Entry("system.checking", "CHECK", "Read all that images are made of"),
    "system df": Entry("system.disk_usage", "DF", "Show the engine's disk usage"),
    "system dial-stdio": Entry("system.dial", "DIAL", "Carry the engine's connection over stdio"),
    "compose": Entry("compose.entry", "COMPOSE", "Define and run applications of containers"),
    "completion": Entry("completion", "COMPLETION", "Completion for bash, zsh and fish"),
    "capture": Entry("networks.capturing", "CAPTURE", "Write a container's packets to a file"),
    "map": Entry("networks.mapping", "MAP", "Draw all networks, and who is on them"),
    "reach": Entry("networks.reaching", "REACH", "Say whether a packet arrives, and why not"),
    "why": Entry("containers.why", "WHY", "Say why a container ended, and how that is known"),
    "plugin create": Entry("system.plugins", "CREATE", "Create a plugin of a directory"),
    "plugin disable": Entry("system.plugins", "DISABLE", "End a plugin"),
    "plugin enable": Entry("system.plugins", "ENABLE", "Run a plugin"),
    "plugin inspect": Entry("inspecting", "PLUGIN", "Show all about one or more plugins"),
    "plugin install": Entry("system.plugins", "INSTALL", "Install a plugin from a registry"),
    "plugin ls": Entry("system.plugins", "LIST", "List plugins"),
    "plugin push": Entry("system.plugins", "PUSH", "Send a plugin to a registry"),
    "plugin rm": Entry("system.plugins", "REMOVE", "Remove one or more plugins"),
    "plugin set": Entry("system.plugins", "SET", "Change settings of a plugin"),
    "plugin upgrade": Entry(
        "system.plugins", "UPGRADE", "Put another version in a plugin's place"
    ),
    "volume create": Entry("volumes.verbs", "CREATE", "Create a volume"),
    "volume inspect": Entry("inspecting", "VOLUME", "Show all about one or more volumes"),
    "volume ls": Entry("volumes.verbs", "LIST_VOLUMES", "List volumes"),
    "volume prune": Entry("volumes.verbs", "PRUNE", "Remove unused volumes"),
    "volume rm": Entry(
        "volumes.verbs", "REMOVE", "Remove one or more volumes that no container has"
    ),
    "volume update": Entry("volumes.verbs", "UPDATE", "Update a volume (cluster volumes only)"),
    "volume clone": Entry("volumes.history", "CLONE", "Make a volume like another one"),
    "volume diff": Entry("volumes.history", "DIFF", "Show what changed since a snapshot"),
    "volume export": Entry("volumes.history", "EXPORT", "Write a volume's files as a tar archive"),
    "volume import": Entry("volumes.history", "IMPORT", "Make a volume of a tar archive"),
    "volume rename": Entry("volumes.history", "RENAME", "Give a volume another name"),
    "volume rollback": Entry("volumes.history", "ROLLBACK", "Let a volume be as it was"),
    "volume snapshot": Entry("volumes.history", "SNAPSHOT", "Keep how a volume is now"),
    "volume snapshots": Entry("volumes.history", "SNAPSHOTS", "List the snapshots of a volume"),
    "explain": Entry(
        "containers.explaining", "EXPLAIN", "Say what was done to the kernel for a container"
    ),
}

CANDIDATES = Entry("completion", "CANDIDATES", "What the scripts of `completion` ask for")
"""Not in the list of commands: it is for shells."""

ALIASES = {
    "container list": "container ls",
    "container ps": "container ls",
    "container remove": "container rm",
    "context list": "context ls",
    "context remove": "context rm",
    "image list": "image ls",
    "image remove": "image rm",
    "network list": "network ls",
    "pod list": "pod ps",
    "pod ls": "pod ps",
    "network remove": "network rm",
    "plugin list": "plugin ls",
    "plugin remove": "plugin rm",
    "volume list": "volume ls",
    "volume remove": "volume rm",
}

_ABSENT = {
    "": "bake buildx debug init",
    "checkpoint": "create ls rm",
    "config": "create inspect ls rm",
    "node": "demote inspect ls promote ps rm update",
    "secret": "create inspect ls rm",
    "service": "create inspect logs ls ps rm rollback scale update",
    "stack": "config deploy ls ps rm services",
    "swarm": "ca init join join-token leave unlock unlock-key update",
    "trust": "inspect revoke sign key signer",
}
ABSENT = frozenset(
    f"{group} {name}".strip() for group, names in _ABSENT.items() for name in names.split()
)
"""What docker has and Wherry has not, or not yet."""

COMMON = ("run", "exec", "ps", "images", "version", "info", "explain")


def also_known_as(path: str) -> list[str]:
    """All the names of a command, the long ones first; empty when it has just one."""
    entry = ENTRIES.get(path)  # A command of compose isn't there.
    same = [name for name, each in ENTRIES.items() if each == entry]
    names = sorted(same, key=lambda name: " " not in name)
    aliases = [alias for alias, target in ALIASES.items() if target in same]
    shown = names[:1] + aliases + names[1:]
    return shown if len(shown) > 1 else []
