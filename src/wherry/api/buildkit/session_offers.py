"""A session as the builder sees it: directories, secrets, agents, credentials, a way out."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

from wherry.api.buildkit.file_send import send_directory, send_stream
from wherry.api.buildkit.file_sync import Receiving, Told, receiving
from wherry.api.buildkit.sessions import Session
from wherry.api.buildkit.stories import CANCELLED, Story
from wherry.api.errors import message_of
from wherry.kit.aio import OffloadPool
from wherry.kit.values import dataclass
from wherry.model.errors import InvalidValue
from wherry.registry import ANONYMOUS, Credentials
from wherry.wire.buildkit.files import BytesMessage
from wherry.wire.buildkit.sessions import (
    CheckAgentRequest,
    CheckAgentResponse,
    CredentialsRequest,
    CredentialsResponse,
    GetSecretRequest,
    GetSecretResponse,
)

_CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
_GET_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
_CHECK_AGENT = "/moby.sshforward.v1.SSH/CheckAgent"
_FORWARD_AGENT = "/moby.sshforward.v1.SSH/ForwardAgent"
_PULL = "/moby.upload.v1.Upload/Pull"
_HUB, _HUB_HOST = "docker.io", "registry-1.docker.io"
_PIECE = 32 << 10
_TOLD_EACH = 22
"""Progress is told each 4 MiB (two to this power)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDirectory:
    """A directory of the client's, by the name that it has on the session."""

    session: Session
    name: str
    story: Story
    title: str
    """The vertex that tells of its transfers."""
    ignore_title: str = "[internal] load .dockerignore"
    noun: str = "context"
    """What is transferred, as it is told."""

    @property
    def key(self) -> str:
        """By the client's shared key; nothing is kept for one that has none."""
        return f"{self.name}\0{self.session.shared_key}" if self.session.shared_key else ""

    @asynccontextmanager
    async def sending(
        self, paths: Sequence[str], ignore: Sequence[str]
    ) -> AsyncIterator[Receiving]:
        """Have it sent, and tell of it."""
        is_for_patterns = tuple(paths) == (".dockerignore",)
        vertex = self.story.begin(self.ignore_title if is_for_patterns else self.title)
        part, came = f"transferring {self.noun}:", 0

        def told(count: int) -> None:
            nonlocal came
            came += count
            if came >> _TOLD_EACH > (came - count) >> _TOLD_EACH:
                self.story.count(vertex, part, current=came)

        try:
            async with receiving(
                self.session, self.name, paths=paths, ignore=ignore, told=told
            ) as transfer:
                yield transfer
        except BaseException as error:
            told_error = message_of(error) if isinstance(error, Exception) else CANCELLED
            self.story.finish(vertex, error=told_error)
            raise
        self.story.count(vertex, part, current=came, is_whole=True)
        self.story.finish(vertex)


async def uploaded(session: Session, story: Story, url: str) -> AsyncIterator[bytes]:
    """What the client was given on its standard input. Raises: InvalidValue, ClientGone."""
    place, came = urlsplit(url), 0
    asked = {"urlhost": place.netloc, "urlpath": place.path}
    vertex = story.begin("[internal] load remote build context")
    async with session.stream(_PULL, BytesMessage, asked, BytesMessage) as stream:
        await stream.send_request(end=True)
        async for message in stream:
            came += len(message.data)
            yield message.data
    story.count(vertex, "transferring context:", current=came, is_whole=True)
    story.finish(vertex)


@dataclass(frozen=True, slots=True)
class SessionSecrets:
    """Secrets that the client has."""

    session: Session

    async def secret(self, name: str) -> bytes | None:
        """None: there is none of this name."""
        answer = await self.session.call(_GET_SECRET, GetSecretRequest(ID=name), GetSecretResponse)
        return None if answer is None else answer.data


@dataclass(frozen=True, slots=True)
class SessionCredentials:
    """What the client keeps for registries."""

    session: Session

    async def of(self, domain: str) -> Credentials:
        """Those for a registry's domain."""
        host = _HUB_HOST if domain == _HUB else domain
        answer = await self.session.call(
            _CREDENTIALS, CredentialsRequest(Host=host), CredentialsResponse
        )
        if answer is None or not answer.Secret:
            return ANONYMOUS
        if not answer.Username:
            return Credentials(identity_token=answer.Secret)
        return Credentials(username=answer.Username, password=answer.Secret)


@dataclass(frozen=True, slots=True)
class SessionSink:
    """A client that takes results."""

    session: Session
    story: Story
    offload: OffloadPool

    async def directory(self, number: int, root: int) -> None:
        """Send a tree, by the descriptor of its root."""
        with self._telling("copying files") as told:
            await send_directory(self.session, number, root, self.offload, told)

    async def stream(self, number: int, pieces: AsyncIterator[bytes]) -> None:
        """Send one file."""
        with self._telling("sending tarball") as told:
            await send_stream(self.session, number, pieces, told)

    @contextmanager
    def _telling(self, part: str) -> Iterator[Told]:
        vertex, went = self.story.begin("exporting to client"), 0

        def told(count: int) -> None:
            nonlocal went
            went += count

        try:
            yield told
        except BaseException as error:
            told_error = message_of(error) if isinstance(error, Exception) else CANCELLED
            self.story.finish(vertex, error=told_error)
            raise
        self.story.count(vertex, part, current=went, is_whole=True)
        self.story.finish(vertex)


@dataclass(frozen=True, slots=True)
class SessionAgents:
    """SSH agents that the client lets through."""

    session: Session

    async def has(self, name: str) -> bool:
        """Whether there is one of this name. buildx has the service without an agent behind it."""
        try:
            answer = await self.session.call(
                _CHECK_AGENT, CheckAgentRequest(ID=name), CheckAgentResponse
            )
        except InvalidValue:
            return False
        return answer is not None

    async def forward(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Join one connection of a step to the agent, until either ends it."""
        try:
            async with (
                self.session.stream(
                    _FORWARD_AGENT, BytesMessage, {"buildkit.ssh.id": name}, BytesMessage
                ) as stream,
                asyncio.TaskGroup() as directions,
            ):
                await stream.send_request()

                async def ask() -> None:
                    while data := await reader.read(_PIECE):
                        await stream.send_message(BytesMessage(data=data))
                    await stream.end()

                asking = directions.create_task(ask())
                async for message in stream:
                    writer.write(message.data)
                    await writer.drain()
                asking.cancel()
        except* ConnectionError:
            pass  # The step has ended.
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
