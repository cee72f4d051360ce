"""`compose config`: the project as its files mean it, or one aspect of it, one per line."""

from wherry.cli.command import ANY, NONE
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.selection import project_of, warner, wishes_of
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.session import Session
from wherry.client.documents import Document, child, document, text, texts
from wherry.compose import (
    COMPOSE_VERSION,
    Project,
    as_json,
    as_yaml,
    escaped,
    json_order,
    service_hash,
    traps_in,
    variables_in,
)

_ASPECTS = ("environment", "hash", "images", "models", "networks", "profiles", "services",
            "variables", "volumes")  # fmt: skip


def run(session: Session, parsed: Parsed) -> int:
    """Read the project and show what was asked for."""
    form = parsed.text("format", "yaml") or "yaml"
    if form not in ("yaml", "json"):
        raise CommandFailed(f'unsupported format "{form}"')
    aspects = [name for name in _ASPECTS if parsed.was_given(name)]
    if aspects == ["variables"] or parsed.is_on("no-interpolate"):
        wishes = wishes_of(parsed)._replace(
            interpolates=False, resolves_environment=False, checks_consistency=False
        )
    else:
        wishes = wishes_of(parsed)
    wishes = wishes._replace(
        normalises=not parsed.is_on("no-normalize"),
        resolves_paths=not parsed.is_on("no-path-resolution"),
        resolves_environment=wishes.resolves_environment and aspects != ["hash"],
        checks_consistency=wishes.checks_consistency and not parsed.is_on("no-consistency"),
    )
    project = project_of(session, parsed, wishes)
    project.services(parsed.arguments)
    _warn_of_traps(session, project)
    if parsed.is_on("quiet"):
        return 0
    if aspects:
        shown = "".join(f"{line}\n" for line in _aspect(aspects[0], project, parsed))
    elif parsed.is_on("no-interpolate"):
        shown = _rendered(_sorted(_with_digests(session, project.document, parsed)), form)
    else:
        typed = document(escaped(_with_digests(session, project.typed(parsed.arguments), parsed)))
        shown = _rendered(json_order(typed) if form == "json" else typed, form)
    _write(session, shown, parsed.text("output"))
    return 0


def _with_digests(session: Session, typed: Document, parsed: Parsed) -> Document:
    """The project with its images pinned, or of it these pins alone, where that is wanted."""
    is_lock = parsed.is_on("lock-image-digests")
    if not is_lock and not parsed.is_on("resolve-image-digests"):
        return typed
    from wherry.cli.compose.digests import images_alone, pinned

    services = pinned(session, child(typed, "services"))
    return {"services": images_alone(services)} if is_lock else {**typed, "services": services}


def _warn_of_traps(session: Session, project: Project) -> None:
    """Say where a file means something else to an older YAML."""
    warn = warner(session)
    for path in project.files:
        if path != "-":
            with open(path, "rb") as file:
                for trap in traps_in(file.read()):
                    warn(f"{path}: line {trap.line}: {trap.problem}")


def _rendered(value: Document, form: str) -> str:
    return as_json(value) + "\n" if form == "json" else as_yaml(value)


def _sorted(value: Document) -> Document:
    """Keys in order all the way down: nobody knows yet what the values mean."""
    return {
        key: _sorted(each) if isinstance(each, dict) else each
        for key, each in sorted(value.items())
    }


def _write(session: Session, shown: str, path: str) -> None:
    if not path:
        session.out.write(shown)
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write(shown)


def _aspect(name: str, project: Project, parsed: Parsed) -> list[str]:
    typed = project.typed(parsed.arguments) if name != "variables" else {}
    services = child(typed, "services")
    match name:
        case "services":
            return list(services)
        case "hash":
            return _hashes(services, parsed.text("hash"))
        case "images":
            return [
                text(document(each), "image") or f"{project.name}-{service}"
                for service, each in services.items()
            ]
        case "profiles":
            every = {p for each in project.all_services.values() for p in texts(each, "profiles")}
            return sorted(every)
        case "environment":
            return [f"{key}={each}" for key, each in sorted(
                {"COMPOSE_PROJECT_NAME": project.name, **project.environment}.items()
            )]  # fmt: skip
        case "variables":
            return _variables(project)
    return list(child(typed, name))


def _hashes(services: Document, wanted: str) -> list[str]:
    names = list(services) if wanted == "*" else sorted(wanted.split(","))
    for name in names:
        if name not in services:
            raise CommandFailed(f"no such service: {name}")
    return [f"{name} {service_hash(document(services[name]))}" for name in names]


def _variables(project: Project) -> list[str]:
    """The variables of the files, as a table."""
    from wherry.cli.tables import table

    rows = [["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"]]
    for each in variables_in(project.document):
        default = each.argument if each.operator in ("-", ":-") else ""
        alternate = each.argument if each.operator in ("+", ":+") else ""
        is_required = each.operator in ("?", ":?")
        rows.append([each.name, str(is_required).lower(), default, alternate])
    return table(rows, least=20).splitlines()


def version(session: Session, parsed: Parsed) -> int:
    """Say which Compose this is."""
    form = parsed.text("format", "pretty") or "pretty"
    if parsed.is_on("short"):
        session.say(COMPOSE_VERSION)
    elif form == "json":
        session.say(f'{{"version":"v{COMPOSE_VERSION}"}}')
    else:
        session.say(f"Docker Compose version v{COMPOSE_VERSION} (as Wherry does it)")
    return 0


CONFIG = ComposeCommand(
    "[SERVICE...]",
    "Parse, resolve and render Compose files in canonical form",
    ANY,
    run,
    (
        Flag("environment", SWITCH, "Print environment used for interpolation"),
        Flag("format", STRING, "Format the output. Values: [yaml | json]"),
        Flag("hash", STRING, "Print the service config hash, one per line"),
        Flag("images", SWITCH, "Print the image names, one per line"),
        Flag("lock-image-digests", SWITCH, "Print an override file with the digests of images"),
        Flag("models", SWITCH, "Print the model names, one per line"),
        Flag("networks", SWITCH, "Print the network names, one per line"),
        Flag("no-consistency", SWITCH, "Don't check that the parts fit together"),
        Flag("no-env-resolution", SWITCH, "In Compose 2.40.3 env files are resolved all the same"),
        Flag("no-interpolate", SWITCH, "Don't interpolate environment variables"),
        Flag("no-normalize", SWITCH, "Don't normalize compose model"),
        Flag("no-path-resolution", SWITCH, "Don't resolve file paths"),
        Flag("output", STRING, "Save to file (default to stdout)", short="o"),
        Flag("profiles", SWITCH, "Print the profile names, one per line"),
        Flag("quiet", SWITCH, "Only validate the configuration", short="q"),
        Flag("resolve-image-digests", SWITCH, "Pin image tags to digests"),
        Flag("services", SWITCH, "Print the service names, one per line"),
        Flag("variables", SWITCH, "Print model variables and default values"),
        Flag("volumes", SWITCH, "Print the volume names, one per line"),
    ),
)
VERSION = ComposeCommand(
    "",
    "Show which Compose this is",
    NONE,
    version,
    (
        Flag("format", STRING, "Format the output. Values: [pretty | json]", short="f"),
        Flag("short", SWITCH, "Show only the version number"),
    ),
)
