"""A build whose files and secrets come with the request, all of them before anything begins.

The classic door sends one context. Our own sends secrets and named contexts in front of it.
"""

from collections.abc import AsyncIterator, Mapping

from wherry.builder.sources.agents import SocketAgents
from wherry.builder.sources.contexts import received
from wherry.builder.sources.ports import BuildPorts, ContextFiles
from wherry.builder.sources.remote import RemoteSources
from wherry.builder.sources.trees import Tree
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.model.builds import BuildRequest, PartKind, SentPart
from wherry.model.errors import InvalidValue

_LARGEST_SECRET = 500 * 1024
"""Bytes, as BuildKit has it."""


async def given_ports(
    request: BuildRequest,
    parts: AsyncIterator[SentPart],
    *,
    staging: str,
    remote: RemoteSources,
    offload: OffloadPool,
    opened: UndoStack,
) -> BuildPorts:
    """Take all parts; a context that is elsewhere is fetched. Raises: InvalidValue, ..."""
    secrets: dict[str, bytes] = {}
    contexts: dict[str, ContextFiles | str] = dict(request.contexts)
    layouts: dict[str, Tree] = {}
    async for part in parts:
        if part.kind is PartKind.SECRET:
            secrets[part.name] = await _secret(part)
        elif part.kind is PartKind.LAYOUT:
            layout = await received(part.pieces, staging, offload, opened)
            layouts[part.name] = layout.tree
        elif part.name or not request.remote:
            contexts[part.name.lower()] = await received(part.pieces, staging, offload, opened)
    if request.remote:
        contexts[""] = await remote.context(request.remote)
    main = contexts.pop("", None)
    if main is None or isinstance(main, str):
        raise InvalidValue("a build needs a context")
    return BuildPorts(
        context=main,
        contexts=contexts,
        secrets=GivenSecrets(secrets),
        agents=SocketAgents(request.agents),
        sent_layouts=layouts,
    )


async def _secret(part: SentPart) -> bytes:
    content = b""
    async for piece in part.pieces:
        content += piece
        if len(content) > _LARGEST_SECRET:
            raise InvalidValue(
                f'invalid secret size: "{part.name}" is larger than {_LARGEST_SECRET} bytes'
            )
    return content


class GivenSecrets:
    """Secrets that are here, in memory alone."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._secrets = secrets

    async def secret(self, name: str) -> bytes | None:
        """None: there is none of this name."""
        return self._secrets.get(name)
