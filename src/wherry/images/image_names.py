"""What images are called: rows, and an index of them in memory.

A tag leads to one image or, where there are some for several platforms, to each of them, in the
order in which they came. A digest of a registry leads to the image of that manifest, or to those
of an index; a tag that came with an index keeps which one. The `write_` methods belong in a
transaction; the names in memory follow when it stands.
"""

import sqlite3
from collections.abc import Container, Iterable, Sequence
from typing import TypeVar

from wherry.images.references import Reference, from_full, with_digest
from wherry.model.ids import Digest, ImageId

K = TypeVar("K")


class ImageNames:
    """Both kinds of names. Changes are serialised by the caller; reading needs no lock."""

    def __init__(self) -> None:
        self._tags: dict[tuple[str, str], tuple[ImageId, ...]] = {}
        self._digests: dict[tuple[str, Digest], tuple[ImageId, ...]] = {}
        self._indexes: dict[tuple[str, str], Digest] = {}

    def load(self, rows: sqlite3.Connection, images: Container[ImageId]) -> dict[ImageId, int]:
        """Read what leads to these images; when each of them got its latest name."""
        tagged_at_ns: dict[ImageId, int] = {}
        for repository, tag, image_id, at_ns, index in rows.execute(
            "SELECT repository, tag, image_id, tagged_at_ns, index_digest FROM image_names "
            "ORDER BY rowid"
        ):
            if image_id in images:
                before = self._tags.get((repository, tag), ())
                self._tags[repository, tag] = (*before, image_id)
                if index is not None:
                    self._indexes[repository, tag] = Digest(index)
                tagged_at_ns[image_id] = max(at_ns, tagged_at_ns.get(image_id, at_ns))
        for repository, digest, image_id in rows.execute(
            "SELECT repository, digest, image_id FROM known_digests ORDER BY rowid"
        ):
            if image_id in images:
                self.know(with_digest(repository, digest), image_id)
        return tagged_at_ns

    # -- reading -----------------------------------------------------------------------------

    def tagged(self, repository: str, tag: str) -> tuple[ImageId, ...]:
        """What a full name and a tag lead to."""
        return self._tags.get((repository, tag), ())

    def known_as(self, repository: str, digest: Digest) -> tuple[ImageId, ...]:
        """What a registry knows by a full name and a digest."""
        return self._digests.get((repository, digest), ())

    def index_of(self, name: Reference) -> Digest | None:
        """The index that a tag came with."""
        return self._indexes.get((name.repository, name.tag))

    def known_digests(self) -> set[Digest]:
        """What tags came with, and what registries know images by."""
        return {*self._indexes.values(), *(digest for _repository, digest in self._digests)}

    def tags_of(self, repository: str) -> tuple[Reference, ...]:
        """Every tag of a full name."""
        return tuple(from_full(*each) for each in sorted(self._tags) if each[0] == repository)

    def names_of(self, image_id: ImageId) -> tuple[Reference, ...]:
        """Every name and tag of an image."""
        return tuple(
            from_full(*name) for name in sorted(self._tags) if image_id in self._tags.get(name, ())
        )

    def digests_of(self, image_id: ImageId) -> tuple[Reference, ...]:
        """What registries call an image."""
        return tuple(
            with_digest(*name)
            for name in sorted(self._digests)
            if image_id in self._digests.get(name, ())
        )

    # -- tags --------------------------------------------------------------------------------

    def write_tag(
        self,
        rows: sqlite3.Connection,
        name: Reference,
        led_to: Sequence[ImageId],
        now_ns: int,
        index: Digest | None,
    ) -> None:
        """Let a name lead to these images, by an index; to none: nowhere."""
        before = self.tagged(name.repository, name.tag)
        rows.executemany(
            "DELETE FROM image_names WHERE repository = ? AND tag = ? AND image_id = ?",
            [(name.repository, name.tag, each) for each in before if each not in led_to],
        )
        rows.executemany(
            "INSERT INTO image_names VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "tagged_at_ns = excluded.tagged_at_ns, index_digest = excluded.index_digest",
            [(name.repository, name.tag, each, now_ns, index) for each in led_to],
        )

    def point(
        self, name: Reference, led_to: Sequence[ImageId], index: Digest | None
    ) -> set[ImageId]:
        """The same in memory; the images that had the name or have it now."""
        key = (name.repository, name.tag)
        before = self._tags.pop(key, ())
        self._indexes.pop(key, None)
        if led_to:
            self._tags[key] = tuple(led_to)
            if index is not None:
                self._indexes[key] = index
        return {*before, *led_to}

    # -- digests -----------------------------------------------------------------------------

    def write_digests(
        self, rows: sqlite3.Connection, names: Iterable[Reference], image_id: ImageId
    ) -> None:
        """Note what registries call an image."""
        rows.executemany(
            "INSERT INTO known_digests VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(name.repository, name.digest, image_id) for name in names],
        )

    def know(self, name: Reference, image_id: ImageId) -> None:
        """The same in memory."""
        assert name.digest is not None
        before = self.known_as(name.repository, name.digest)
        if image_id not in before:
            self._digests[name.repository, name.digest] = (*before, image_id)

    def write_forgotten(
        self, rows: sqlite3.Connection, names: Iterable[Reference], image_id: ImageId
    ) -> None:
        """Forget that registries call an image so."""
        rows.executemany(
            "DELETE FROM known_digests WHERE repository = ? AND digest = ? AND image_id = ?",
            [(each.repository, each.digest, image_id) for each in names],
        )

    # -- both --------------------------------------------------------------------------------

    def forget(self, image_id: ImageId, digests: Iterable[Reference] | None = None) -> None:
        """In memory: some digests lead to an image no more; without them, nothing does."""
        if digests is None:
            self._tags = _without(self._tags, image_id, self._tags)
            self._indexes = {key: led for key, led in self._indexes.items() if key in self._tags}
            self._digests = _without(self._digests, image_id, self._digests)
            return
        keys = [(each.repository, each.digest) for each in digests if each.digest is not None]
        self._digests = _without(self._digests, image_id, keys)


def _without(
    names: dict[K, tuple[ImageId, ...]], image_id: ImageId, keys: Iterable[K]
) -> dict[K, tuple[ImageId, ...]]:
    """The same names without an image under these keys: a new dictionary, as others may read."""
    left = dict(names)
    for key in keys:
        ids = tuple(each for each in names[key] if each != image_id)
        if ids:
            left[key] = ids
        else:
            del left[key]
    return left
