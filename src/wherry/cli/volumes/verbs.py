"""`volume create`, `ls`, `rm`, `prune`, `update`."""

from wherry.cli import rows
from wherry.cli.command import AT_MOST_ONE, NONE, ONE_OR_MORE, Command
from wherry.cli.containers.verbs import for_each
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import (
    FILTER,
    MAP,
    STRING,
    SWITCH,
    Flag,
    Parsed,
    absent_flag,
    filters_of,
)
from wherry.cli.options.environment import LABELS
from wherry.cli.session import Session
from wherry.cli.system.pruning import confirmed
from wherry.client.documents import Document, as_json, mapping, number, text, texts
from wherry.kit.byte_sizes import human_size

_TABLE = ("Driver", "Name")


def create(session: Session, parsed: Parsed) -> int:
    """Make a volume and print its name."""
    name = parsed.text("name")
    if parsed.arguments:
        if name:
            raise CommandFailed(
                "conflicting options: cannot specify a volume-name through both --name "
                "and as a positional arg"
            )
        [name] = parsed.arguments
    wish: Document = {
        "Name": name,
        "Driver": parsed.text("driver") or "local",
        "DriverOpts": as_json(_pairs(parsed.texts("opt"))),
        "Labels": as_json(_pairs(parsed.texts("label"))),
    }
    session.say(text(session.client.volumes.create(wish), "Name"))
    return 0


def _pairs(words: list[str]) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in words)


def list_(session: Session, parsed: Parsed) -> int:
    """List volumes by name."""
    found = session.client.volumes.list(filters_of(parsed))
    found.sort(key=lambda volume: text(volume, "Name"))
    form = parsed.text("format") or session.setting("volumesFormat")
    rows.show(
        session,
        found,
        _COLUMNS,
        _TABLE,
        form=form,
        is_quiet=parsed.is_on("quiet"),
        raw="name: {{.Name}}\ndriver: {{.Driver}}\n",
        identity="Name",
    )
    return 0


def remove(session: Session, parsed: Parsed) -> int:
    """Remove volumes."""
    volumes, is_forced = session.client.volumes, parsed.is_on("force")
    return for_each(
        session, parsed.arguments, lambda name: volumes.remove(name, is_forced=is_forced)
    )


def prune(session: Session, parsed: Parsed) -> int:
    """Remove anonymous volumes that no container has, with `--all` the named ones too."""
    filters, takes_all = filters_of(parsed), parsed.is_on("all")
    if takes_all and "all" in filters:
        raise CommandFailed("conflicting options: cannot specify both --all and --filter all=1")
    kind = "all" if takes_all else "anonymous"
    warning = f"WARNING! This will remove {kind} local volumes not used by at least one container."
    if not parsed.is_on("force") and not confirmed(session, warning):
        return 0
    if takes_all:
        filters["all"] = ["true"]
    answer = session.client.system.prune("volumes", filters)
    deleted = texts(answer, "VolumesDeleted")
    if deleted:
        session.say("\n".join(["Deleted Volumes:", *deleted, ""]))
    session.say(f"Total reclaimed space: {human_size(number(answer, 'SpaceReclaimed'))}")
    return 0


def update(session: Session, parsed: Parsed) -> int:
    """Say that only volumes of a cluster can be changed."""
    raise CommandFailed("Can only update cluster volumes")


def _labels(volume: Document) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(mapping(volume, "Labels").items()))


_COLUMNS: rows.Columns[Document] = rows.Columns(
    type_name="volume.volumeContext",
    columns=(
        rows.Column("Driver", "DRIVER", lambda volume: text(volume, "Driver")),
        rows.Column("Name", "VOLUME NAME", lambda volume: text(volume, "Name")),
        rows.Column("Scope", "SCOPE", lambda volume: text(volume, "Scope")),
        rows.Column("Mountpoint", "MOUNTPOINT", lambda volume: text(volume, "Mountpoint")),
        rows.Column("Labels", "LABELS", _labels),
        rows.Column("Links", "LINKS", lambda _volume: "N/A"),
        rows.Column("Size", "SIZE", lambda _volume: "N/A"),
        rows.Column("Availability", "AVAILABILITY", lambda _volume: "N/A"),
        rows.Column("Group", "GROUP", lambda _volume: "N/A"),
        rows.Column("Status", "STATUS", lambda _volume: "N/A"),
    ),
    label=lambda volume, key: mapping(volume, "Labels").get(key, ""),
)

CREATE = Command(
    "[VOLUME]",
    "Create a volume",
    AT_MOST_ONE,
    create,
    (
        Flag("driver", STRING, "Driver that keeps the volume", short="d", default='"local"'),
        Flag("label", LABELS, "Set metadata for a volume"),
        Flag("name", STRING, "Name of the volume", is_hidden=True),
        Flag("opt", MAP, "Set an option of the driver (NAME=VALUE)", short="o"),
    ),
)
LIST_VOLUMES = Command(
    "",
    "List volumes",
    NONE,
    list_,
    (
        absent_flag("cluster", "volumes of a cluster alone"),
        Flag("filter", FILTER, 'Show only what matches ("dangling=true")', short="f"),
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("quiet", SWITCH, "Show names only", short="q"),
    ),
)
REMOVE = Command(
    "VOLUME [VOLUME...]",
    "Remove one or more volumes that no container has",
    ONE_OR_MORE,
    remove,
    (Flag("force", SWITCH, "A volume that isn't there is no failure", short="f"),),
)
PRUNE = Command(
    "",
    "Remove unused volumes",
    NONE,
    prune,
    (
        Flag("all", SWITCH, "Remove all unused volumes, not just anonymous ones", short="a"),
        Flag("filter", FILTER, 'Provide filter values ("label=<label>")'),
        Flag("force", SWITCH, "Do not prompt for confirmation", short="f"),
    ),
)
UPDATE = Command(
    "[VOLUME]",
    "Update a volume (cluster volumes only)",
    AT_MOST_ONE,
    update,
    (Flag("availability", STRING, "Of a cluster volume", default='"active"'),),
)
