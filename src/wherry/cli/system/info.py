"""`info`: the engine and the machine it is on."""

from wherry.cli.command import NONE, Command
from wherry.cli.entry import VERSION
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, Flag, Parsed
from wherry.cli.session import Session, explain
from wherry.cli.system.version import client_version
from wherry.client.documents import Document, Json, child, flag, number, text, texts
from wherry.client.errors import ClientError
from wherry.client.transport import NEWEST_VERSION
from wherry.kit.byte_sizes import binary_size


def run(session: Session, parsed: Parsed) -> int:
    """Print what the engine says of itself; the client's part also when none answers."""
    info: Document | None = None
    problem = ""
    try:
        info = session.client.system.info()
    except ClientError as failure:
        problem = explain(failure)
    if form := parsed.text("format"):
        return _show_formatted(session, form, info, problem)
    _show_client(session)
    if info is not None:
        session.say("Server:")
        _show_server(session, info)
    session.say()
    for warning in texts(info or {}, "Warnings"):
        session.complain(warning)
    if problem:
        raise CommandFailed(f"{problem}\nerrors pretty printing info")
    return 0


def _show_client(session: Session) -> None:
    session.say("Client: Wherry")
    session.say(f" Version:    {VERSION}")
    session.say(" Context:    default")
    session.say(f" Debug Mode: {_truth(session.is_debugging)}")
    session.say()


def _show_server(session: Session, info: Document) -> None:
    say = session.say
    say(f" Containers: {number(info, 'Containers')}")
    for state in ("Running", "Paused", "Stopped"):
        say(f"  {state}: {number(info, f'Containers{state}')}")
    say(f" Images: {number(info, 'Images')}")
    _named(session, info, ("ServerVersion", "Server Version"), ("Driver", "Storage Driver"))
    for key, value in _pairs(info.get("DriverStatus")):
        say(f"  {key}: {value}")
    _named(
        session,
        info,
        ("LoggingDriver", "Logging Driver"),
        ("CgroupDriver", "Cgroup Driver"),
        ("CgroupVersion", "Cgroup Version"),
    )
    _show_plugins(session, child(info, "Plugins"))
    _show_swarm(session, child(info, "Swarm"))
    _show_runtimes(session, info)
    _show_security(session, info)
    _named(
        session,
        info,
        ("KernelVersion", "Kernel Version"),
        ("OperatingSystem", "Operating System"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
    )
    say(f" CPUs: {number(info, 'NCPU')}")
    say(f" Total Memory: {binary_size(number(info, 'MemTotal'))}")
    _named(session, info, ("Name", "Name"), ("ID", "ID"), ("DockerRootDir", "Docker Root Dir"))
    say(f" Debug Mode: {_truth(flag(info, 'Debug'))}")
    _named(
        session,
        info,
        ("HttpProxy", "HTTP Proxy"),
        ("HttpsProxy", "HTTPS Proxy"),
        ("NoProxy", "No Proxy"),
    )
    _listed(session, "Labels", texts(info, "Labels"))
    say(f" Experimental: {_truth(flag(info, 'ExperimentalBuild'))}")
    registries = child(info, "RegistryConfig")
    _listed(session, "Insecure Registries", texts(registries, "InsecureRegistryCIDRs"))
    _listed(session, "Registry Mirrors", texts(registries, "Mirrors"))
    say(f" Live Restore Enabled: {_truth(flag(info, 'LiveRestoreEnabled'))}")


def _show_plugins(session: Session, plugins: Document) -> None:
    session.say(" Plugins:")
    for kind in ("Volume", "Network", "Authorization", "Log"):
        if names := texts(plugins, kind):
            session.say(f"  {kind}: {' '.join(names)}")
    if not any(texts(plugins, kind) for kind in ("Volume", "Network")):
        session.say("  Volume: ")
        session.say("  Network: ")


def _show_swarm(session: Session, swarm: Document) -> None:
    session.say(f" Swarm: {text(swarm, 'LocalNodeState') or 'inactive'}")


def _show_runtimes(session: Session, info: Document) -> None:
    runtimes = child(info, "Runtimes")
    if runtimes:
        session.say(f" Runtimes: {' '.join(sorted(runtimes))}")
        session.say(f" Default Runtime: {text(info, 'DefaultRuntime')}")
    _named(session, info, ("InitBinary", "Init Binary"))
    for key, name in (
        ("ContainerdCommit", "containerd"), ("RuncCommit", "runc"), ("InitCommit", "init")
    ):  # fmt: skip
        if key in info:
            session.say(f" {name} version: {text(child(info, key), 'ID')}")


def _show_security(session: Session, info: Document) -> None:
    options = texts(info, "SecurityOptions")
    if not options:
        return
    session.say(" Security Options:")
    for option in options:
        fields = dict(_field(part) for part in option.split(","))
        session.say(f"  {fields.pop('name', '')}")
        for key, value in fields.items():
            session.say(f"   {key.title()}: {value}")


def _field(text_of_field: str) -> tuple[str, str]:
    key, _, value = text_of_field.partition("=")
    return key, value


def _listed(session: Session, title: str, values: list[str]) -> None:
    if values:
        session.say(f" {title}:")
        for value in values:
            session.say(f"  {value}")


def _named(session: Session, info: Document, *names: tuple[str, str]) -> None:
    for key, shown in names:
        if value := text(info, key):
            session.say(f" {shown}: {value}")


def _pairs(value: Json) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        return []
    return [
        (str(pair[0]), str(pair[1])) for pair in value if isinstance(pair, list) and len(pair) == 2
    ]


def _truth(claim: bool) -> str:
    return "true" if claim else "false"


def _show_formatted(session: Session, form: str, info: Document | None, problem: str) -> int:
    from wherry.cli.templates.docker_types import type_named
    from wherry.cli.templates.executor import TemplateExecutionError, execute
    from wherry.cli.templates.functions import ALL
    from wherry.cli.templates.parser import TemplateSyntaxError, parse
    from wherry.cli.templates.values import Value, decode

    of = type_named("system.dockerInfo")
    client = client_version(NEWEST_VERSION) | {"Debug": session.is_debugging, "Plugins": []}
    client.pop("ApiVersion")
    document: Document = {**(info or {}), "ClientInfo": client}
    if problem:
        document["ServerErrors"] = [problem]
    try:
        template = parse("{{json .}}" if form == "json" else form, functions=ALL)
    except TemplateSyntaxError as failure:
        raise CommandFailed(f"template parsing error: {failure}", code=64) from None
    try:
        session.say(execute(template, Value(of, decode(of, document))))
    except TemplateExecutionError as failure:
        session.say()
        raise CommandFailed(str(failure)) from None
    if problem:
        raise CommandFailed(problem)
    return 0


INFO = Command(
    shape="",
    summary="Display system-wide information",
    arguments=NONE,
    run=run,
    flags=(Flag("format", STRING, "How to print: json or a Go template", short="f"),),
)
