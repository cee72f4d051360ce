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
    "attach": Entry("attach", "ATTACH", "Attach this terminal's streams to a running container"),
    "commit": Entry("container_files", "COMMIT", "Make an image of a container's changes"),
    "cp": Entry("copying", "COPY", "Copy files between a container and this machine"),
    "create": Entry("create", "CREATE", "Create a new container"),
    "diff": Entry("container_files", "DIFF", "Show what a container changed of its image's files"),
    "exec": Entry("exec", "EXEC", "Execute a command in a running container"),
    "export": Entry("container_files", "EXPORT", "Write a container's files as a tar archive"),
    "kill": Entry("container_verbs", "KILL", "Kill one or more running containers"),
    "logs": Entry("logs", "LOGS", "Fetch the logs of a container"),
    "pause": Entry("container_verbs", "PAUSE", "Pause all processes of one or more containers"),
    "port": Entry("container_views", "PORT", "List the port mappings of a container, or one"),
    "rename": Entry("container_verbs", "RENAME", "Rename a container"),
    "restart": Entry("container_verbs", "RESTART", "Restart one or more containers"),
    "rm": Entry("container_verbs", "REMOVE", "Remove one or more containers"),
    "run": Entry("run", "RUN", "Create and run a new container from an image"),
    "start": Entry("start", "START", "Start one or more stopped containers"),
    "stats": Entry("stats", "STATS", "Show what containers use, live"),
    "stop": Entry("container_verbs", "STOP", "Stop one or more running containers"),
    "top": Entry("container_views", "TOP", "Display the running processes of a container"),
    "unpause": Entry("container_verbs", "UNPAUSE", "Unpause one or more containers"),
    "update": Entry("update", "UPDATE", "Change what containers may use"),
    "wait": Entry(
        "container_verbs", "WAIT", "Wait until containers stop, then print their exit codes"
    ),
}
_LIST_CONTAINERS = Entry("container_list", "LIST", "List containers")
_IMAGE = {
    "build": Entry("building", "BUILD", "Build an image from a Dockerfile"),
    "history": Entry("image_history", "HISTORY", "Show the history of an image"),
    "import": Entry("image_archives", "IMPORT", "Make an image from a tarball of files"),
    "pull": Entry("transfers", "PULL", "Download an image from a registry"),
    "push": Entry("transfers", "PUSH", "Upload an image to a registry"),
    "load": Entry("image_archives", "LOAD", "Load an image from a tar archive or STDIN"),
    "save": Entry("image_archives", "SAVE", "Save images to a tar archive (STDOUT by default)"),
    "tag": Entry("image_verbs", "TAG", "Give an image another name"),
}
_REMOVE_IMAGE = Entry("image_verbs", "REMOVE", "Remove one or more images")
_LIST_IMAGES = Entry("image_list", "LIST", "List images")
_INFO = Entry("info", "INFO", "Display system-wide information")
_EVENTS = Entry("events", "EVENTS", "Get real time events from the engine")

_CONTEXT = {
    "context create": Entry("contexts", "CREATE", "Create a context"),
    "context export": Entry("contexts", "EXPORT", "Export a context to a tar archive"),
    "context import": Entry("contexts", "IMPORT", "Import a context from a tar or zip file"),
    "context inspect": Entry("contexts", "INSPECT", "Show all about one or more contexts"),
    "context ls": Entry("contexts", "LIST", "List contexts"),
    "context rm": Entry("contexts", "REMOVE", "Remove one or more contexts"),
    "context show": Entry("contexts", "SHOW", "Print the name of the current context"),
    "context update": Entry("contexts", "UPDATE", "Update a context"),
    "context use": Entry("contexts", "USE", "Set the current context"),
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
    "image bootstrap": Entry("bootstrap", "BOOTSTRAP", "Make a base image without a registry"),
    "platform disable": Entry("platforms", "DISABLE", "Stop running a platform's programs"),
    "platform enable": Entry("platforms", "ENABLE", "Run a platform's programs by an emulator"),
    "platform ls": Entry("platforms", "LIST", "List the platforms whose programs run here"),
    "network connect": Entry("network_verbs", "CONNECT", "Connect a container to a network"),
    "network create": Entry("network_verbs", "CREATE", "Create a network"),
    "network disconnect": Entry("network_verbs", "DISCONNECT", "Take a container off a network"),
    "network prune": Entry("network_verbs", "PRUNE", "Remove all unused networks"),
    "network rm": Entry("network_verbs", "REMOVE", "Remove one or more networks"),
    "network ls": Entry("network_list", "LIST", "List networks"),
    "network inspect": Entry("inspecting", "NETWORK", "Show all about one or more networks"),
    "inspect": Entry("inspecting", "INSPECT", "Show all about containers, images, networks"),
    "login": Entry("logins", "LOGIN", "Authenticate to a registry"),
    "logout": Entry("logins", "LOGOUT", "Log out from a registry"),
    "search": Entry("searching", "SEARCH", "Search a registry for images"),
    "manifest annotate": Entry("manifests", "ANNOTATE", "Say more about an image of an index"),
    "manifest create": Entry("manifests", "CREATE", "Begin an index of several images"),
    "manifest inspect": Entry("manifests", "INSPECT", "Show a manifest or an index"),
    "manifest push": Entry("manifests", "PUSH", "Send an index to its registry"),
    "manifest rm": Entry("manifests", "REMOVE", "Forget indexes that were not sent yet"),
    "play": Entry("playing", "PLAY", "Make the pods of a Kubernetes manifest"),
    "pod create": Entry("pods", "CREATE", "Make an empty pod"),
    "pod ps": Entry("pods", "LIST", "List pods"),
    "pod rm": Entry("pods", "REMOVE", "Remove one or more pods"),
    "version": Entry("version", "VERSION", "Show the versions of client and engine"),
    "info": _INFO,
    "system info": _INFO,
    "events": _EVENTS,
    "system events": _EVENTS,
    **_CONTEXT,
    "builder build": _IMAGE["build"],
    "builder prune": Entry("pruning", "BUILDS", "Remove what builds have kept"),
    "container prune": Entry("pruning", "CONTAINERS", "Remove all stopped containers"),
    "image prune": Entry("pruning", "IMAGES", "Remove unused images"),
    "system prune": Entry("pruning", "SYSTEM", "Remove unused data"),
    "system df": Entry("disk_usage", "DF", "Show the engine's disk usage"),
    "system dial-stdio": Entry("dial", "DIAL", "Carry the engine's connection over stdio"),
    "compose": Entry("compose.entry", "COMPOSE", "Define and run applications of containers"),
    "completion": Entry("completion", "COMPLETION", "Completion for bash, zsh and fish"),
    "capture": Entry("capturing", "CAPTURE", "Write a container's packets to a file"),
    "map": Entry("mapping", "MAP", "Draw all networks, and who is on them"),
    "reach": Entry("reaching", "REACH", "Say whether a packet arrives, and why not"),
    "why": Entry("why", "WHY", "Say why a container ended, and how that is known"),
    "plugin create": Entry("plugins", "CREATE", "Create a plugin of a directory"),
    "plugin disable": Entry("plugins", "DISABLE", "End a plugin"),
    "plugin enable": Entry("plugins", "ENABLE", "Run a plugin"),
    "plugin inspect": Entry("inspecting", "PLUGIN", "Show all about one or more plugins"),
    "plugin install": Entry("plugins", "INSTALL", "Install a plugin from a registry"),
    "plugin ls": Entry("plugins", "LIST", "List plugins"),
    "plugin push": Entry("plugins", "PUSH", "Send a plugin to a registry"),
    "plugin rm": Entry("plugins", "REMOVE", "Remove one or more plugins"),
    "plugin set": Entry("plugins", "SET", "Change settings of a plugin"),
    "plugin upgrade": Entry("plugins", "UPGRADE", "Put another version in a plugin's place"),
    "volume create": Entry("volumes", "CREATE", "Create a volume"),
    "volume inspect": Entry("inspecting", "VOLUME", "Show all about one or more volumes"),
    "volume ls": Entry("volumes", "LIST_VOLUMES", "List volumes"),
    "volume prune": Entry("volumes", "PRUNE", "Remove unused volumes"),
    "volume rm": Entry("volumes", "REMOVE", "Remove one or more volumes that no container has"),
    "volume update": Entry("volumes", "UPDATE", "Update a volume (cluster volumes only)"),
    "volume clone": Entry("volume_history", "CLONE", "Make a volume like another one"),
    "volume diff": Entry("volume_history", "DIFF", "Show what changed since a snapshot"),
    "volume export": Entry("volume_history", "EXPORT", "Write a volume's files as a tar archive"),
    "volume import": Entry("volume_history", "IMPORT", "Make a volume of a tar archive"),
    "volume rename": Entry("volume_history", "RENAME", "Give a volume another name"),
    "volume rollback": Entry("volume_history", "ROLLBACK", "Let a volume be as it was"),
    "volume snapshot": Entry("volume_history", "SNAPSHOT", "Keep how a volume is now"),
    "volume snapshots": Entry("volume_history", "SNAPSHOTS", "List the snapshots of a volume"),
    "explain": Entry("explaining", "EXPLAIN", "Say what was done to the kernel for a container"),
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
