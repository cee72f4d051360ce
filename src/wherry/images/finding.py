"""Finding images: by a name, by an id, or by the beginning of one."""

import re
from collections.abc import Sequence

from wherry.images import references
from wherry.images.image_table import ImageTable
from wherry.images.references import Reference
from wherry.images.siblings import meant
from wherry.kit.values import dataclass
from wherry.model.errors.containers import AmbiguousReference
from wherry.model.errors.images import ImageNotFound
from wherry.model.images import Image
from wherry.oci.image_spec import Platform

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")
_ID_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Meaning:
    """One name that a text stands for, and the images that it leads to."""

    name: Reference | None
    """None where the text is an id, or a digest: those are no name that an image can be given."""
    images: Sequence[Image]


class ImageFinder:
    """What people's words for an image mean; reads, and takes no lock."""

    def __init__(self, table: ImageTable, host: Platform) -> None:
        self._table = table
        self._host = host

    def resolve(self, reference: str, platform: Platform | None = None) -> Image:
        """The image of a name, a name with tag, an id, or the beginning of one.

        A name may lead to images of several platforms: without one, the host's is meant.

        Raises: InvalidReference, ImageNotFound, AmbiguousReference, OtherPlatform.
        """
        name = self.name_in(reference)
        if name is not None:
            return meant(name.familiar, self._table.named(name), self._host, platform)
        return meant(reference, (self._with_id(reference),), self._host, platform)

    def all_of(self, reference: str) -> Sequence[Image]:
        """Every image that a text leads to. Raises: as `resolve`."""
        name = self.name_in(reference)
        return (name and self._table.named(name)) or (self.resolve(reference),)

    def meanings(self, reference: str) -> Sequence[Meaning]:
        """All that a text stands for: a name without a tag for all of its tags. Raises: as above.

        Where there is no tag, a name stands for itself.
        """
        name = self.name_in(reference)
        if name is None:
            return [Meaning(None, [self.resolve(reference)])]
        stands_for_all = not references.parse(reference).tag and name.digest is None
        tags = self._table.tags_of(name.repository) if stands_for_all else ()
        if tags:
            return [Meaning(each, self._table.named(each)) for each in tags]
        return [Meaning(None if name.digest else name, self.all_of(reference))]

    def leading_names(self, image: Image) -> Sequence[str]:
        """Those of its names that mean this image where no platform is asked for."""
        return tuple(
            name.familiar
            for name in self._table.names_of(image.id)
            if meant(name.familiar, self._table.named(name), self._host).id == image.id
        )

    def name_in(self, text: str) -> Reference | None:
        """The name that a text is; None where it is an id, or the beginning of one.

        Raises: InvalidReference.
        """
        is_id = _ID.fullmatch(text) is not None
        if is_id and (text.startswith("sha256:") or len(text) == _ID_DIGITS):
            return None
        name = references.parse(text).with_default_tag()
        return None if is_id and not self._table.named(name) else name

    def _with_id(self, text: str) -> Image:
        digits = text.removeprefix("sha256:")
        found = self._table.with_prefix(digits)
        if len(found) > 1:
            raise AmbiguousReference("image", digits)
        image = self._table.get(found[0]) if found else None
        if image is not None:
            return image
        if text.startswith("sha256:") or len(text) == _ID_DIGITS:
            raise ImageNotFound(f"sha256:{digits}")
        raise ImageNotFound(references.parse(text).with_default_tag().familiar)
