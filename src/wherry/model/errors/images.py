"""Failures of images that are here, of their names and their archives."""

from wherry.model.errors import Conflict, InvalidRequest, NotFound


class ImageNotFound(NotFound):
    """No image answers to the reference."""

    reference: str


class ImageInUse(Conflict):
    """A container or another tag needs the image."""

    reference: str
    container: str
    is_running: bool
    image: str = ""
    """Its id: the same as the reference where it was named by id."""


class ImageHasTags(Conflict):
    """Removal by id of an image with tags in several repositories."""

    image: str


class InvalidReference(InvalidRequest):
    """Text that is not an image reference."""

    reference: str
    problem: str


class UnusableReference(InvalidReference):
    """A reference, but none that can be what is asked of it: the problem is a sentence."""


class ArchiveRefused(InvalidRequest):
    """An image archive or layer that is malformed or unsafe."""

    problem: str


class DigestMismatch(InvalidRequest):
    """Content that is not what its digest says."""

    expected: str
    actual: str
