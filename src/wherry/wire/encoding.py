"""Writes shapes as JSON, compact and followed by a newline, as Go's encoder does."""

from typing import Any

import msgspec

Document = dict[str, Any]
"""An answer as plain values: what the version ladder works on."""

_encoder = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """One JSON value and a newline. What is no Unicode is told as U+FFFD, as by Go."""
    try:
        return _encoder.encode(value) + b"\n"
    except UnicodeEncodeError:
        return _encoder.encode(_in_unicode(msgspec.to_builtins(value))) + b"\n"


def _in_unicode(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_in_unicode(each) for each in value]
        case dict():
            return {_in_unicode(key): _in_unicode(each) for key, each in value.items()}
        case _:
            return value


def to_document(value: object) -> Any:
    """A shape as plain dicts and lists."""
    return msgspec.to_builtins(value)
