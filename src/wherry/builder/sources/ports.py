"""What a build is given from outside, each by a protocol: files, secrets, agents, a way out.

The classic door sends a context as one tar before anything runs. A build session is asked for
the files that a step needs when the step is reached, and for a secret when a command wants it.
To the builder both are the same.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, Protocol

from wherry.kit.values import dataclass, field
from wherry.model.errors import InvalidValue

if TYPE_CHECKING:
    from wherry.builder.sources.trees import Tree
    from wherry.model.ids import Digest
    from wherry.oci.image_spec import Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerfileText:
    """A Dockerfile, and the patterns that its context is seen through."""

    content: bytes
    ignore: bytes = b""
    """`NAME.dockerignore` beside it, else `.dockerignore` of the context."""


class ContextFiles(Protocol):
    """The files of one context."""

    async def dockerfile(self, path: str) -> DockerfileText:
        """Raises: InvalidValue, when it is not there."""
        ...

    async def ignore(self) -> bytes:
        """`.dockerignore` at the top, for a context that another Dockerfile names."""
        ...

    async def files(self, sources: Sequence[str], ignore: bytes) -> "Tree":
        """A tree that has at least what the sources of a step stand for.

        Sources are paths below the top, perhaps with wildcards; `""` is everything. `ignore`:
        patterns of what need not be there. The tree is good until the build's end, and is
        asked for by several steps at the same time. Raises: InvalidValue, ArchiveRefused.
        """
        ...


class Secrets(Protocol):
    """Secrets of the user, by id."""

    async def secret(self, name: str) -> bytes | None:
        """None: there is none of this name."""
        ...


class Agents(Protocol):
    """SSH agents of the user, by id (`default` for the one without a name)."""

    async def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        ...

    async def forward(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Join one connection of a step to the agent, until either ends it."""
        ...


class Sink(Protocol):
    """Where results go that are not kept here; `number` is the output's place in the request."""

    async def directory(self, number: int, root: int) -> None:
        """Take a tree, by the descriptor of its root (`type=local`)."""
        ...

    async def stream(self, number: int, pieces: AsyncIterator[bytes]) -> None:
        """Take one file (`type=tar`, `oci`, `docker`)."""
        ...


LAYOUT_CONTEXT = "oci-layout://"
"""What the reference of an image begins with that is in a layout: `oci-layout://NAME@DIGEST`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutBlob:
    """A blob on its way into an OCI layout."""

    digest: "Digest"
    size_bytes: int
    open: Callable[[], BinaryIO]


class Layouts(Protocol):
    """OCI layouts of the client: caches (`type=local`), images that are contexts, results."""

    def blob(self, name: str, digest: str) -> AsyncIterator[bytes]:
        """A blob of a layout, unverified. Raises (while iterating): InvalidValue."""
        ...

    async def fill(
        self, number: int, name: str, blobs: Sequence[LayoutBlob], top: "Descriptor"
    ) -> None:
        """Put blobs into a layout, which `top` leads to; `number` is that of its output, or
        behind all of them that of its cache. Raises: InvalidValue.
        """
        ...


class NoSecrets:
    """Nobody gave any."""

    async def secret(self, name: str) -> bytes | None:
        """None, whatever the name."""
        return None


class NoAgents:
    """Nobody gave any."""

    async def has(self, name: str) -> bool:
        """False, whatever the name."""
        return False

    async def forward(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Close the connection."""
        writer.close()


class NoSink:
    """Nobody waits for files."""

    async def directory(self, number: int, root: int) -> None:
        """Raises: InvalidValue."""
        raise InvalidValue("this build's client takes no files")

    async def stream(self, number: int, pieces: AsyncIterator[bytes]) -> None:
        """Raises: InvalidValue."""
        raise InvalidValue("this build's client takes no files")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPorts:
    """All that a build is given."""

    context: ContextFiles
    contexts: Mapping[str, "ContextFiles | str"] = field(default_factory=dict)
    """Named contexts (`--build-context`), by names in lower case; a text refers to an image."""
    secrets: Secrets = field(default_factory=NoSecrets)
    agents: Agents = field(default_factory=NoAgents)
    layouts: Layouts | None = None
    """None: they came with the request, and new ones go out as results do."""
    sent_layouts: Mapping[str, "Tree"] = field(default_factory=dict)
    sink: Sink | None = None
    """None: results that are not kept here are told as events."""
