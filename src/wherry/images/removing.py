"""Taking names away from images: which go, and which images are to go with them."""

from collections.abc import Callable, Sequence

from wherry.images.finding import ImageFinder
from wherry.images.image_table import ImageTable
from wherry.images.references import Reference
from wherry.model.errors.images import ImageHasTags, ImageInUse
from wherry.model.ids import ImageId
from wherry.model.images import Image
from wherry.model.outcomes import Removal
from wherry.oci.image_spec import Platform

Users = Callable[[ImageId], Sequence[tuple[str, bool]]]
"""The containers made from an image: id, and whether they run."""


class Removals:
    """One removal; the caller holds the store's lock and deletes what is left without a name."""

    def __init__(
        self, table: ImageTable, finder: ImageFinder, users: Users, *, now_ns: int
    ) -> None:
        self._table = table
        self._finder = finder
        self._users = users
        self._now_ns = now_ns
        self.told: tuple[Removal, ...] = ()
        """The names that lead nowhere now."""

    def untag(
        self, reference: str, platforms: Sequence[Platform], *, is_forced: bool
    ) -> Sequence[Image]:
        """Take a name away from what it led to; returns the images to be deleted.

        Raises: ImageNotFound, InvalidReference, ImageInUse, ImageHasTags, OtherPlatform.
        """
        name = self._finder.name_in(reference)
        if name is None:
            return self._untag_id(self._finder.resolve(reference), is_forced=is_forced)
        going = [self._finder.resolve(reference, each) for each in platforms]
        going = going or list(self._finder.all_of(reference))
        last = [each for each in going if self._is_last_name(name, each)]
        containers = [(holder, each) for each in last for holder, _runs in self._users(each.id)]
        if containers and not is_forced:
            holder, image = containers[0]
            # In Docker's words it can be forced, whether the container runs or not.
            raise ImageInUse(reference, holder, False, image.id)
        self._untag_name(name, going)
        # Docker leaves an image that a running container needs without a name, and says nothing.
        return [each for each in last if not any(runs for _holder, runs in self._users(each.id))]

    def _is_last_name(self, name: Reference, image: Image) -> bool:
        """Whether nothing else leads to an image; its digests go with its last tag."""
        tags = self._table.names_of(image.id)
        return not tags if name.digest is not None else len(tags) == 1

    def _untag_id(self, image: Image, *, is_forced: bool) -> Sequence[Image]:
        names = self._table.names_of(image.id)
        containers = self._users(image.id)
        running = next((holder for holder, is_running in containers if is_running), None)
        if running is not None:
            raise ImageInUse(image.id, running, True, image.id)
        if not is_forced and len({name.repository for name in names}) > 1:
            raise ImageHasTags(image.id)
        if not is_forced and containers:
            raise ImageInUse(image.id, containers[0][0], False, image.id)
        self.told = tuple(
            Removal(untagged=name.familiar)
            for name in (*names, *self._table.digests_of(image.id))
            if len(self._table.named(name)) == 1
        )
        return (image,)

    def _untag_name(self, name: Reference, going: Sequence[Image]) -> None:
        """With the last tag of a repository go its digests."""
        ids = [each.id for each in going]
        gone: dict[Reference, None] = {}
        if name.digest is None:
            left = [each.id for each in self._table.named(name) if each.id not in ids]
            self._table.tag(name, left, now_ns=self._now_ns, index=self._table.index_of(name))
            gone[name] = None
        for image_id in ids:
            others = {each.repository for each in self._table.names_of(image_id)}
            if name.digest is not None or name.repository not in others:
                gone |= dict.fromkeys(self._table.forget_digests(name.repository, image_id))
        self.told = tuple(
            Removal(untagged=each.familiar) for each in gone if not self._table.named(each)
        )
