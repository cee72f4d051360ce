"""Platforms as clients write them: `linux`, `arm64`, `linux/arm64/v8` (containerd's rules)."""

from wherry.model.errors import InvalidValue
from wherry.oci.image_spec import Platform
from wherry.oci.platforms import parse_platform
from wherry.wire.lenient import Decoder, InvalidJson
from wherry.wire.registries import OciPlatform

_OCI_PLATFORM = Decoder(OciPlatform)


def checked_platform(text: str) -> str:
    """The text of a platform that there may be; empty for none. Raises: InvalidValue."""
    if text:
        try:
            parse_platform(text, host=Platform())
        except ValueError as error:
            raise InvalidValue(str(error)) from error
    return text


def platform_text(value: str) -> str:
    """The text of a platform that came as OCI's JSON (of a push), or as text already.

    Raises: InvalidValue.
    """
    if not value.startswith("{"):
        return checked_platform(value)
    try:
        read = _OCI_PLATFORM.decode(value.encode())
    except InvalidJson as error:
        raise InvalidValue(f"failed to parse platform: {error}") from error
    return "/".join(each for each in (read.os, read.architecture, read.variant) if each)
