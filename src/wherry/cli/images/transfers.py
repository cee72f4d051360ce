"""`pull` and `push`: images between the engine and registries."""

from wherry.cli.command import ONE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.images.platform_names import checked_platform
from wherry.cli.images.references import DEFAULT_TAG, Reference, parse_reference
from wherry.cli.images.registry_access import login_for
from wherry.cli.progress import show_progress
from wherry.cli.session import Session

_ALL_TAGS_OF_ONE = "tag can't be used with --all-tags/-a"
_ONE_PLATFORM = """
 Info -> Using --platform pushes only the specified platform manifest of a multi-platform image index.
         Other components, like attestations, will not be included.
         To push the complete multi-platform image, remove the --platform flag.
"""  # noqa: E501


def pull(session: Session, parsed: Parsed) -> int:
    """Download an image, or all of a repository."""
    reference = _reference(parsed.arguments[0])
    wants_all, is_quiet = parsed.is_on("all-tags"), parsed.is_on("quiet")
    if wants_all and (reference.tag or reference.digest):
        raise CommandFailed(_ALL_TAGS_OF_ONE)
    tag = "" if wants_all else reference.digest or reference.tag or DEFAULT_TAG
    if tag == DEFAULT_TAG and not reference.tag and not is_quiet:
        session.say(f"Using default tag: {DEFAULT_TAG}")
    messages = session.client.images.pull(
        reference.familiar_name,
        tag,
        platform=parsed.text("platform"),
        login=login_for(session, reference.domain),
    )
    show_progress(messages, session.out, is_quiet=is_quiet)
    session.say(_whole_name(reference, tag))
    return 0


def push(session: Session, parsed: Parsed) -> int:
    """Upload an image, or all of a repository."""
    reference = _reference(parsed.arguments[0])
    wants_all, is_quiet = parsed.is_on("all-tags"), parsed.is_on("quiet")
    platform = checked_platform(parsed.text("platform"), lead="invalid platform: ")
    if reference.digest:
        raise CommandFailed("cannot push a digest reference")
    if wants_all and reference.tag:
        raise CommandFailed(_ALL_TAGS_OF_ONE)
    tag = "" if wants_all else reference.tag or DEFAULT_TAG
    if tag and not reference.tag and not is_quiet:
        session.say(f"Using default tag: {DEFAULT_TAG}")
    if platform:
        session.say(_ONE_PLATFORM)
    messages = session.client.images.push(
        reference.familiar_name,
        tag,
        platform=platform,
        login=login_for(session, reference.domain),
    )
    show_progress(messages, session.out, is_quiet=is_quiet)
    if is_quiet:
        session.say(_whole_name(reference, tag))
    return 0


def _reference(text: str) -> Reference:
    try:
        return parse_reference(text)
    except ValueError as problem:
        raise CommandFailed(str(problem)) from None


def _whole_name(reference: Reference, tag: str) -> str:
    """The name with its registry, as docker says at the end what there is now."""
    separator = "@" if reference.digest else ":"
    return f"{reference.domain}/{reference.name}{separator if tag else ''}{tag}"


_ALL_TAGS = "all-tags"
_TRUST = Flag(
    "disable-content-trust",
    SWITCH,
    "Skip image verification; there is no other way here",
    default="true",
    is_hidden=True,
)
PULL = Command(
    shape="NAME[:TAG|@DIGEST]",
    summary="Download an image from a registry",
    arguments=ONE,
    run=pull,
    flags=(
        Flag(_ALL_TAGS, SWITCH, "Download all tagged images in the repository", short="a"),
        _TRUST,
        Flag("platform", STRING, "Set platform if server is multi-platform capable"),
        Flag("quiet", SWITCH, "Suppress verbose output", short="q"),
    ),
)
PUSH = Command(
    shape="NAME[:TAG]",
    summary="Upload an image to a registry",
    arguments=ONE,
    run=push,
    flags=(
        Flag(_ALL_TAGS, SWITCH, "Push all tags of an image to the repository", short="a"),
        _TRUST,
        Flag("platform", STRING, "Push the image of this platform only (os[/arch[/variant]])"),
        Flag("quiet", SWITCH, "Suppress verbose output", short="q"),
    ),
)
