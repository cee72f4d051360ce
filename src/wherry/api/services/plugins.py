"""Managed plugins."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from wherry.api.services.bodies import ByteSource
from wherry.model.outcomes import Progress
from wherry.model.plugins import ManagedPlugin, PluginPrivilege
from wherry.model.queries import Filters
from wherry.registry import Credentials


class Plugins(Protocol):
    """Managed plugins."""

    async def list(self, filters: Filters) -> Sequence[ManagedPlugin]: ...
    async def get(self, reference: str) -> ManagedPlugin: ...
    async def privileges(
        self, remote: str, credentials: Credentials
    ) -> Sequence[PluginPrivilege]: ...
    async def create(self, name: str, context: ByteSource) -> None: ...
    def pull(
        self,
        remote: str,
        name: str,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]: ...
    def upgrade(
        self,
        reference: str,
        remote: str,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]: ...
    async def enable(self, reference: str, timeout_s: float = 0) -> None: ...
    async def disable(self, reference: str, *, is_forced: bool = False) -> None: ...
    async def set(self, reference: str, wishes: Sequence[str]) -> None: ...
    async def remove(self, reference: str, *, is_forced: bool = False) -> ManagedPlugin: ...
    def push(self, reference: str, credentials: Credentials) -> AsyncIterator[Progress]: ...
