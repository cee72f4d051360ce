"""`version`: the client's and the engine's."""

import os
import sys
import time

from wherry.cli.command import NONE, Command
from wherry.cli.entry import VERSION as CLIENT_VERSION
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, Flag, Parsed
from wherry.cli.session import Session, explain
from wherry.client.documents import Document, as_json, child, children, mapping, text
from wherry.client.errors import ClientError
from wherry.client.transport import NEWEST_VERSION
from wherry.kit.timestamps import NANOSECONDS, parse_rfc3339

_NAME_WIDTH = 20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def run(session: Session, parsed: Parsed) -> int:
    """Print versions; the client's also when no engine answers."""
    server: Document | None = None
    problem = ""
    spoken = NEWEST_VERSION
    try:
        server = session.client.system.version()
        spoken = session.client.version
    except ClientError as failure:
        problem = explain(failure)
    if form := parsed.text("format"):
        return _show_formatted(session, form, client_version(spoken), server, problem)
    _show(session, spoken, server)
    if problem:
        raise CommandFailed(problem)
    return 0


def client_version(spoken: str) -> Document:
    """What we are, with the field names of Docker's clients; Python stands where Go would."""
    system = os.uname()
    python = ".".join(map(str, sys.version_info[:3]))
    return {
        "Version": CLIENT_VERSION,
        "ApiVersion": spoken,
        "DefaultAPIVersion": NEWEST_VERSION,
        "GitCommit": "",
        "GoVersion": f"python{python}",
        "Os": system.sysname.lower(),
        "Arch": _ARCHITECTURES.get(system.machine, system.machine),
        "BuildTime": "",
        "Context": "default",
    }


def _show(session: Session, spoken: str, server: Document | None) -> None:
    client = client_version(spoken)
    api = spoken if spoken == NEWEST_VERSION else f"{spoken} (downgraded from {NEWEST_VERSION})"
    session.say("Client: Wherry")
    _pair(session, 1, "Version", text(client, "Version"))
    _pair(session, 1, "API version", api)
    _pair(session, 1, "Python version", text(client, "GoVersion").removeprefix("python"))
    _pair(session, 1, "OS/Arch", f"{text(client, 'Os')}/{text(client, 'Arch')}")
    _pair(session, 1, "Context", "default")
    if server is None:
        return
    session.say()
    name = text(child(server, "Platform"), "Name")
    session.say(f"Server: {name}".rstrip() if name else "Server:")
    for component in children(server, "Components") or [_engine(server)]:
        _show_component(session, component)


def _engine(server: Document) -> Document:
    """The engine as a component, for engines that don't list their parts."""
    details = {key: value for key, value in server.items() if isinstance(value, str)}
    return {"Name": "Engine", "Version": text(server, "Version"), "Details": as_json(details)}


def _show_component(session: Session, component: Document) -> None:
    details = mapping(component, "Details")
    session.say(f" {text(component, 'Name')}:")
    _pair(session, 2, "Version", text(component, "Version"))
    if "ApiVersion" not in details:
        for key in sorted(details):
            _pair(session, 2, key, details[key])
        return
    least = details.get("MinAPIVersion", "")
    api = details["ApiVersion"] + (f" (minimum version {least})" if least else "")
    _pair(session, 2, "API version", api)
    for key, shown in (
        ("GoVersion", "Go version"), ("PythonVersion", "Python version"),
        ("GitCommit", "Git commit"), ("BuildTime", "Built"),
    ):  # fmt: skip
        if key in details:
            value = details[key]
            _pair(session, 2, shown, _built_at(value) if key == "BuildTime" else value)
    system = f"{details.get('Os', '')}/{details.get('Arch', '')}"
    _pair(session, 2, "OS/Arch", system)
    if "Experimental" in details:
        _pair(session, 2, "Experimental", details["Experimental"])


def _pair(session: Session, indent: int, name: str, value: str) -> None:
    session.say(" " * indent + f"{name}:".ljust(_NAME_WIDTH - indent) + value)


def _built_at(text_of_time: str) -> str:
    """A build's time as people read it: `Fri May 30 12:07:14 2025`."""
    try:
        moment_ns = parse_rfc3339(text_of_time)
    except ValueError:
        return text_of_time
    return time.asctime(time.gmtime(moment_ns // NANOSECONDS))


def _show_formatted(
    session: Session, form: str, client: Document, server: Document | None, problem: str
) -> int:
    from wherry.cli.templates.docker_types import type_named
    from wherry.cli.templates.executor import TemplateExecutionError, execute
    from wherry.cli.templates.functions import ALL
    from wherry.cli.templates.parser import TemplateSyntaxError, parse
    from wherry.cli.templates.values import Value, decode

    of = type_named("system.versionInfo")
    document: Document = {"Client": client, "Server": server}
    try:
        template = parse("{{json .}}" if form == "json" else form, functions=ALL, name="version")
    except TemplateSyntaxError as failure:
        raise CommandFailed(f"template parsing error: {failure}", code=64) from None
    try:
        session.say(execute(template, Value(of, decode(of, document))))
    except TemplateExecutionError as failure:
        session.say()
        raise CommandFailed("\n".join(filter(None, (problem, str(failure))))) from None
    if problem:
        raise CommandFailed(problem)
    return 0


VERSION = Command(
    shape="",
    summary="Show the versions of client and engine",
    arguments=NONE,
    run=run,
    flags=(Flag("format", STRING, "How to print: json or a Go template", short="f"),),
)
