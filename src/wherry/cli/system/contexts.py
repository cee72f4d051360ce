"""`context`: named engines. The store is shared with docker's own client."""

import json
import os
import sys
from collections.abc import Mapping

from wherry.cli import rows
from wherry.cli.command import ANY, NONE, ONE, ONE_OR_MORE, TWO, Arguments, Command
from wherry.cli.configuration import configuration_directory, load_configuration, save_setting
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Kind, Parsed, read_fields
from wherry.cli.session import Session, current_context, default_address
from wherry.client.contexts import (
    DEFAULT,
    TLS_NAMES,
    Context,
    ContextProblem,
    ContextStore,
    check_name,
)
from wherry.client.documents import Document

_IN_MEMORY = "<IN MEMORY>"
_DEFAULT_DESCRIPTION = "Current DOCKER_HOST based configuration"


def _store(session: Session) -> ContextStore:
    return ContextStore(configuration_directory(session.config_directory))


def _default() -> Context:
    return Context(DEFAULT, address=default_address())


def _get(session: Session, name: str) -> Context:
    """Raises: CommandFailed."""
    try:
        return _default() if name == DEFAULT else _store(session).get(name)
    except ContextProblem as problem:
        raise CommandFailed(str(problem)) from None


# -- making ----------------------------------------------------------------------------------


def create(session: Session, parsed: Parsed) -> int:
    """Store a context: from `--docker`, from another, or from the current one."""
    name = parsed.arguments[0]
    store = _store(session)
    try:
        check_name(name)
        if store.has(name):
            raise CommandFailed(f'context "{name}" already exists')
        if parsed.was_given("docker"):
            context, material = _from_options(session, name, _options(parsed), Context(name))
        else:
            other = parsed.text("from") or current_context(session.config_directory)
            context = _get(session, other)._replace(name=name)
            material = store.material(other)
            if other == DEFAULT:
                context = context._replace(description=_DEFAULT_DESCRIPTION)
        if parsed.was_given("description"):
            context = context._replace(description=parsed.text("description"))
        store.put(context, material)
    except ContextProblem as problem:
        raise CommandFailed(str(problem)) from None
    session.say(name)
    session.complain(f'Successfully created context "{name}"')
    return 0


def update(session: Session, parsed: Parsed) -> int:
    """Change a context's description or engine."""
    name = parsed.arguments[0]
    context = _get(session, name)
    if name == DEFAULT:
        raise CommandFailed('"default" is a reserved context name')
    material: Mapping[str, bytes] | None = None
    if parsed.was_given("docker"):
        context, material = _from_options(session, name, _options(parsed), context)
    if parsed.was_given("description"):
        context = context._replace(description=parsed.text("description"))
    _store(session).put(context, material)
    session.say(name)
    session.complain(f'Successfully updated context "{name}"')
    return 0


def _options(parsed: Parsed) -> dict[str, str]:
    """`host=...,ca=...`."""
    return dict(pair.split("=", 1) for pair in parsed.texts("docker"))


def _from_options(
    session: Session, name: str, options: dict[str, str], base: Context
) -> tuple[Context, dict[str, bytes]]:
    """A context and its certificates. Raises: CommandFailed."""
    failure = "unable to create docker endpoint config: "
    known = {"from", "host", "skip-tls-verify", *TLS_NAMES}
    for key in options:
        if key not in known:
            raise CommandFailed(f"{failure}unrecognized config key: {key}")
    if "from" in options:
        other = _get(session, options["from"])
        return other._replace(name=name, description=base.description), _store(session).material(
            options["from"]
        )
    skips = options.get("skip-tls-verify", "false").lower()
    if skips not in ("true", "false", "1", "0"):
        raise CommandFailed(
            f'{failure}skip-tls-verify: strconv.ParseBool: parsing "{skips}": invalid syntax'
        )
    material = {}
    for key, file_name in TLS_NAMES.items():
        if path := options.get(key, ""):
            material[file_name] = _pem(os.path.expanduser(path), failure)
    if ("cert.pem" in material) != ("key.pem" in material):
        raise CommandFailed(f"{failure}invalid docker endpoint options: cert and key go together")
    context = base._replace(
        name=name, address=options.get("host", ""), skips_verification=skips in ("true", "1")
    )
    return context, material


def _pem(path: str, failure: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as problem:
        reason = (problem.strerror or "").lower()
        raise CommandFailed(f"{failure}open {path}: {reason}") from None
    if b"-----BEGIN " not in content:
        name = os.path.basename(path)
        raise CommandFailed(
            f"{failure}invalid docker endpoint options: failed to retrieve context tls info:"
            f" {name} seems invalid"
        )
    return content


# -- choosing and removing -------------------------------------------------------------------


def use(session: Session, parsed: Parsed) -> int:
    """Make a context the one that commands mean."""
    name = parsed.arguments[0]
    _get(session, name)
    save_setting(session.config_directory, "currentContext", "" if name == DEFAULT else name)
    session.say(name)
    if os.environ.get("DOCKER_HOST") and name != DEFAULT:
        session.complain(
            f"Warning: DOCKER_HOST environment variable overrides the active context. To use"
            f' "{name}", either set the global --context flag, or unset DOCKER_HOST environment'
            " variable."
        )
    session.complain(f'Current context is now "{name}"')
    return 0


def show(session: Session, parsed: Parsed) -> int:
    """Print the name of the context in use."""
    session.say(current_context(session.config_directory))
    return 0


def remove(session: Session, parsed: Parsed) -> int:
    """Remove contexts; the one in use only when forced."""
    store = _store(session)
    current = load_configuration(session.config_directory).get("currentContext")
    problems = []
    for name in parsed.arguments:
        try:
            if name == DEFAULT:
                raise ContextProblem('context "default" cannot be removed')
            if name == current and not parsed.is_on("force"):
                raise ContextProblem(f'context "{name}" is in use, set -f flag to force remove')
            if not (parsed.is_on("force") and not store.has(name)):
                store.remove(name)
            if name == current:
                save_setting(session.config_directory, "currentContext", "")
            session.say(name)
        except ContextProblem as problem:
            problems.append(str(problem))
    if problems:
        raise CommandFailed("\n".join(problems))
    return 0


# -- looking ---------------------------------------------------------------------------------


class _Row:
    """A context in a list."""

    def __init__(self, context: Context, *, is_current: bool) -> None:
        self.context = context
        self.is_current = is_current


def show_list(session: Session, parsed: Parsed) -> int:
    """List contexts, `default` among them."""
    current = current_context(session.config_directory)
    default = _default()._replace(description=_DEFAULT_DESCRIPTION)
    try:
        contexts = sorted([default, *_store(session).all()])
    except ContextProblem as problem:
        raise CommandFailed(str(problem)) from None
    found = [_Row(context, is_current=context.name == current) for context in contexts]
    form = parsed.text("format")
    if parsed.is_on("quiet"):
        for row in found:
            session.say(row.context.name)
    elif rows.wants_table(form):
        rows.show_table(session, found, _COLUMNS, ("Name", "Description", "Endpoint", "Error"))
    else:
        rows.show_formatted(session, found, _FORMATTED, form)
    if os.environ.get("DOCKER_HOST") and not parsed.is_on("quiet"):
        session.complain(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a"
            " context, either set the global --context flag, or unset DOCKER_HOST environment"
            " variable."
        )
    return 0


def _name(row: _Row) -> str:
    return f"{row.context.name} *" if row.is_current else row.context.name


def _as_json(row: _Row) -> dict[str, str | None]:
    return {column.name: column.text(row) for column in _FORMATTED.columns}


_REST = (
    rows.Column[_Row]("Description", "DESCRIPTION", lambda row: row.context.description),
    rows.Column[_Row]("DockerEndpoint", "DOCKER ENDPOINT", lambda row: row.context.address),
    rows.Column[_Row]("Error", "ERROR", lambda row: ""),
)
_COLUMNS = rows.Columns[_Row](
    "formatter.clientContextContext",
    (
        rows.Column[_Row]("Name", "NAME", _name),
        rows.Column[_Row]("Endpoint", "DOCKER ENDPOINT", lambda row: row.context.address),
        *_REST,
    ),
)
_FORMATTED = rows.Columns[_Row](
    "formatter.clientContextContext",
    (
        rows.Column[_Row]("Name", "NAME", lambda row: row.context.name),
        rows.Column[_Row]("Current", "", lambda row: "true" if row.is_current else "false"),
        *_REST,
    ),
)


def inspect(session: Session, parsed: Parsed) -> int:
    """Print contexts in full; the one in use when none is named."""
    names = parsed.arguments or [current_context(session.config_directory)]
    shown: list[Document] = []
    problem: CommandFailed | None = None
    for name in names:
        try:
            shown.append(_document(session, _get(session, name)))
        except CommandFailed as failure:
            problem = failure
            break
    if form := parsed.text("format"):
        from wherry.cli.inspecting import show_documents

        show_documents(session, form, shown)
    else:
        text = json.dumps(shown, indent=4, ensure_ascii=False)
        session.say(text.replace("<", "\\u003c").replace(">", "\\u003e"))
    if problem is not None:
        raise problem
    return 0


def _document(session: Session, context: Context) -> Document:
    store = _store(session)
    is_default = context.name == DEFAULT
    material = {} if is_default else store.material(context.name)
    return {
        **context.as_document(),
        "TLSMaterial": {"docker": list(material)} if material else {},
        "Storage": {
            "MetadataPath": _IN_MEMORY if is_default else store.meta_directory(context.name),
            "TLSPath": _IN_MEMORY if is_default else store.tls_directory(context.name),
        },
    }


# -- archives --------------------------------------------------------------------------------


def export(session: Session, parsed: Parsed) -> int:
    """Write a context as a tar archive; `-` is standard output."""
    name = parsed.arguments[0]
    path = parsed.arguments[1] if len(parsed.arguments) > 1 else f"{name}.dockercontext"
    if name == DEFAULT:
        raise CommandFailed('context "default" cannot be exported')
    try:
        archive = _store(session).export(name)
    except ContextProblem as problem:
        raise CommandFailed(str(problem)) from None
    if path == "-":
        if sys.stdout.isatty():
            raise CommandFailed("cowardly refusing to export to a terminal, specify a file path")
        session.out.flush()
        sys.stdout.buffer.write(archive)
        return 0
    try:
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(archive)
    except FileExistsError:
        raise CommandFailed(f"open {path}: file exists") from None
    session.complain(f'Written file "{path}"')
    return 0


def import_(session: Session, parsed: Parsed) -> int:
    """Store a context out of a tar or zip archive; `-` is standard input."""
    name, path = parsed.arguments
    store = _store(session)
    try:
        check_name(name)
        if store.has(name):
            raise ContextProblem(f'context "{name}" already exists')
        if path == "-":
            archive = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                archive = file.read()
        store.take_in(name, archive)
    except ContextProblem as problem:
        raise CommandFailed(str(problem)) from None
    except OSError as problem:
        raise CommandFailed(f"open {path}: {(problem.strerror or '').lower()}") from None
    session.say(name)
    session.complain(f'Successfully imported context "{name}"')
    return 0


_DESCRIPTION = Flag("description", STRING, "Description of the context")


def _read_pair(text: str) -> str:
    if "=" not in text:
        raise ValueError(f"{text} must be formatted as key=value")
    return text


_DOCKER = Flag(
    "docker",
    Kind("stringToString", _read_pair, is_repeated=True, parts=read_fields),
    "The engine: host=ADDRESS,ca=FILE,cert=FILE,key=FILE,skip-tls-verify=BOOL, or from=CONTEXT",
)

CREATE = Command(
    "CONTEXT", "Create a context", ONE, create,
    (_DESCRIPTION, _DOCKER, Flag("from", STRING, "Create the context from a named one")),
)  # fmt: skip
UPDATE = Command("CONTEXT", "Update a context", ONE, update, (_DESCRIPTION, _DOCKER))
USE = Command("CONTEXT", "Set the current context", ONE, use)
SHOW = Command("", "Print the name of the current context", NONE, show)
REMOVE = Command(
    "CONTEXT [CONTEXT...]", "Remove one or more contexts", ONE_OR_MORE, remove,
    (Flag("force", SWITCH, "Force the removal of a context in use", short="f"),),
)  # fmt: skip
LIST = Command(
    "", "List contexts", NONE, show_list,
    (
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("quiet", SWITCH, "Only show context names", short="q"),
    ),
)  # fmt: skip
INSPECT = Command(
    "[CONTEXT] [CONTEXT...]", "Display detailed information on one or more contexts", ANY,
    inspect, (Flag("format", STRING, "How to print: json or a Go template", short="f"),),
)  # fmt: skip
EXPORT = Command(
    "CONTEXT [FILE|-]", "Export a context to a tar archive FILE or a tar stream on STDOUT.",
    Arguments(1, 2), export,
)  # fmt: skip
IMPORT = Command("CONTEXT FILE|-", "Import a context from a tar or zip file", TWO, import_)
