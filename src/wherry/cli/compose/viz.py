"""`compose viz`: the services and what they depend on, as a graph for dot."""

from wherry.cli.command import NONE
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.selection import application_of
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import INT, SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.client.documents import child, children, text
from wherry.compose import Application

_SMALL = '<font point-size="10">'


def run(session: Session, parsed: Parsed) -> int:
    """Write the graph."""
    size = parsed.number("indentation-size", 1)
    if size < 0:
        raise CommandFailed(f"invalid indentation size: {size}")
    indent = (" " if parsed.is_on("spaces") else "\t") * size
    made = application_of(session, parsed)
    lines = [f'digraph "{made.name}" {{', f"{indent}layout=dot;"]
    for service in sorted(made.services):
        label = _label(made, service, parsed)
        lines.append(f'{indent}"{service}" [style="filled" label=<{label}>];')
    lines.append("")
    for service in sorted(made.services):
        if others := sorted(made.dependencies(service)):
            quoted = " ".join(f'"{each}"' for each in others)
            target = quoted if len(others) == 1 else f"{{{quoted}}}"
            lines.append(f'{indent}"{service}" -> {target};')
    session.say("\n".join([*lines, "}"]))
    return 0


def _label(made: Application, service: str, parsed: Parsed) -> str:
    wanted = made.services[service]
    parts = [f'<font point-size="15">{service}</font>']
    if parsed.is_on("networks"):
        parts += _part("Networks", sorted(child(wanted, "networks")))
    if parsed.is_on("ports"):
        parts += _part(
            "Ports",
            [
                f"{text(each, 'host_ip')}{_published(text(each, 'published'))}:"
                f"{each.get('target')} ({text(each, 'protocol')}, {text(each, 'mode')})"
                for each in children(wanted, "ports")
            ],
        )
    if parsed.is_on("image"):
        parts += _part("Image", [made.image_of(service)])
    return "".join(parts)


def _published(port: str) -> str:
    return f":{port}" if port else ""


def _part(title: str, lines: list[str]) -> list[str]:
    shown = "".join(f"<br/>{line}" for line in lines)
    return [f"{_SMALL}<br/><br/><b>{title}:</b>{shown}</font>"] if lines else []


VIZ = ComposeCommand(
    "",
    "Write the services and their dependencies as a graph (dot)",
    NONE,
    run,
    (
        Flag("image", SWITCH, "Show the images"),
        Flag("indentation-size", INT, "Tabs or spaces per level", default="1"),
        Flag("networks", SWITCH, "Show the networks"),
        Flag("ports", SWITCH, "Show the ports"),
        Flag("spaces", SWITCH, "Indent by spaces"),
    ),
)
