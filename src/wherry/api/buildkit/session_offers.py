"""A session as the builder sees it: directories, secrets, agents, credentials, a way out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from wherry.api.buildkit.file_sync import Receiving, receiving
from wherry.api.buildkit.sessions import Session
from wherry.api.buildkit.stories import Story
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
_HUB, _HUB_HOST = "docker.io", "registry-1.docker.io"
_PIECE = 32 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDirectory:
    """A directory of the client's, by the name that it has on the session."""

    session: Session
    name: str
    story: Story
    title: str
    """The vertex that tells of its transfers."""
    noun: str
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
        title = "[internal] load .dockerignore" if paths == (".dockerignore",) else self.title
        part, came = f"transferring {self.noun}:", 0

        def told(count: int) -> None:
            nonlocal came
            came += count

        self.story.start(title, title)
        try:
            async with receiving(
                self.session, self.name, paths=paths, ignore=ignore, told=told
            ) as transfer:
                yield transfer
        except BaseException as error:
            self.story.finish(title, error=str(error) or "context canceled")
            raise
        self.story.count(title, part, current=came, is_whole=True)
        self.story.finish(title)


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
class SessionAgents:
    """SSH agents that the client lets through."""

    session: Session

    async def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        answer = await self.session.call(
            _CHECK_AGENT, CheckAgentRequest(ID=name), CheckAgentResponse
        )
        return answer is not None

    async def forward(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Join one connection of a step to the agent, until either ends it."""
        try:
            async with (
                self.session.stream(
                    _FORWARD_AGENT, BytesMessage, {"buildkit.ssh.id": name}
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
