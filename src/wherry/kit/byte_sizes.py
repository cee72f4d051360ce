"""Sizes of bytes as people write and read them (the rules of docker/go-units)."""

import re

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SUFFIX = re.compile(r"b?|[kmgtp](?:i?b)?", re.IGNORECASE)
_MOST = (1 << 63) - 1
_BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
_DECIMAL_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def parse_size(text: str) -> int:
    """Bytes in `64m`, `1.5GiB`, `1024`; a suffix counts in powers of 1024 (`RAMInBytes`).

    Raises: ValueError with go-units' text.
    """
    return _parse(text, _BINARY)


def parse_decimal_size(text: str) -> int:
    """The same for sizes of files: a suffix counts in powers of 1000 (`FromHumanSize`).

    Raises: ValueError with go-units' text.
    """
    return _parse(text, _DECIMAL)


def human_size(size_bytes: float) -> str:
    """Decimal, four significant digits: 1.24MB (go-units `HumanSize`)."""
    return _scaled(size_bytes, 1000.0, _DECIMAL_UNITS, "{:.4g}")


def human_size_short(size_bytes: float) -> str:
    """Decimal, three significant digits: 1.2MB as image lists print it."""
    return _scaled(size_bytes, 1000.0, _DECIMAL_UNITS, "{:.3g}")


def binary_size(size_bytes: float) -> str:
    """Binary, four significant digits: 62.5MiB (go-units `BytesSize`)."""
    return _scaled(size_bytes, 1024.0, _BINARY_UNITS, "{:.4g}")


def _parse(text: str, scales: dict[str, int]) -> int:
    """The number ends with the last digit; one blank may stand before the suffix."""
    end = max(map(text.rfind, "0123456789. "))
    number, suffix = text[: end + 1].removesuffix(" "), text[end + 1 :]
    if end < 0 or number.startswith("-"):
        raise ValueError(f"invalid size: '{text}'")
    if not _NUMBER.fullmatch(number):
        raise ValueError(f'strconv.ParseFloat: parsing "{number}": invalid syntax')
    if not _SUFFIX.fullmatch(suffix):
        raise ValueError(f"invalid suffix: '{suffix.lower() if len(suffix) < 4 else suffix}'")
    scale = scales.get(suffix[:1].lower(), 1)
    size = int(number) * scale if number.isdecimal() else float(number) * scale
    if size > _MOST:
        raise ValueError(f"invalid size: '{text}'")
    return int(size)


def _scaled(size: float, base: float, units: tuple[str, ...], number: str) -> str:
    index = 0
    while size >= base and index < len(units) - 1:
        size /= base
        index += 1
    return number.format(size) + units[index]
