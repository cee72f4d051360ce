"""The map in words, and as a graph for Graphviz."""

from wherry.client.documents import Document, children, flag, text, texts

# -- text ------------------------------------------------------------------------------------


def as_text(drawn: Document) -> str:
    """Network by network, who is there and where; then who is on none."""
    lines = [text(drawn, "Host")]
    for network in children(drawn, "Networks"):
        name = text(network, "Name")
        there = [
            (each, endpoint)
            for each in children(drawn, "Containers")
            for endpoint in children(each, "Endpoints")
            if text(endpoint, "Network") == name
        ]
        if not there and name in ("host", "none"):
            continue
        lines.append(f"├─ {name}  {caption(network)}".rstrip())
        for container, endpoint in there:
            where = " ".join([*texts(endpoint, "Addresses"), text(endpoint, "Interface")])
            out = "  way out" if flag(endpoint, "IsWayOut") and len(_places(container)) > 1 else ""
            lines.append(f"│  ├─ {_named(container)}  {where}{out}".rstrip())
            if flag(endpoint, "IsWayOut"):
                lines += [f"│  │     {each}" for each in texts(container, "Published")]
    sharing = [each for each in children(drawn, "Containers") if text(each, "SharesNetworkOf")]
    lines += [f"├─ {_named(each)}  in the network of {owner_of(drawn, each)}" for each in sharing]
    return "\n".join(lines)


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
