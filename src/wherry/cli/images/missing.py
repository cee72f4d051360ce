"""Images that a command needs and the engine has not."""

from wherry.cli.images.references import parse_reference
from wherry.cli.progress import show_progress
from wherry.cli.session import Session


def pull(session: Session, image: str, platform: str = "", *, is_quiet: bool = False) -> None:
    """Fetch an image, with the user's login, and show how far it is on standard error.

    Raises: ValueError for a bad reference, ApiError.
    """
    from wherry.cli.images.registry_access import login_for

    reference = parse_reference(image)
    messages = session.client.images.pull(
        reference.familiar_name,
        reference.digest or reference.tag or "latest",
        platform=platform,
        login=login_for(session, reference.domain),
    )
    session.out.flush()
    show_progress(messages, session.err, is_quiet=is_quiet)
