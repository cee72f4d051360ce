"""Failures as gRPC tells them: a status, Docker's text, and where in the Dockerfile."""

import base64
from collections.abc import Mapping

import msgspec
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from wherry.api.buildkit.narration import Narrator, sentence
from wherry.model import errors as kinds
from wherry.wire.buildkit.errors import Any, RpcStatus
from wherry.wire.protobuf import MalformedMessage

_SOURCE = "github.com/moby/buildkit/errdefs.Source+json"

_STATUSES: Mapping[type[Exception], Status] = {
    MalformedMessage: Status.INVALID_ARGUMENT,
    kinds.NotSupported: Status.UNIMPLEMENTED,
    kinds.Cancelled: Status.CANCELLED,
    kinds.Unauthorized: Status.UNAUTHENTICATED,
    kinds.Forbidden: Status.PERMISSION_DENIED,
}
"""All others are UNKNOWN, as BuildKit's are: clients put a known status before the text."""


def failure(error: Exception, narrator: Narrator | None = None) -> GRPCError:
    """Any failure, for a client."""
    if isinstance(error, GRPCError):
        return GRPCError(error.status, _spoken(error.message or ""), error.details)
    status = next(
        (status for kind, status in _STATUSES.items() if isinstance(error, kind)), Status.UNKNOWN
    )
    return GRPCError(status, _spoken(sentence(error)), _place(error, narrator))


def to_failure(status: RpcStatus) -> GRPCError:
    """A failure that a client tells of."""
    try:
        known = Status(status.code)
    except ValueError:
        known = Status.UNKNOWN
    return GRPCError(known, status.message, status.details)


def to_rpc_status(error: GRPCError) -> RpcStatus:
    """A failure as a value."""
    return RpcStatus(code=error.status.value, message=error.message or "")


def _spoken(text: str) -> str:
    """As a trailer can have it: a client's bytes that are no UTF-8 become marks."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def _place(error: Exception, narrator: Narrator | None) -> list[Any]:
    """Where in the Dockerfile: clients show the lines around it."""
    ranges = narrator.failed_ranges(error) if narrator is not None else []
    if narrator is None or not ranges:
        return []
    source = {
        "info": {
            "filename": narrator.dockerfile,
            "data": base64.b64encode(narrator.content).decode(),
            "language": "Dockerfile",
        },
        "ranges": [
            {
                name: {"line": place.line}
                for name, place in (("start", each.start), ("end", each.end))
                if place
            }
            for each in ranges
        ],
    }
    return [Any(type_url=_SOURCE, value=msgspec.json.encode(source))]
