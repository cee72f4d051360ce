"""Images that are here."""

from wherry.api.errors.rules import Rule, Rules
from wherry.kit.random_ids import short_id
from wherry.model.errors import images as kinds


def _image_in_use(error: kinds.ImageInUse) -> str:
    holder = short_id(error.container)
    if error.is_running:
        return (
            f"conflict: unable to delete {short_id(error.reference)} (cannot be forced) - "
            f"image is being used by running container {holder}"
        )
    if error.reference == error.image:
        return (
            f"conflict: unable to delete {short_id(error.reference)} (must be forced) - "
            f"image is being used by stopped container {holder}"
        )
    return (
        f'conflict: unable to remove repository reference "{error.reference}" (must force) - '
        f"container {holder} is using its referenced image {short_id(error.image)}"
    )


def _invalid_reference(error: kinds.InvalidReference) -> str:
    if not error.problem or error.problem == "invalid reference format":
        return "invalid reference format"
    return f"invalid reference format: {error.problem}"


RULES: Rules = {
    kinds.ImageNotFound: Rule(404, lambda e: f"No such image: {e.reference}"),
    kinds.ImageInUse: Rule(409, _image_in_use),
    kinds.ImageHasTags: Rule(
        409,
        lambda e: (
            f"conflict: unable to delete {short_id(e.image)} (must be forced) - "
            "image is referenced in multiple repositories"
        ),
    ),
    kinds.InvalidReference: Rule(400, _invalid_reference),
    kinds.UnusableReference: Rule(400, lambda e: e.problem),
    kinds.ArchiveRefused: Rule(400, lambda e: f"invalid archive: {e.problem}"),
    kinds.DigestMismatch: Rule(
        400, lambda e: f"content has digest {e.actual}, expected {e.expected}"
    ),
}
