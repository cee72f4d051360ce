"""Platforms as people write them: `linux/arm64/v8`, `arm64`, `windows(10.0)/amd64`.

The words and the spellings are those of containerd's `platforms`, which Docker's client and
engine both read them with.
"""

import re
from typing import NamedTuple

_SYSTEM = r"^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?$"
_WORD = r"^[A-Za-z0-9_.-]+$"
_SYSTEMS = frozenset({
    "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux",
    "nacl", "netbsd", "openbsd", "plan9", "solaris", "windows", "zos",
})  # fmt: skip
_ARCHITECTURES = frozenset({
    "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle",
    "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le", "riscv",
    "riscv64", "s390", "s390x", "sparc", "sparc64", "wasm",
})  # fmt: skip
_ONE_NAME = {
    "x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386",
    "armhf": "arm", "armel": "arm", "armv7l": "arm", "armv6l": "arm",
}  # fmt: skip
_VARIANT_IN_NAME = {"armhf": "v7", "armel": "v6", "armv7l": "v7", "armv6l": "v6"}


class PlatformName(NamedTuple):
    """A platform in parts, each in its one spelling; what is not said is empty."""

    system: str
    architecture: str
    variant: str = ""
    system_version: str = ""


def read_platform(text: str, *, host: PlatformName) -> PlatformName:
    """Read `system`, `architecture` or `system/architecture[/variant]`; the rest is the host's.

    Raises: ValueError in containerd's words.
    """
    system, version, others = _words(text)
    match others:
        case [] if system in _SYSTEMS:
            return PlatformName(system, host.architecture, host.variant, version)
        case []:
            architecture, variant = one_spelling(text, "")
            if architecture not in _ARCHITECTURES:
                raise ValueError(
                    f'"{text}": unknown operating system or architecture: invalid argument'
                )
            return PlatformName("linux", architecture, _said(architecture, variant))
        case [name]:
            architecture, variant = one_spelling(name, "")
            return PlatformName(system, architecture, _said(architecture, variant), version)
        case [name, wanted]:
            architecture, variant = one_spelling(name, wanted)
            if architecture == "arm64" and not variant:
                variant = "v8"
            return PlatformName(system, architecture, variant, version)
        case _:
            raise ValueError(f'"{text}": cannot parse platform specifier: invalid argument')


def one_spelling(architecture: str, variant: str) -> tuple[str, str]:
    """`aarch64` is `arm64`, whose only variant `v8` is left out; `arm` alone is its `v7`."""
    name, variant = architecture.lower(), variant.lower()
    variant = _VARIANT_IN_NAME.get(name, variant)
    name = _ONE_NAME.get(name, name)
    match name, variant:
        case ("386", _) | ("amd64", "v1") | ("arm64", "8" | "v8"):
            return name, ""
        case ("arm", ""):
            return name, "v7"
        case ("arm", "5" | "6" | "7" | "8"):
            return name, f"v{variant}"
        case _:
            return name, variant


def _words(text: str) -> tuple[str, str, list[str]]:
    """The system, its version, and what follows it; each of them a word that there may be."""
    if "*" in text:
        raise ValueError(f'"{text}": wildcards not yet supported: invalid argument')
    first, *others = text.split("/")
    of_system = re.fullmatch(_SYSTEM, first)
    if of_system is None:
        raise ValueError(
            f'"{first}" is an invalid OS component of "{text}": OSAndVersion specifier component '
            f"must match {_quoted(_SYSTEM)}: invalid argument"
        )
    for word in others:
        if not re.fullmatch(_WORD, word):
            raise ValueError(
                f'"{word}" is an invalid component of "{text}": platform specifier component must '
                f"match {_quoted(_WORD)}: invalid argument"
            )
    name = of_system[1].lower()
    return {"macos": "darwin"}.get(name, name), of_system[2] or "", others


def _said(architecture: str, variant: str) -> str:
    """The variant that goes without saying is not said, where none was."""
    return "" if (architecture, variant) == ("arm", "v7") else variant


def _quoted(pattern: str) -> str:
    return '"' + pattern.replace("\\", "\\\\") + '"'
