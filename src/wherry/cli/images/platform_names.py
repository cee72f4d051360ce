"""`--platform`: what the user wrote, read before anything is asked of the engine."""

from collections.abc import Sequence

from wherry.cli.failures import CommandFailed


def checked_platforms(given: Sequence[str], *, lead: str = "") -> list[str]:
    """Platforms in their one spelling. Raises: CommandFailed, beginning with `lead`."""
    from wherry.client.images import whole_platform

    try:
        return [whole_platform(each) for each in given]
    except ValueError as problem:
        raise CommandFailed(f"{lead}{problem}") from None


def checked_platform(given: str, *, lead: str = "") -> str:
    """One platform, or empty for none. Raises: as `checked_platforms`."""
    [platform] = checked_platforms([given], lead=lead)
    return platform
