"""The `filters` parameter: JSON of a map from keys to accepted values, in two spellings."""

import msgspec

from wherry.wire.lenient import InvalidJson

_new_spelling = msgspec.json.Decoder(dict[str, dict[str, bool]])
_old_spelling = msgspec.json.Decoder(dict[str, list[str]])


def decode_filters(text: str) -> dict[str, tuple[str, ...]]:
    """`{"label": {"a=b": true}}` or `{"label": ["a=b"]}`; empty text has no filters.

    A value that is mapped to false counts all the same, as in Docker.

    Raises: InvalidJson.
    """
    if not text:
        return {}
    for decode in (_new_spelling.decode, _old_spelling.decode):
        try:
            return {key: tuple(values) for key, values in decode(text).items()}
        except (ValueError, RecursionError):
            continue
    raise InvalidJson("invalid filter")
