"""Managed plugins of a fake engine."""

from collections.abc import AsyncIterator, Sequence

from wherry.model.errors.plugins import PluginNotFound
from wherry.model.outcomes import (
    Progress,
)
from wherry.model.plugins import ManagedPlugin, PluginPrivilege
from wherry.model.queries import (
    Filters,
)
from wherry.registry import Credentials


class FakePlugins:
    """Nobody ever installed one, and no registry has one."""

    async def list(self, filters: Filters) -> Sequence[ManagedPlugin]:
        return []

    async def get(self, reference: str) -> ManagedPlugin:
        raise PluginNotFound(reference)

    async def privileges(self, remote: str, credentials: Credentials) -> Sequence[PluginPrivilege]:
        raise PluginNotFound(remote)

    async def create(self, name: str, context: AsyncIterator[bytes]) -> None:
        async for _piece in context:
            pass

    async def pull(
        self,
        remote: str,
        name: str,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]:
        raise PluginNotFound(remote)
        yield Progress()

    async def upgrade(
        self,
        reference: str,
        remote: str,
        allowed: Sequence[PluginPrivilege],
        credentials: Credentials,
    ) -> AsyncIterator[Progress]:
        raise PluginNotFound(reference)
        yield Progress()

    async def enable(self, reference: str, timeout_s: float = 0) -> None:
        await self.get(reference)

    async def disable(self, reference: str, *, is_forced: bool = False) -> None:
        await self.get(reference)

    async def set(self, reference: str, wishes: Sequence[str]) -> None:
        await self.get(reference)

    async def remove(self, reference: str, *, is_forced: bool = False) -> ManagedPlugin:
        return await self.get(reference)

    async def push(self, reference: str, credentials: Credentials) -> AsyncIterator[Progress]:
        raise PluginNotFound(reference)
        yield Progress()
