"""What a client has beside files: secrets, agents, credentials."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from grpclib.const import Cardinality, Handler
from grpclib.server import Stream

from wherry.client.build_session.answering import NotHere, answered, refusing, said
from wherry.client.credentials import Login
from wherry.wire.buildkit.files import BytesMessage
from wherry.wire.buildkit.sessions import (
    CheckAgentRequest,
    CheckAgentResponse,
    CredentialsRequest,
    CredentialsResponse,
    GetSecretRequest,
    GetSecretResponse,
)

_PIECE = 32 << 10
_HUB_HOST, _HUB = "registry-1.docker.io", "docker.io"


def secret_service(secrets: Mapping[str, bytes]) -> Mapping[str, Handler]:
    """moby.buildkit.secrets.v1.Secrets."""

    def get(asked: GetSecretRequest) -> GetSecretResponse:
        if asked.ID not in secrets:
            raise NotHere(f"secret {asked.ID} not found")
        return GetSecretResponse(data=secrets[asked.ID])

    return {
        "/moby.buildkit.secrets.v1.Secrets/GetSecret": answered(
            get, GetSecretRequest, GetSecretResponse
        )
    }


def credential_service(login: Callable[[str], Login]) -> Mapping[str, Handler]:
    """moby.filesync.v1.Auth. `login`: by a registry's domain."""

    def get(asked: CredentialsRequest) -> CredentialsResponse:
        found = login(_HUB if asked.Host == _HUB_HOST else asked.Host)
        if found.identity_token:
            return CredentialsResponse(Secret=found.identity_token)
        return CredentialsResponse(Username=found.username, Secret=found.password)

    return {
        "/moby.filesync.v1.Auth/Credentials": answered(
            get, CredentialsRequest, CredentialsResponse
        )
    }


def agent_service(sockets: Mapping[str, str]) -> Mapping[str, Handler]:
    """moby.sshforward.v1.SSH. `sockets`: of agents that listen, by id."""

    def check(asked: CheckAgentRequest) -> CheckAgentResponse:
        if (asked.ID or "default") not in sockets:
            raise NotHere(f"unset ssh forward key {asked.ID}")
        return CheckAgentResponse()

    async def forward(stream: Stream[BytesMessage, BytesMessage]) -> None:
        name = "".join(said(stream).get("buildkit.ssh.id", ())) or "default"
        with refusing():
            if name not in sockets:
                raise NotHere(f"unset ssh forward key {name}")
            answers, questions = await asyncio.open_unix_connection(sockets[name])
            await _joined(stream, answers, questions)

    return {
        "/moby.sshforward.v1.SSH/CheckAgent": answered(
            check, CheckAgentRequest, CheckAgentResponse
        ),
        "/moby.sshforward.v1.SSH/ForwardAgent": Handler(
            forward, Cardinality.STREAM_STREAM, BytesMessage, BytesMessage
        ),
    }


async def _joined(
    stream: Stream[BytesMessage, BytesMessage],
    answers: asyncio.StreamReader,
    questions: asyncio.StreamWriter,
) -> None:
    """Carry bytes both ways until either side has ended."""

    async def ask() -> None:
        with suppress(ConnectionError):
            async for message in stream:
                questions.write(message.data)
                await questions.drain()
        questions.close()

    asking = asyncio.ensure_future(ask())
    try:
        while piece := await answers.read(_PIECE):
            await stream.send_message(BytesMessage(data=piece))
    finally:
        asking.cancel()
        questions.close()
