"""The map in words, and as a graph for Graphviz."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wherry.client.documents import Document, children, flag, text, texts

_QUIET = ("host", "none")
"""Networks that are worth a line only when somebody is on them."""

# -- text ------------------------------------------------------------------------------------


class Branch(NamedTuple):
    """A line of the tree, and what hangs on it."""

    line: str
    below: "Sequence[Branch]" = ()
    notes: Sequence[str] = ()
    """Lines about it that are no branches."""


def as_text(drawn: Document) -> str:
    """Network by network, who is there and where; then who is on none."""
    containers = children(drawn, "Containers")
    networks = [_network(each, containers) for each in children(drawn, "Networks")]
    sharing = [
        Branch(f"{_named(each)}  in the network of {owner_of(drawn, each)}")
        for each in containers
        if text(each, "SharesNetworkOf")
    ]
    shown = [each for each in networks if each.below or each.line.split()[0] not in _QUIET]
    return "\n".join([text(drawn, "Host"), *_tree([*shown, *sharing])])


def _network(network: Document, containers: list[Document]) -> Branch:
    name = text(network, "Name")
    there = [
        _container(each, endpoint)
        for each in containers
        for endpoint in children(each, "Endpoints")
        if text(endpoint, "Network") == name
    ]
    return Branch(f"{name}  {caption(network)}".rstrip(), there)


def _container(container: Document, endpoint: Document) -> Branch:
    is_way_out = flag(endpoint, "IsWayOut")
    where = " ".join([*texts(endpoint, "Addresses"), text(endpoint, "Interface")])
    out = "  way out" if is_way_out and len(_places(container)) > 1 else ""
    notes = texts(container, "Published") if is_way_out else []
    return Branch(f"{_named(container)}  {where}{out}".rstrip(), notes=notes)


def _tree(branches: Sequence[Branch]) -> Iterator[str]:
    for number, branch in enumerate(branches, 1):
        is_last = number == len(branches)
        yield f"{'└─' if is_last else '├─'} {branch.line}"
        margin = "   " if is_last else "│  "
        yield from (f"{margin}   {note}" for note in branch.notes)
        yield from (f"{margin}{line}" for line in _tree(branch.below))


def caption(network: Document) -> str:
    """What sets a network apart, in a few words."""
    words = [text(network, "Driver"), *texts(network, "Subnets")]
    if flag(network, "Internal"):
        words.append("internal")
    return " ".join(words)


def owner_of(drawn: Document, container: Document) -> str:
    """The name of the container whose network another has."""
    wanted = text(container, "SharesNetworkOf")
    found = (text(each, "Name") for each in children(drawn, "Containers")
             if wanted in (text(each, "Id"), text(each, "Name")))  # fmt: skip
    return next(found, wanted[:12])


def _named(container: Document) -> str:
    state = text(container, "State")
    return text(container, "Name") + ("" if state == "running" else f" ({state})")


def _places(container: Document) -> list[Document]:
    return children(container, "Endpoints")


# -- Graphviz --------------------------------------------------------------------------------


def as_dot(drawn: Document) -> str:
    """A graph for `dot -Tsvg`: networks are ellipses, containers boxes, edges have addresses."""
    lines = ["graph wherry {", "  layout=dot; rankdir=LR; node [fontname=sans];"]
    for network in children(drawn, "Networks"):
        name = text(network, "Name")
        lines.append(f"  {_quoted('n ' + name)} [shape=ellipse, "
                     f"label={_quoted(name + chr(10) + caption(network))}];")  # fmt: skip
    for container in children(drawn, "Containers"):
        name = text(container, "Name")
        label = "\n".join([_named(container), text(container, "Image"),
                           *texts(container, "Published")])  # fmt: skip
        lines.append(f"  {_quoted('c ' + name)} [shape=box, label={_quoted(label)}];")
        for endpoint in _places(container):
            there = "\n".join(texts(endpoint, "Addresses"))
            ends = f"{_quoted('c ' + name)} -- {_quoted('n ' + text(endpoint, 'Network'))}"
            lines.append(f"  {ends} [label={_quoted(there)}];")
        if text(container, "SharesNetworkOf"):
            owner = _quoted("c " + owner_of(drawn, container))
            lines.append(f"  {_quoted('c ' + name)} -- {owner} [style=dashed];")
    return "\n".join([*lines, "}"])


def _quoted(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
