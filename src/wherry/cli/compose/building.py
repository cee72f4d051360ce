"""One service's image, built by the engine of the context that its `build` names."""

import json
import os
import sys
import threading
from collections.abc import Iterable, Mapping

from wherry.cli.builds.agents import Agents
from wherry.cli.builds.attests import attest
from wherry.cli.builds.caches import read_caches
from wherry.cli.builds.contexts import (
    Elsewhere,
    LocalContext,
    context_at,
    context_with,
    is_remote,
)
from wherry.cli.builds.outputs import Results
from wherry.cli.builds.parts import named_context, read_secret
from wherry.cli.builds.sending import Materials, by_request, by_session
from wherry.cli.builds.story.watching import Watching
from wherry.cli.compose.telling import is_quiet_build
from wherry.cli.flags import Parsed
from wherry.cli.session import Session
from wherry.client.documents import (
    Document,
    as_json,
    child,
    children,
    flag,
    number,
    text,
    texts,
)
from wherry.client.engine_client import Client
from wherry.compose import Application, BuildImage, ComposeError, size_of

_PRIVILEGED = "security.insecure"
"""What `privileged` of a build allows its RUN steps to ask for."""
_ATTESTS = ("provenance", "sbom")
_output = threading.Lock()


def build_service(
    session: Session,
    parsed: Parsed,
    client: Client,
    made: Application,
    action: BuildImage,
    watching: Watching | None,
    *,
    inquiry: str = "",
) -> None:
    """Have it built; what is told goes to whoever watches, else it is written line by line.

    `inquiry`: what is asked of the Dockerfile in place of a build.

    Raises: ComposeError, CommandFailed, ClientError.
    """
    wanted = build_of(made, parsed, action.service)
    caches = read_caches(texts(wanted, "cache_from"), texts(wanted, "cache_to"))
    with Agents(texts(wanted, "ssh")) as agents, Results((), caches.exports) as results:
        materials = Materials(
            context=_context(wanted),
            contexts=[named_context(each) for each in _named_contexts(made, wanted)],
            secrets=_secrets(made, action.service, wanted),
            agents=agents.sockets,
            caches=caches,
            results=results,
        )
        query = [
            *_query(made, parsed, action, wanted),
            *_own_query(wanted),
            *caches.query(),
            *([("story", "1")] if watching else []),
            *([("inquiry", inquiry)] if inquiry else []),
        ]
        if watching is None or not client.builds_by_session:
            with by_request(session, client, materials, query) as messages:
                told = watching.others(messages, action.service) if watching else messages
                _show_rest(action.service, told, is_quiet=is_quiet_build(parsed))
            return
        with by_session(session, client, materials, query) as messages:
            for each in watching.others(messages, action.service):
                if problem := text(child(each, "errorDetail"), "message"):
                    raise ComposeError(f"failed to solve: {problem}")


def build_of(made: Application, parsed: Parsed, service: str) -> Document:
    """What a service's `build` says, and the command line's flags beside it."""
    wanted = child(made.services[service], "build")
    agents = [each.replace(": ", "=", 1) for each in texts(wanted, "ssh")]
    agents += filter(None, parsed.text("ssh").split(","))
    told: Document = {kind: parsed.text(kind) for kind in _ATTESTS if parsed.text(kind)}
    return {**wanted, **told, "ssh": as_json(agents)}


def _show_rest(service: str, messages: Iterable[Document], *, is_quiet: bool) -> None:
    """What an engine tells line by line. Raises: ComposeError, with what it failed by."""
    for message in messages:
        failure = child(message, "errorDetail")
        if failure or text(message, "error"):
            raise ComposeError(text(failure, "message") or text(message, "error"))
        if not is_quiet:
            _show(service, text(message, "stream"))


def _show(service: str, told: str) -> None:
    with _output:
        for line in told.splitlines():
            if line.strip():
                sys.stdout.write(f"{service}: {line}\n")
        sys.stdout.flush()


def _context(wanted: Document) -> LocalContext | Elsewhere:
    place, dockerfile = text(wanted, "context"), text(wanted, "dockerfile")
    if is_remote(place):
        return Elsewhere(dockerfile or "Dockerfile")
    if "dockerfile_inline" in wanted:
        return context_with(place, text(wanted, "dockerfile_inline"))
    return context_at(place, os.path.join(place, dockerfile))


def _query(
    made: Application, parsed: Parsed, action: BuildImage, wanted: Document
) -> list[tuple[str, str]]:
    names = [action.reference, *texts(wanted, "tags")]
    query = [("t", name) for name in names]
    query += [("extrahosts", each.replace("=", ":", 1)) for each in texts(wanted, "extra_hosts")]
    platforms = texts(wanted, "platforms")
    platform = ",".join(platforms) or text(made.services[action.service], "platform")
    arguments = arguments_of(made, parsed, wanted)
    fields = {
        "target": text(wanted, "target"),
        "networkmode": text(wanted, "network"),
        "platform": platform,
        "shmsize": str(size_of(wanted, "shm_size") or ""),
        "buildargs": json.dumps(arguments) if arguments else "",
        "labels": json.dumps(labels_of(made, action.service, wanted)),
        "nocache": "1" if flag(wanted, "no_cache") or parsed.is_on("no-cache") else "",
        "pull": "1" if flag(wanted, "pull") or parsed.is_on("pull") else "",
        "memory": str(parsed.number("memory") or ""),
        "ulimits": _ulimits(child(wanted, "ulimits")),
        "rm": "1",
    }
    return query + [(key, value) for key, value in fields.items() if value]


def _own_query(wanted: Document) -> list[tuple[str, str]]:
    """What our own engine understands beside Docker's parameters."""
    place = text(wanted, "context")
    query = [("allow", each) for each in allowed_of(wanted)]
    query += [("remote", place)] if is_remote(place) else []
    attests = {kind: form.partition(",")[2] for kind, form in attests_of(wanted).items()}
    query += [("attests", json.dumps(attests))] if attests else []
    return query


def allowed_of(wanted: Document) -> list[str]:
    """What RUN may ask for."""
    allowed = [*texts(wanted, "entitlements")]
    allowed += [_PRIVILEGED] if flag(wanted, "privileged") else []
    return list(dict.fromkeys(allowed))


def attests_of(wanted: Document) -> dict[str, str]:
    """What is to be said of the image, by type, in the form of `--attest`."""
    said = ((kind, wanted.get(kind)) for kind in _ATTESTS)
    return {
        kind: attest(kind, str(value).lower() if isinstance(value, bool) else str(value))
        for kind, value in said
        if value
    }


def _named_contexts(made: Application, wanted: Document) -> list[str]:
    """`name=place`; a service's context is the image that is built of it."""
    found = []
    for name, place in child(wanted, "additional_contexts").items():
        kind, _, service = str(place).partition(":")
        if kind == "service" and service in made.services:
            place = f"docker-image://{made.image_of(service)}"
        found.append(f"{name}={place}")
    return found


def _secrets(made: Application, service: str, wanted: Document) -> Mapping[str, bytes]:
    """The secrets of RUN: files, or variables of the project. Raises: ComposeError."""
    found: dict[str, bytes] = {}
    for each in children(wanted, "secrets"):
        source = text(each, "source")
        defined = child(made.secrets, source)
        name = text(each, "target") or source
        if path := text(defined, "file"):
            found |= [read_secret(f"id={name},src={path}")]
        elif (variable := text(defined, "environment")) in made.environment:
            found[name] = made.environment[variable].encode()
        else:
            raise ComposeError(
                f"services.{service}.build.secrets: {source} has neither a file nor a variable "
                "that is set"
            )
    return found


def labels_of(made: Application, service: str, wanted: Document) -> Document:
    """The labels of an image: its own, and whose it is."""
    from wherry.compose import labels

    return {
        **child(wanted, "labels"),
        labels.PROJECT: made.name,
        labels.SERVICE: service,
        labels.VERSION: labels.COMPOSE_VERSION,
    }


def arguments_of(made: Application, parsed: Parsed, wanted: Document) -> Document:
    """A build's, and the command line's; a name alone has its value in the environment."""
    result: Document = {**made.proxies, **child(wanted, "args")}
    for each in parsed.texts("build-arg"):
        name, equals, value = each.partition("=")
        result[name] = value if equals else made.environment.get(name)
    return result


def _ulimits(wanted: Document) -> str:
    limits = [
        {
            "Name": name,
            "Soft": number(each, "soft") if isinstance(each, dict) else each,
            "Hard": number(each, "hard") if isinstance(each, dict) else each,
        }
        for name, each in wanted.items()
    ]
    return json.dumps(limits) if limits else ""
