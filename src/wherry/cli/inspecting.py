"""`inspect`, and `container`, `image` and `network inspect`: documents as the engine has them."""

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wherry.cli.command import ONE_OR_MORE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.images.platform_names import checked_platform
from wherry.cli.session import Session, explain
from wherry.cli.templates.docker_types import type_named
from wherry.cli.templates.executor import TemplateExecutionError, execute
from wherry.cli.templates.functions import ALL
from wherry.cli.templates.nodes import Template
from wherry.cli.templates.parser import TemplateSyntaxError, parse
from wherry.cli.templates.values import Value, WrittenNumber, decode, from_json
from wherry.client.documents import Document, text
from wherry.client.errors import ApiError, ClientError

NOT_FOUND = 404
RUN_LINE = "run"
"""The format that is a command line. (As a template it would only print this word.)"""
ALL_KINDS = (
    "config", "container", "image", "network", "node", "plugin", "secret", "service", "task",
    "volume",
)  # fmt: skip


class Found(NamedTuple):
    """One object: the engine's bytes, and the Go type that templates see."""

    raw: bytes
    type_name: str


Fetch = Callable[[str], Found]


def run_any(session: Session, parsed: Parsed) -> int:
    """Print objects of any kind, or of the kind asked for."""
    if parsed.text("format") == RUN_LINE and parsed.text("type") in ("", "container"):
        return run_containers(session, parsed)
    kind = parsed.text("type")
    if parsed.was_given("type") and kind not in ALL_KINDS:
        known = ", ".join(f'"{name}"' for name in ALL_KINDS)
        wrong = f'unknown type: "{kind}"' if kind else "type is empty"
        raise CommandFailed(f"{wrong}: must be one of {known}")
    fetchers = _fetchers(session, with_size=parsed.is_on("size"))
    if kind:
        if kind not in fetchers:
            raise CommandFailed(f"wherry: inspecting a {kind} is not there yet")
        fetchers = {kind: fetchers[kind]}

    def fetch(name: str) -> Found:
        found_kind, found = _first_found(name, fetchers)
        if parsed.is_on("size") and found_kind != "container":
            session.complain(f"WARNING: --size ignored for {found_kind}")
        return found

    return _inspect(session, parsed, fetch)


def run_containers(session: Session, parsed: Parsed) -> int:
    """Print containers; with `--format run`, the line that makes each again."""
    if parsed.text("format") == RUN_LINE:
        return _show_run_lines(session, parsed.arguments)
    fetchers = _fetchers(session, with_size=parsed.is_on("size"))
    return _inspect(session, parsed, fetchers["container"])


def _show_run_lines(session: Session, names: Sequence[str]) -> int:
    from wherry.cli.run_line import PROFILE_FILE, needs_profile, run_line

    client = session.client
    info = client.system.info()
    for name in names:
        container = client.containers.inspect(name)
        try:
            image = client.images.inspect(text(container, "Image"))
        except ApiError as problem:
            if problem.status != NOT_FOUND:
                raise
            image = {}  # Removed since: then everything has to be said.
        session.say(run_line(container, image, info))
        if needs_profile(container):
            session.complain(
                f"{name} has a seccomp profile of its own: write it to {PROFILE_FILE} first"
            )
    return 0


def run_images(session: Session, parsed: Parsed) -> int:
    """Print images."""
    images, platform = session.client.images, checked_platform(parsed.text("platform"))
    return _inspect(
        session,
        parsed,
        lambda name: Found(images.inspect_raw(name, platform=platform), "image.InspectResponse"),
    )


def run_networks(session: Session, parsed: Parsed) -> int:
    """Print networks."""
    networks = session.client.networks
    is_verbose = parsed.is_on("verbose")
    return _inspect(
        session,
        parsed,
        lambda name: Found(networks.inspect_raw(name, is_verbose=is_verbose), "network.Inspect"),
    )


def run_volumes(session: Session, parsed: Parsed) -> int:
    """Print volumes."""
    fetch = _fetchers(session, with_size=False)["volume"]
    return _inspect(session, parsed, fetch, is_typed=True)


def run_plugins(session: Session, parsed: Parsed) -> int:
    """Print plugins."""
    return _inspect(session, parsed, _fetchers(session, with_size=False)["plugin"])


def _fetchers(session: Session, *, with_size: bool) -> dict[str, Fetch]:
    """By kind, in the order in which a name is looked for."""
    client = session.client
    return {
        "container": lambda name: Found(
            client.containers.inspect_raw(name, with_size=with_size), "container.InspectResponse"
        ),
        "image": lambda name: Found(client.images.inspect_raw(name), "image.InspectResponse"),
        "network": lambda name: Found(client.networks.inspect_raw(name), "network.Inspect"),
        "volume": lambda name: Found(client.volumes.inspect_raw(name), "volume.Volume"),
        "plugin": lambda name: Found(client.plugins.inspect_raw(name), "types.Plugin"),
    }


def _first_found(name: str, fetchers: dict[str, Fetch]) -> tuple[str, Found]:
    """The object of the first kind that has the name, and that kind."""
    for kind, fetch in fetchers.items():
        try:
            return kind, fetch(name)
        except ApiError as problem:
            # An image's name may be no valid reference: then it is no image.
            if len(fetchers) == 1 or problem.status not in (NOT_FOUND, 400):
                raise
    raise CommandFailed(f"Error: No such object: {name}")


def _inspect(session: Session, parsed: Parsed, fetch: Fetch, *, is_typed: bool = False) -> int:
    """Fetch and print; what was found before a failure is printed too.

    `is_typed`: docker has only the fields that it knows, and writes JSON as Go does, without `<`,
    `>` and `&`. So it is with volumes; of all other kinds it has what the engine sent.
    """
    template = _template(parsed.text("format"))
    shown: list[str] = []
    problems: list[str] = []
    for name in parsed.arguments:
        try:
            found = fetch(name)
            shown.append(
                found.raw.decode()
                if template is None
                else _rendered(template, found, is_typed=is_typed)
            )
        except (ApiError, CommandFailed) as problem:
            problems.append(
                explain(problem) if isinstance(problem, ClientError) else problem.message
            )
            if isinstance(problem, _TemplateFailed):
                break
    if template is None:
        listed = _as_list(shown, is_compact=parsed.text("format") == "json")
        session.out.write(_escaped(listed) if is_typed else listed)
    else:
        session.out.write("\n".join(shown) + "\n" if shown or problems else "")
    if problems:
        raise CommandFailed("\n".join(problems))
    return 0


def show_documents(
    session: Session, form: str, documents: Sequence[Document], *, end: str = "\n"
) -> None:
    """Documents that no engine gave, as `--format` wants them. Raises: CommandFailed."""
    raw = [json.dumps(each) for each in documents]
    template = _template(form)
    if template is None:
        session.out.write(_as_list(raw, is_compact=True))
        return
    try:
        for each in raw:
            value = json.loads(each, parse_int=WrittenNumber, parse_float=WrittenNumber)
            session.out.write(execute(template, from_json(value), missing_key_fails=True) + end)
    except TemplateExecutionError as problem:
        raise _TemplateFailed(f"template parsing error: {problem}") from None


class _TemplateFailed(CommandFailed):
    """The template doesn't fit the object."""


def _template(form: str) -> Template | None:
    if form in ("", "json"):
        return None
    source = form.replace("\\t", "\t").replace("\\n", "\n") if form.startswith("table") else form
    try:
        return parse(source, functions=ALL)
    except TemplateSyntaxError as problem:
        raise CommandFailed(f"template parsing error: {problem}", code=64) from None


def _rendered(template: Template, found: Found, *, is_typed: bool) -> str:
    """On the typed value first; where that fails, on the document as it is.

    Docker does so: `.Id` works as well as `.ID`, and a failure names the document's map.
    """
    of = type_named(found.type_name)
    try:
        return execute(template, Value(of, decode(of, json.loads(found.raw))))
    except (TemplateExecutionError, ValueError) as problem:
        if is_typed:
            raise _TemplateFailed(f"template parsing error: {problem}") from None
    try:
        document = json.loads(found.raw, parse_int=WrittenNumber, parse_float=WrittenNumber)
        return execute(template, from_json(document), missing_key_fails=True)
    except TemplateExecutionError as problem:
        raise _TemplateFailed(f"template parsing error: {problem}") from None


def _as_list(documents: Sequence[str], *, is_compact: bool) -> str:
    if is_compact:
        bodies = [json.dumps(json.loads(each), separators=(",", ":"), ensure_ascii=False)
                  for each in documents]  # fmt: skip
        return f"[{','.join(bodies)}]\n"
    if not documents:
        return "[]\n"
    values = [json.loads(each) for each in documents]
    return json.dumps(values, indent=4, ensure_ascii=False) + "\n"


def _escaped(text: str) -> str:
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


_FORMAT = Flag("format", STRING, "How to print: json or a Go template", short="f")
_FORMAT_OR_RUN = Flag(
    "format",
    STRING,
    "How to print: json, a Go template, or run: the line that makes such a container",
    short="f",
)
_SIZE = Flag("size", SWITCH, "Show sizes of a container's files", short="s")

INSPECT = Command(
    shape="NAME|ID [NAME|ID...]",
    summary="Show all about containers, images, networks",
    arguments=ONE_OR_MORE,
    run=run_any,
    flags=(_FORMAT_OR_RUN, _SIZE, Flag("type", STRING, "Look for objects of this kind only")),
)
CONTAINER = Command(
    shape="CONTAINER [CONTAINER...]",
    summary="Show all about one or more containers",
    arguments=ONE_OR_MORE,
    run=run_containers,
    flags=(_FORMAT_OR_RUN, _SIZE),
)
IMAGE = Command(
    shape="IMAGE [IMAGE...]",
    summary="Show all about one or more images",
    arguments=ONE_OR_MORE,
    run=run_images,
    flags=(
        _FORMAT,
        Flag("platform", STRING, "Of the image for this platform"),
    ),
)
NETWORK = Command(
    shape="NETWORK [NETWORK...]",
    summary="Show all about one or more networks",
    arguments=ONE_OR_MORE,
    run=run_networks,
    flags=(_FORMAT, Flag("verbose", SWITCH, "Show diagnostics too", short="v")),
)
VOLUME = Command(
    shape="VOLUME [VOLUME...]",
    summary="Show all about one or more volumes",
    arguments=ONE_OR_MORE,
    run=run_volumes,
    flags=(_FORMAT,),
)
PLUGIN = Command(
    shape="PLUGIN [PLUGIN...]",
    summary="Show all about one or more plugins",
    arguments=ONE_OR_MORE,
    run=run_plugins,
    flags=(_FORMAT,),
)
