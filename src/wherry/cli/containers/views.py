"""`top` and `port`: one container, looked at from outside."""

from wherry.cli.command import ONE_OR_MORE, Arguments, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import Parsed, read_unsigned
from wherry.cli.session import Session
from wherry.cli.tables import table
from wherry.client.documents import Document, child, children, text, texts
from wherry.kit.urls import with_port

_TOP_WIDTH = 20


def top(session: Session, parsed: Parsed) -> int:
    """Print the processes of a container."""
    name, *options = parsed.arguments
    found = session.client.containers.top(name, " ".join(options))
    rows = [texts(found, "Titles")]
    processes = found.get("Processes")
    if isinstance(processes, list):
        rows += [[str(cell) for cell in row] for row in processes if isinstance(row, list)]
    session.out.write(table(rows, least=_TOP_WIDTH))
    return 0


def port(session: Session, parsed: Parsed) -> int:
    """Print where the ports of a container are published."""
    name, *wanted = parsed.arguments
    ports = child(child(session.client.containers.inspect(name), "NetworkSettings"), "Ports")
    if wanted:
        return _one_port(session, name, ports, wanted[0])
    lines = [
        (int(number), protocol, f"{key} -> {_address(binding)}")
        for key in ports
        for number, _, protocol in (key.partition("/"),)
        for binding in children(ports, key)
    ]
    for _number, _protocol, line in sorted(lines, key=lambda each: (each[0], each[1])):
        session.say(line)
    return 0


def _one_port(session: Session, name: str, ports: Document, wanted: str) -> int:
    number, _, protocol = wanted.partition("/")
    protocol = protocol.lower() or "tcp"
    try:
        read_unsigned(number, bits=16)
    except ValueError as problem:
        raise CommandFailed(f"Error: invalid port ({number}): {problem}") from None
    bindings = children(ports, f"{number}/{protocol}")
    if not bindings:
        raise CommandFailed(f"Error: No public port '{wanted}' published for {name}")
    for binding in bindings:
        session.say(_address(binding))
    return 0


def _address(binding: Document) -> str:
    return with_port(text(binding, "HostIp"), text(binding, "HostPort"))


TOP = Command(
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    ONE_OR_MORE,
    top,
    interspersed=False,
)
PORT = Command(
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List the port mappings of a container, or one",
    Arguments(1, 2),
    port,
)
