"""Platforms as people write them, and which image of an index runs on one.

The text is `os/architecture[/variant]` (containerd's `platforms`, OCI image index). Machines that
run an older variant of their architecture run its images too; the closest one is taken.
"""

from collections.abc import Sequence

from wherry.kit.platform_names import PlatformName, one_spelling, read_platform
from wherry.oci.image_spec import Descriptor, Platform

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
    names_of_host = PlatformName(host.os, host.architecture, host.variant)
    read = read_platform(text, host=names_of_host)
    return normalised(
        Platform(os=read.system, architecture=read.architecture, variant=read.variant)
    )


def normalised(platform: Platform) -> Platform:
    """One spelling: `aarch64` is `arm64`, whose only variant `v8` is left out."""
    architecture, variant = one_spelling(platform.architecture, platform.variant)
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
