"""Platforms as clients write them: `linux`, `arm64`, `linux/arm64/v8` (containerd's rules)."""

import re

from wherry.model.errors import InvalidValue
from wherry.wire.lenient import Decoder, InvalidJson
from wherry.wire.registries import OciPlatform

_OCI_PLATFORM = Decoder(OciPlatform)
_SPECIFIER = re.compile(r"[A-Za-z0-9_.-]+")
_SYSTEMS = frozenset({"aix", "darwin", "freebsd", "linux", "netbsd", "openbsd", "windows"})
_ARCHITECTURES = frozenset({
    "386", "aarch64", "amd64", "arm", "arm64", "armel", "armhf", "i386", "loong64", "mips64le",
    "ppc64le", "riscv64", "s390x", "x86-64", "x86_64",
})  # fmt: skip


def checked_platform(text: str) -> str:
    """The text of a platform that there may be; empty for none. Raises: InvalidValue."""
    if not text:
        return ""
    parts = text.split("/")
    if len(parts) > 3:
        raise InvalidValue(f'"{text}": cannot parse platform specifier: invalid argument')
    for part in parts:
        if not _SPECIFIER.fullmatch(part):
            raise InvalidValue(
                f'"{part}" is an invalid component of "{text}": platform specifier component '
                f'must match "^[A-Za-z0-9_.-]+$": invalid argument'
            )
    if len(parts) == 1 and text.lower() not in _SYSTEMS | _ARCHITECTURES:
        raise InvalidValue(f'"{text}": unknown operating system or architecture: invalid argument')
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
