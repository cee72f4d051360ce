"""The options of a mount in the specification, sorted by who understands them."""

from wherry.kit.values import dataclass
from wherry.oci.runtime_spec import Mount
from wherry.operations.files.mounts import ATTRIBUTE_WORDS, PROPAGATIONS

_PROPAGATION_WORDS = frozenset({*PROPAGATIONS, *(f"r{each}" for each in PROPAGATIONS)})
_IGNORED = frozenset({"defaults", "async", "nouser", "auto", "noauto", "user"})
"""Words of fstab(5) that say nothing to the kernel."""

_COPY_UP = "tmpcopyup"
"""runc's word, which podman gives to each `--tmpfs`."""

SUBPATH = "x-wherry.subpath="
"""A word of our own; those with `x-` are never the kernel's (mount(8))."""


class PlanRefused(ValueError):
    """The specification asks for what can't or must not be done; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountWords:
    """The options of one mount."""

    is_bind: bool
    is_recursive: bool
    attributes: tuple[str, ...]
    """Of the mount (`ro`, `nosuid`)."""
    recursive_attributes: tuple[str, ...]
    """Of the mount and those below (`rro`), without the `r`."""
    propagation: str
    options: tuple[tuple[str, str | None], ...]
    """Of the file system (`size=64m`)."""
    id_map: str = ""
    """`idmap`, `ridmap` for the mounts below as well, or empty: owners are shown as they are."""
    subpath: str = ""
    """Of a bind: the place below its source that is meant."""
    copies_up: bool = False
    """Whether a tmpfs begins with what it hides."""


def mount_words(mount: Mount) -> MountWords:
    """Sort the options of a mount."""
    is_bind = mount.type == "bind" or "bind" in mount.options or "rbind" in mount.options
    attributes, recursive, options = [], [], []
    propagation = id_map = subpath = ""
    if mount.uid_mappings or mount.gid_mappings:
        id_map = "idmap"
    for word in mount.options:
        if word in ATTRIBUTE_WORDS:
            attributes.append(word)
        elif word[:1] == "r" and word[1:] in ATTRIBUTE_WORDS:
            recursive.append(word[1:])
        elif word in _PROPAGATION_WORDS:
            propagation = word
        elif word == _COPY_UP:
            if mount.type != "tmpfs":
                raise PlanRefused(f"mount {mount.destination}: {_COPY_UP} is for tmpfs alone")
        elif word in ("idmap", "ridmap"):
            id_map = word
        elif word.startswith(SUBPATH):
            subpath = word.removeprefix(SUBPATH)
        elif word not in ("bind", "rbind") and word not in _IGNORED:
            name, equals, value = word.partition("=")
            options.append((name, value if equals else None))
    return MountWords(
        is_bind=is_bind,
        is_recursive="rbind" in mount.options,
        attributes=tuple(attributes),
        recursive_attributes=tuple(recursive),
        propagation=propagation,
        options=tuple(options),
        id_map=id_map,
        subpath=subpath,
        copies_up=_COPY_UP in mount.options,
    )
