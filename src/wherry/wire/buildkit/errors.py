"""google.rpc.Status and the details that BuildKit's clients understand."""

from typing import Annotated

from wherry.wire.protobuf import Message


class Any(Message):
    """google.protobuf.Any: a value, and what it is."""

    type_url: Annotated[str, 1] = ""
    value: Annotated[bytes, 2] = b""


class RpcStatus(Message):
    """How a call ended."""

    code: Annotated[int, 1] = 0
    message: Annotated[str, 2] = ""
    details: Annotated[list[Any], 3] = []
