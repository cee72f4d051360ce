"""Images of several platforms under one name, and which of them is meant.

A name in a registry may lead to an index: one image for each platform. Here each of them is an
image with an id of its own, and those that came from one index stand side by side under its name:

    debian:12 ─┬─▶ linux/amd64   whoever asks for no platform gets the host's
               └─▶ linux/arm64   where there is none for the host: the first that came

A list has one line for the name, that of the image which it leads to first.
"""

import os
from collections.abc import Iterable, Sequence

from wherry.model.errors import InvalidValue
from wherry.model.errors.images import ImageNotFound
from wherry.model.errors.registries import OtherPlatform
from wherry.model.images import Image
from wherry.oci.image_spec import Platform
from wherry.oci.platforms import formatted, normalised, parse_platform, rank


def host_platform() -> Platform:
    """What this machine's processor runs without help."""
    return normalised(Platform(os="linux", architecture=os.uname().machine))


def platform_from(text: str, host: Platform) -> Platform:
    """Read `linux/arm64`; empty: the host's. Raises: InvalidValue."""
    if not text:
        return host
    try:
        return parse_platform(text, host=host)
    except ValueError as error:
        raise InvalidValue(str(error)) from error


def platform_of(image: Image) -> Platform:
    """What an image runs on."""
    return Platform(
        os=image.operating_system, architecture=image.architecture, variant=image.variant
    )


def is_for(image: Image, wanted: Platform) -> bool:
    """Whether an image is the one that a platform means."""
    return rank(wanted, platform_of(image)) is not None


def meant(
    name: str, found: Sequence[Image], host: Platform, wanted: Platform | None = None
) -> Image:
    """Of the images that a name leads to, the one for a platform.

    Raises: ImageNotFound where there is none at all; OtherPlatform where none suits.
    """
    if not found:
        raise ImageNotFound(name)
    suiting = closest(found, wanted or host)
    if suiting is not None:
        return suiting
    if wanted is not None:
        raise OtherPlatform(name, formatted(wanted))
    return found[0]


def closest(found: Iterable[Image], wanted: Platform) -> Image | None:
    """The image that suits a platform best; None where none does."""
    ranked = [(rank(wanted, platform_of(each)), each) for each in found]
    suiting = [(far, each) for far, each in ranked if far is not None]
    return min(suiting, key=lambda each: each[0])[1] if suiting else None


def without_doubles(found: Iterable[Image]) -> list[Image]:
    """Of images for the same platform only the first."""
    kept: dict[Platform, Image] = {}
    for each in found:
        kept.setdefault(normalised(platform_of(each)), each)
    return list(kept.values())
