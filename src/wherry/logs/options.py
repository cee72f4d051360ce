"""The drivers that exist and the options that they take."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.kit.byte_sizes import parse_decimal_size
from wherry.kit.numbers import parse_int

DRIVERS = ("json-file", "none")
READABLE_DRIVERS = ("json-file",)

DEFAULT_FILE_BYTES = 20 << 20
DEFAULT_FILES = 3


@dataclass(frozen=True, slots=True)
class Rotation:
    """How large a log file gets and how many there are."""

    file_bytes: int = DEFAULT_FILE_BYTES
    """-1: without limit."""
    files: int = DEFAULT_FILES
    """At least one, the file that is being written included."""

    @staticmethod
    def from_options(options: Mapping[str, str]) -> "Rotation":
        """Read `max-size` and `max-file`, with the texts of Docker where they are wrong.

        Raises: ValueError.
        """
        size_text, files_text = options.get("max-size"), options.get("max-file")
        file_bytes, files = DEFAULT_FILE_BYTES, DEFAULT_FILES
        if size_text is not None:
            file_bytes = -1 if size_text == "-1" else parse_decimal_size(size_text)
            if not file_bytes:
                raise ValueError("max-size must be a positive number")
        if files_text is not None:
            try:
                files = parse_int(files_text)
            except ValueError:
                raise ValueError(f"max-file must be a number: {files_text!r}") from None
            if files < 1:
                raise ValueError("max-file cannot be less than 1")
        return Rotation(file_bytes, files if file_bytes > 0 else 1)


_KNOWN: Mapping[str, frozenset[str]] = {
    "json-file": frozenset({"max-size", "max-file"}),
    "none": frozenset(),
}


def validate(driver: str, options: Mapping[str, str]) -> None:
    """Refuse what `open_sink` could not do.

    Raises: ValueError with Docker's sentence.
    """
    known = _KNOWN.get(driver)
    if known is None:
        raise ValueError(f"logger: no log driver named '{driver}' is registered")
    for name in options:
        if name not in known:
            raise ValueError(f"unknown log opt '{name}' for {driver} log driver")
    if driver == "json-file":
        Rotation.from_options(options)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTarget:
    """Where one container's output goes; it crosses the shim protocol."""

    driver: str = "json-file"
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Put into every record, and shown by `logs --details`."""
