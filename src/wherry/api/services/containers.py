"""Containers, their files, what they have written, and the commands that join them."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from typing import Protocol

from wherry.model.containers import Container, ContainerSpec, ExecSpec, ExecStatus
from wherry.model.files import Change, CopyRules, PathState
from wherry.model.ids import ContainerId, ExecId, ImageId
from wherry.model.images import CommitRequest
from wherry.model.outcomes import CreateOutcome, StartOutcome, StopOutcome, WaitCondition
from wherry.model.queries import (
    AttachRequest,
    ContainerDetails,
    ContainerQuery,
    LogLine,
    LogQuery,
    ProcessTable,
    RemovedLines,
)
from wherry.model.stats import UsageSample
from wherry.model.tasks import ExitRecord
from wherry.model.updates import ContainerChanges


class DuplexStream(Protocol):
    """The bytes of an attached container or exec session.

    What is read is framed (`kit.streams`) unless the session has a terminal; what is written
    is its stdin.
    """

    async def read(self) -> bytes:
        """The next bytes; empty when the output has ended."""
        ...

    async def write(self, data: bytes) -> None:
        """Pass bytes to stdin; waits while the process doesn't read."""
        ...

    async def close_stdin(self) -> None:
        """No more input: the half-close of the client."""
        ...

    def tell_detached(self) -> None:
        """The user typed the keys to leave; `close` follows."""
        ...

    async def close(self) -> None:
        """Let go; the process goes on."""
        ...


class Containers(Protocol):
    """Everything that one can do with containers."""

    async def create(
        self, spec: ContainerSpec, *, name: str, platform: str = ""
    ) -> CreateOutcome: ...
    async def start(self, reference: str) -> StartOutcome: ...
    async def stop(
        self, reference: str, *, signal: str = "", timeout_s: int | None = None
    ) -> StopOutcome: ...
    async def restart(
        self, reference: str, *, signal: str = "", timeout_s: int | None = None
    ) -> None: ...
    async def kill(self, reference: str, *, signal: str = "") -> None: ...
    async def pause(self, reference: str) -> None: ...
    async def unpause(self, reference: str) -> None: ...
    async def update(self, reference: str, changes: ContainerChanges) -> tuple[str, ...]:
        """The warnings."""
        ...

    async def rename(self, reference: str, new_name: str) -> None: ...
    async def remove(
        self,
        reference: str,
        *,
        is_forced: bool = False,
        removes_volumes: bool = False,
        removes_link: bool = False,
    ) -> None: ...
    async def wait(self, reference: str, condition: WaitCondition) -> Awaitable[ExitRecord]:
        """Returns when the waiting has begun; await the result for the end."""
        ...

    async def resize(self, reference: str, *, rows: int, columns: int) -> None: ...
    async def attach(self, reference: str, request: AttachRequest) -> DuplexStream: ...
    async def logs(self, reference: str, query: LogQuery) -> AsyncIterator[Sequence[LogLine]]: ...
    async def logs_of_removed(self, reference: str, query: LogQuery) -> RemovedLines: ...
    async def get(self, reference: str) -> Container: ...
    async def inspect(self, reference: str, *, wants_size: bool = False) -> ContainerDetails: ...
    async def list(self, query: ContainerQuery) -> Sequence[Container]: ...
    async def names_by_links(self) -> Mapping[ContainerId, Sequence[str]]:
        """The further names that links give to containers: `web/store`."""
        ...

    async def top(self, reference: str, ps_arguments: str) -> ProcessTable: ...
    async def stats(self, reference: str) -> AsyncIterator[UsageSample]:
        """Each second, until the container is removed."""
        ...

    async def stats_once(self, reference: str) -> UsageSample: ...


class Files(Protocol):
    """Files of containers."""

    async def stat(self, reference: str, path: str) -> PathState: ...
    async def archive(
        self, reference: str, path: str
    ) -> tuple[PathState, AsyncGenerator[bytes, None]]: ...
    async def unpack(
        self, reference: str, path: str, archive: AsyncIterator[bytes], rules: CopyRules
    ) -> None: ...
    async def export(self, reference: str) -> AsyncGenerator[bytes, None]: ...


class Commits(Protocol):
    """What containers have written."""

    async def changes(self, reference: str) -> Sequence[Change]: ...
    async def commit(self, reference: str, request: CommitRequest) -> ImageId: ...


class Execs(Protocol):
    """Commands that join running containers."""

    async def create(self, reference: str, spec: ExecSpec) -> ExecId: ...
    async def start(
        self, exec_id: str, *, is_detached: bool, rows: int = 0, columns: int = 0
    ) -> DuplexStream | None:
        """None when it was started detached."""
        ...

    async def inspect(self, exec_id: str) -> ExecStatus: ...
    async def resize(self, exec_id: str, *, rows: int, columns: int) -> None: ...
