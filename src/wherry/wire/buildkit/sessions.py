"""What a client offers on its session, beside files: credentials, secrets, agents, health."""

from typing import Annotated

from wherry.wire.protobuf import Message


class CredentialsRequest(Message):
    """moby.filesync.v1.Auth: of which registry."""

    Host: Annotated[str, 1] = ""


class CredentialsResponse(Message):
    """Who pulls and pushes."""

    Username: Annotated[str, 1] = ""
    Secret: Annotated[str, 2] = ""


class GetSecretRequest(Message):
    """moby.buildkit.secrets.v1.Secrets."""

    ID: Annotated[str, 1] = ""
    annotations: Annotated[dict[str, str], 2] = {}


class GetSecretResponse(Message):
    """A secret."""

    data: Annotated[bytes, 1] = b""


class CheckAgentRequest(Message):
    """moby.sshforward.v1.SSH: is there such an agent?"""

    ID: Annotated[str, 1] = ""


class CheckAgentResponse(Message):
    """There is."""


class HealthCheckRequest(Message):
    """grpc.health.v1.Health."""

    service: Annotated[str, 1] = ""


class HealthCheckResponse(Message):
    """1: serving."""

    status: Annotated[int, 1] = 0


class TracesRequest(Message):
    """Traces, of which nothing is kept (opentelemetry.proto.collector.trace.v1)."""


class TracesResponse(Message):
    """All were taken."""
