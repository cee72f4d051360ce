"""What a client offers while its build runs, as a build session sees it.

Beside what every build is given (`ports`), a client has directories that stay with it: it tells
of their files, and sends those that are wanted.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wherry.builder.sources.ports import Agents, Layouts, Secrets, Sink
from wherry.kit.values import dataclass, field
from wherry.model.files import SentFile


class Sending(Protocol):
    """A directory on its way: first all files are told, then some contents are asked for."""

    def files(self) -> AsyncIterator[Sequence[SentFile]]:
        """All of them, in the order of a walk, some at a time."""
        ...

    async def ask(self, numbers: Sequence[int]) -> None:
        """Want the contents of files, by their numbers in the walk."""
        ...

    def contents(self) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        """Pieces of what was asked for, by number; an empty one is a file's end."""
        ...


class ClientDirectory(Protocol):
    """A directory of a client's."""

    @property
    def name(self) -> str:
        """What the client calls it."""
        ...

    @property
    def key(self) -> str:
        """The same whenever the same directory is sent; empty where nobody can tell."""
        ...

    def sending(
        self, paths: Sequence[str], ignore: Sequence[str]
    ) -> AbstractAsyncContextManager[Sending]:
        """Have it sent: what is at some paths and where links there lead, or everything.

        Raises: InvalidValue, Cancelled when the client is gone.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClientArchive:
    """A context that the client has as a tar, and sends as a whole."""

    pieces: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOffers:
    """All that a build may ask its client for."""

    context: ClientDirectory | ClientArchive
    dockerfiles: ClientDirectory
    contexts: Mapping[str, "ClientDirectory | str"] = field(default_factory=dict)
    """Named contexts; a text refers to an image."""
    secrets: Secrets
    agents: Agents
    layouts: Layouts
    sink: Sink
