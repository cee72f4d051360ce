"""Platforms as people write them, and which image of an index runs on one.

The text is `os/architecture[/variant]` (containerd's `platforms`, OCI image index). Machines that
run an older variant of their architecture run its images too; the closest one is taken.
"""

import re
from collections.abc import Sequence

from wherry.oci.image_spec import Descriptor, Platform

_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_NAMES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "armv7l": "arm",
    "armv6l": "arm",
    "i386": "386",
    "i686": "386",
}
_VARIANTS = {"armhf": "v7", "armel": "v6", "armv7l": "v7", "armv6l": "v6"}
_SYSTEMS = frozenset(
    {"aix", "linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris"}
)
_DEFAULTS = {"arm64": "v8", "arm": "v7"}
_DESCENDING = {
    "arm": ("v8", "v7", "v6", "v5"),
    "amd64": ("v4", "v3", "v2", "v1", ""),
    "arm64": ("v9", "v8"),
}


def parse_platform(text: str, *, host: Platform) -> Platform:
    """Read `linux/arm64/v8`, `arm64` or `linux`; what is missing is the host's.

    Raises: ValueError in containerd's words.
    """
    words = text.split("/")
    if len(words) > 3:
        raise ValueError(f'"{text}": cannot parse platform specifier: invalid argument')
    for word in words:
        if not _WORD.fullmatch(word):
            raise ValueError(
                f'"{word}" is an invalid component of "{text}": platform specifier component must '
                'match "^[A-Za-z0-9_.-]+$": invalid argument'
            )
    first = words[0].lower()
    if len(words) == 1:
        if first in _SYSTEMS:
            return Platform(os=first, architecture=host.architecture, variant=host.variant)
        if first not in _known_architectures():
            raise ValueError(
                f'"{text}": unknown operating system or architecture: invalid argument'
            )
        return normalised(Platform(os=host.os, architecture=first))
    return normalised(
        Platform(
            os=first,
            architecture=words[1].lower(),
            variant=words[2].lower() if len(words) == 3 else "",
        )
    )


def normalised(platform: Platform) -> Platform:
    """One spelling: `aarch64` is `arm64`, whose only variant `v8` is left out."""
    architecture = _NAMES.get(platform.architecture, platform.architecture)
    variant = platform.variant or _VARIANTS.get(platform.architecture, "")
    if architecture == "arm" and not variant:
        variant = _DEFAULTS["arm"]
    if (architecture, variant) in (("arm64", "v8"), ("amd64", "v1")):
        variant = ""
    return Platform(os=platform.os or "linux", architecture=architecture, variant=variant)


def formatted(platform: Platform) -> str:
    """As people write it."""
    parts = (platform.os, platform.architecture, platform.variant)
    return "/".join(each for each in parts if each)


def rank(wanted: Platform, offered: Platform) -> int | None:
    """How well an image suits: 0 is exact, more is further away; None when it does not run."""
    want, have = normalised(wanted), normalised(offered)
    if (want.os, want.architecture) != (have.os, have.architecture):
        return None
    if want.variant == have.variant:
        return 0
    order = _DESCENDING.get(want.architecture, ())
    default = _DEFAULTS.get(want.architecture, "")
    wanted_at = _index(order, want.variant or default)
    offered_at = _index(order, have.variant or default)
    if wanted_at is None or offered_at is None or offered_at < wanted_at:
        return None
    return offered_at - wanted_at


def best(wanted: Platform, offered: Sequence[Descriptor]) -> Descriptor | None:
    """The descriptor of an index that suits a platform best; the first of equals.

    Descriptors without a platform are taken where nothing else fits, as Docker does.
    """
    ranked = [
        (found, position)
        for position, each in enumerate(offered)
        if each.platform is not None and (found := rank(wanted, each.platform)) is not None
    ]
    if ranked:
        return offered[min(ranked)[1]]
    return next((each for each in offered if each.platform is None), None)


def _index(order: Sequence[str], variant: str) -> int | None:
    return order.index(variant) if variant in order else None


def _known_architectures() -> frozenset[str]:
    return frozenset(_NAMES) | {
        "amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "mips64le", "loong64",
    }  # fmt: skip
