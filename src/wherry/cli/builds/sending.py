"""The two ways in which a build is asked for, which differ in how its files travel.

With a session the engine asks for what a step needs, when it needs it. Without one everything
goes ahead, in the request: that is what a tar on standard input, an engine without sessions and
the classic builder (`DOCKER_BUILDKIT=0`) have.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from wherry.cli.builds.caches import Caches
from wherry.cli.builds.contexts import Elsewhere, LocalContext, Sent, compressed
from wherry.cli.builds.outputs import Results, without_pieces
from wherry.cli.builds.parts import NamedContext, Part, PartedBody, layout_part
from wherry.cli.configuration import configuration_directory
from wherry.cli.failures import CommandFailed
from wherry.cli.images.registry_access import known_logins, login_for
from wherry.cli.session import Session
from wherry.client.documents import Document
from wherry.client.engine_client import Client
from wherry.kit.values import dataclass

Query = Sequence[tuple[str, str]]
_NODE = ".buildNodeID"
"""A file beside the configuration, of Docker's clients as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """What this machine has for one build."""

    context: LocalContext | Elsewhere | Sent
    contexts: Sequence[NamedContext] = ()
    secrets: Mapping[str, bytes]
    agents: Mapping[str, str]
    """Sockets of SSH agents, by id."""
    caches: Caches
    results: Results

    @property
    def layouts(self) -> Mapping[str, str]:
        """Directories of OCI layouts, by the names that the engine knows them under."""
        of_contexts = (each.layouts for each in self.contexts)
        return {**self.caches.layouts, **{k: v for each in of_contexts for k, v in each.items()}}


@contextmanager
def by_session(
    session: Session, client: Client, materials: Materials, query: Query
) -> Iterator[Iterator[Document]]:
    """The messages of a build that asks for its materials while the block runs.

    Raises: Unreachable, ApiError, ProtocolError, OSError, CommandFailed.
    """
    from wherry.client.build_session.file_sync import file_sync
    from wherry.client.build_session.layouts import layout_service
    from wherry.client.build_session.offers import (
        agent_service,
        credential_service,
        secret_service,
    )
    from wherry.client.build_session.results import result_service
    from wherry.client.build_session.session import BuildSession

    context = materials.context
    assert not isinstance(context, Sent)
    folders = {f"context:{each.name}": each.folder for each in materials.contexts}
    directories = {**context.directories(), **{k: v for k, v in folders.items() if v}}
    methods = {
        **file_sync(directories),
        **secret_service(materials.secrets),
        **credential_service(lambda domain: login_for(session, domain)),
        **result_service(partial(_taken, materials.results)),
    }
    if materials.agents:
        methods |= agent_service(materials.agents)
    if materials.layouts:
        methods |= layout_service(materials.layouts)
    with BuildSession(client, methods, _shared_key(session, context)) as offering:
        own = [("version", "2"), ("session", offering.id), ("dockerfile", context.dockerfile)]
        if isinstance(context, LocalContext):
            own.append(("remote", "client-session"))
        own += _contexts_query({each.name: each.offered for each in materials.contexts})
        yield _when_wanted(lambda: client.images.build([*query, *own]))


def _taken(results: Results, number: int, piece: bytes) -> None:
    """Take a piece of a result. Raises: OSError, which the engine is told of."""
    try:
        results.put(number, piece)
    except CommandFailed as problem:
        raise OSError(str(problem)) from problem


@contextmanager
def by_request(
    session: Session,
    client: Client,
    materials: Materials,
    query: Query,
    *,
    counted: Callable[[Iterator[bytes]], Iterator[bytes]] = iter,
    compresses: bool = False,
) -> Iterator[Iterator[Document]]:
    """The messages of a build that is sent all of its materials first.

    `counted` sees the context pass by. Raises: as `by_session`.
    """
    if materials.agents and not session.endpoint.is_unix:
        raise CommandFailed("--ssh needs an engine on this machine: it listens on a socket here")
    context = materials.context
    sent = context if isinstance(context, Sent) else context.sent()
    pieces = counted(sent.pieces)
    body, content_type = _body(materials, compressed(pieces) if compresses else pieces)
    own = [("dockerfile", sent.dockerfile)]
    own += _contexts_query({each.name: each.image for each in materials.contexts if each.image})
    if materials.agents:
        own.append(("ssh", json.dumps(materials.agents)))
    messages = _when_wanted(
        lambda: client.images.build(
            [*query, *own], body, known_logins(session), content_type=content_type
        )
    )
    yield without_pieces(messages, materials.results)


def _when_wanted(ask: Callable[[], Iterator[Document]]) -> Iterator[Document]:
    """Messages, of a request that is sent when the first one is wanted."""
    yield from ask()


def _body(materials: Materials, context: Iterable[bytes]) -> tuple[Iterable[bytes], str]:
    """The context alone, or behind what else there is to send; and how that is written."""
    parts = [Part("secret", name, [content]) for name, content in materials.secrets.items()]
    parts += [part for each in materials.contexts for part in each.parts]
    parts += [layout_part(*each) for each in materials.caches.layouts.items()]
    if not parts:
        return context, "application/x-tar"
    body = PartedBody([*parts, Part("context", "", context)])
    return body, body.content_type


def _contexts_query(contexts: Mapping[str, str]) -> list[tuple[str, str]]:
    return [("contexts", json.dumps(contexts))] if contexts else []


def _shared_key(session: Session, context: LocalContext | Elsewhere) -> str:
    """A name for a directory of this user's; empty where nobody can keep one."""
    if not isinstance(context, LocalContext):
        return ""
    place = os.path.join(configuration_directory(session.config_directory), _NODE)
    try:
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        with suppress(FileExistsError), open(place, "x", opener=_private) as file:
            file.write(secrets.token_hex(32))
        with open(place) as file:
            node = file.read()
    except OSError:
        return ""
    return hashlib.sha256(f"{node}:{context.top}".encode(errors="surrogateescape")).hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
