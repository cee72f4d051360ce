"""References of which a request gives the name and the tag apart.

A tag in the name gives way to the one beside it, as in Docker; SDKs send both.
"""


def tagged(name: str, tag: str) -> str:
    """One reference of both; the tag may be a digest."""
    if not name or not tag:
        return name
    separator = "@" if tag.startswith("sha256:") else ":"
    return f"{untagged(name, tag)}{separator}{tag}"


def untagged(name: str, tag: str) -> str:
    """The name that goes with a tag beside it."""
    return name if not tag or is_bare(name) else name.rpartition(":")[0]


def is_bare(name: str) -> bool:
    """Whether a name says neither a tag nor a digest."""
    return "@" not in name and ":" not in name.rpartition("/")[2]
