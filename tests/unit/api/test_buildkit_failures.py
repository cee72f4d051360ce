"""Failures as BuildKit's clients are told them."""

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.metadata import encode_grpc_message

from wherry.api.buildkit.failures import failure
from wherry.model.errors import InvalidValue


@pytest.mark.parametrize(
    "error",
    [InvalidValue("no filter: \udcf4uild"), GRPCError(Status.UNKNOWN, "no filter: \udcf4uild")],
)
def test_words_that_are_no_unicode_are_told(error: Exception) -> None:
    """Bytes of a client's come back as marks: a refusal that can't be sent is no answer at all."""
    told = failure(error)
    assert (told.status, told.message) == (Status.UNKNOWN, "no filter: \ufffduild")
    assert encode_grpc_message(told.message or "")
