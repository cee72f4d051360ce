"""`--gpus`: a request for devices, which the engine hands to a driver of the vendor's."""

import csv
from collections.abc import Iterator

from wherry.client.documents import Document, as_json

_ALL = -1


def read_gpus(text: str) -> Document:
    """`all`, a count, or `driver=`, `count=`, `device=`, `capabilities=`, `options=`.

    Raises: ValueError with Docker's text.
    """
    fields = next(csv.reader([text], strict=True), [])
    if not text:
        raise ValueError("EOF")
    request: Document = {"Count": 1, "Capabilities": [["gpu"]], "Options": {}}
    told = [key for key, _ in _pairs(fields)]
    for key, value in _pairs(fields):
        if told.count(key) > 1:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        match key:
            case "driver":
                request["Driver"] = value
            case "count":
                request["Count"] = _count(value)
            case "device":
                request["DeviceIDs"] = as_json(value.split(","))
            case "capabilities":
                request["Capabilities"] = [as_json([*value.split(","), "gpu"])]
            case "options":
                options = next(csv.reader([value], strict=True), [])
                request["Options"] = dict(each.partition("=")[::2] for each in options)
            case _:
                raise ValueError(f"unexpected key '{key}' in '{key}={value}'")
    if "device" in told and "count" not in told:
        request["Count"] = 0
    return request


def _pairs(fields: list[str]) -> Iterator[tuple[str, str]]:
    """A field without a key is the count."""
    for field in fields:
        key, equals, value = field.partition("=")
        yield (key, value) if equals else ("count", field)


def _count(text: str) -> int:
    if text == "all":
        return _ALL
    if not text.lstrip("+-").isdecimal():
        raise ValueError(
            f'invalid count ({text}): value must be either "all" or an integer: invalid syntax'
        )
    return int(text)
