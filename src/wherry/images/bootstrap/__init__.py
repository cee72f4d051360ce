"""Base images made from this host's own parts: for a class room, or where there is no network.

I own: one recipe per image. Each writes one layer's tar and says what the image's defaults are.
I never: record an image; the store does.
On disk I leave: nothing; what a recipe needs meanwhile is in the workspace that it is given.
Called by: images.making.
"""

from wherry.images import references
from wherry.images.bootstrap import busybox, debian, hello, pause
from wherry.images.bootstrap.recipe import BaseImage
from wherry.model.errors import InvalidValue

_RECIPES = {
    "docker.io/library/busybox": {"latest": busybox.recipe},
    "docker.io/library/hello": {"latest": hello.recipe},
    "docker.io/library/debian": {"bookworm": debian.recipe},
    "docker.io/wherry/pause": {"latest": pause.recipe},
}


def base_image(reference: str) -> BaseImage:
    """The recipe of a base image. Raises: InvalidReference; InvalidValue when there is none."""
    name = references.parse(reference).with_default_tag()
    make = _RECIPES.get(name.repository, {}).get(name.tag)
    if make is None:
        raise InvalidValue(
            f"no recipe for {name.familiar}: there are busybox, hello and debian:bookworm"
        )
    return make()


__all__ = ["BaseImage", "base_image"]
