"""`tag` and `rmi`."""

from wherry.cli.command import ONE_OR_MORE, TWO, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRINGS, SWITCH, Flag, Parsed
from wherry.cli.images.platform_names import checked_platforms
from wherry.cli.images.references import (
    DEFAULT_TAG,
    Reference,
    is_image_id,
    parse_reference,
)
from wherry.cli.session import Session, explain
from wherry.client.documents import text
from wherry.client.errors import ApiError

NOT_FOUND = 404


def tag(session: Session, parsed: Parsed) -> int:
    """Give an image another name."""
    source, target = parsed.arguments
    if not is_image_id(source):
        _read(source)
    reference = _read(target)
    if reference.digest:
        raise CommandFailed("refusing to create a tag with a digest reference")
    session.client.images.tag(
        source, repository=reference.familiar_name, tag=reference.tag or DEFAULT_TAG
    )
    return 0


def _read(text: str) -> Reference:
    try:
        return parse_reference(text)
    except ValueError as problem:
        raise CommandFailed(
            f'Error parsing reference: "{text}" is not a valid repository/tag: {problem}'
        ) from None


def remove(session: Session, parsed: Parsed) -> int:
    """Remove names of images, and the images that have none left."""
    is_forced = parsed.is_on("force")
    platforms = checked_platforms(parsed.texts("platform"))
    failed = False
    for image in parsed.arguments:
        try:
            removed = session.client.images.remove(
                image,
                is_forced=is_forced,
                keeps_parents=parsed.is_on("no-prune"),
                platforms=platforms,
            )
        except ApiError as problem:
            session.complain(explain(problem))
            failed = failed or not (is_forced and problem.status == NOT_FOUND)
            continue
        for each in removed:
            deleted = text(each, "Deleted")
            session.say(
                f"Deleted: {deleted}" if deleted else f"Untagged: {text(each, 'Untagged')}"
            )
    return 1 if failed else 0


TAG = Command("SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", "Give an image another name", TWO, tag)
REMOVE = Command(
    "IMAGE [IMAGE...]",
    "Remove one or more images",
    ONE_OR_MORE,
    remove,
    (
        Flag("force", SWITCH, "Remove an image that has more than one name", short="f"),
        Flag("no-prune", SWITCH, "Keep untagged parents"),
        Flag("platform", STRINGS, "Only the image for this platform, of several"),
    ),
)
