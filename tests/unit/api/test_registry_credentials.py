"""Who asks a registry, by the header of a request."""

import base64

import pytest

from wherry.api.translate.registries import from_header
from wherry.registry import ANONYMOUS

BOTH = base64.urlsafe_b64encode(b'{"username": "jane", "password": "o>?"}').decode()


@pytest.mark.parametrize("header", [BOTH, BOTH.rstrip("=")])
def test_credentials_in_a_header(header: str) -> None:
    """base64url, with or without padding."""
    credentials = from_header(header)
    assert (credentials.username, credentials.password) == ("jane", "o>?")


@pytest.mark.parametrize(
    "header", ["", "placeholder", "e30", "e30=", "!", "bnVsbA==", "a" * 99999]
)
def test_what_is_none_is_nobody(header: str) -> None:
    """As in dockerd: an SDK that has no credentials sends any word."""
    assert from_header(header) == ANONYMOUS
