"""Writes shapes as JSON, compact and followed by a newline, as Go's encoder does."""

from typing import Any

import msgspec

Document = dict[str, Any]
"""An answer as plain values: what the version ladder works on."""

_encoder = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """One JSON value and a newline."""
    return _encoder.encode(value) + b"\n"


def to_document(value: object) -> Any:
    """A shape as plain dicts and lists."""
    return msgspec.to_builtins(value)
