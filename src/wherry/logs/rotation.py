"""How a container's log is cut into files: of which size, how many, compressed or not."""

from collections.abc import Mapping

from wherry.kit.byte_sizes import parse_decimal_size
from wherry.kit.numbers import parse_int
from wherry.kit.values import dataclass
from wherry.logs.option_words import flag

DEFAULT_FILE_BYTES = 20 << 20
DEFAULT_FILES = 3
LOCAL_FILES = 5
"""Of the driver `local`, which compresses too unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How large a log file gets and how many there are."""

    file_bytes: int = DEFAULT_FILE_BYTES
    """-1: without limit."""
    files: int = DEFAULT_FILES
    """At least one, the file that is being written included."""
    is_compressed: bool = False
    """Whether those that are no longer written are."""

    @staticmethod
    def from_options(options: Mapping[str, str]) -> "Rotation":
        """Of `json-file`, with the texts of Docker where they are wrong. Raises: ValueError."""
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
        files = files if file_bytes > 0 else 1
        is_compressed = flag(options, "compress")
        if is_compressed and files == 1:
            raise ValueError(
                "compress cannot be true when max-file is less than 2 or max-size is not set"
            )
        return Rotation(file_bytes, files, is_compressed)

    @staticmethod
    def of_local(options: Mapping[str, str]) -> "Rotation":
        """Of `local`. Raises: ValueError."""
        file_bytes, files, is_compressed = DEFAULT_FILE_BYTES, LOCAL_FILES, True
        if "max-size" in options:
            try:
                file_bytes = parse_decimal_size(options["max-size"])
            except ValueError as error:
                raise ValueError(
                    f"invalid value for max-size: {options['max-size']}: {error}"
                ) from None
        if "max-file" in options:
            try:
                files = parse_int(options["max-file"])
            except ValueError as error:
                raise ValueError(
                    f"invalid value for max-file: {options['max-file']}: {error}"
                ) from None
            if files < 0:
                raise ValueError("max-file must not be negative")
        if "compress" in options:
            try:
                is_compressed = flag(options, "compress")
            except ValueError as error:
                raise ValueError(f"invalid boolean value for compress: {error}") from None
        if is_compressed and files <= 1:
            raise ValueError("compression cannot be enabled when max file count is 1")
        return Rotation(file_bytes or -1, max(files, 1), is_compressed)

    @staticmethod
    def of_cache(options: Mapping[str, str]) -> "Rotation":
        """Of the local file that a remote driver is fed from. Raises: ValueError."""
        own = {
            name.removeprefix("cache-"): value
            for name, value in options.items()
            if name in ("cache-max-size", "cache-max-file", "cache-compress")
        }
        return Rotation.from_options(own)


def rotation_of(driver: str, options: Mapping[str, str]) -> Rotation:
    """How the local file of a container is rotated. Raises: ValueError."""
    match driver:
        case "json-file" | "":
            return Rotation.from_options(options)
        case "local":
            return Rotation.of_local(options)
        case _:
            return Rotation.of_cache(options)
