"""`manifest`: indexes of several images, made here and sent straight to a registry.

The engine has no part in it: these commands speak with registries themselves, as docker's do.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, TypeVar

from wherry.cli.command import ONE, ONE_OR_MORE, TWO, TWO_OR_MORE, Arguments, Command
from wherry.cli.configuration import configuration_directory
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, STRINGS, SWITCH, Flag, Parsed
from wherry.cli.images.manifest_lists import ManifestLists, Member
from wherry.cli.images.references import DEFAULT_TAG, Reference, parse_reference
from wherry.cli.images.registry_access import login_for
from wherry.cli.session import Session
from wherry.client.documents import Document, Json, parse, text, texts

if TYPE_CHECKING:  # aiohttp comes with it, which no other command needs.
    from wherry.registry import PublishedImage, PublishedIndex, Publisher

Result = TypeVar("Result")
_ONE_OR_TWO = Arguments(1, 2)


def create(session: Session, parsed: Parsed) -> int:
    """Begin an index of images that a registry has."""
    target, *sources = (_reference(each) for each in parsed.arguments)
    lists, name = _lists(session), _familiar(target)
    if lists.has(name) and not parsed.is_on("amend"):
        raise CommandFailed("refusing to amend an existing manifest list with no --amend flag")
    made = with_registry(session, parsed, target, lambda there: _images(there, sources))
    for member in made:
        lists.put(name, member)
    session.say(f"Created manifest list {_whole(target)}")
    return 0


def annotate(session: Session, parsed: Parsed) -> int:
    """Say more about the platform of an image of an index."""
    target, source = (_reference(each) for each in parsed.arguments)
    lists = _lists(session)
    member = lists.member(_familiar(target), _familiar(source))
    if member is None:
        raise CommandFailed(
            f"manifest for image {_familiar(source)} does not exist in {_familiar(target)}"
        )
    said: Document = {
        "architecture": parsed.text("arch"),
        "os": parsed.text("os"),
        "os.version": parsed.text("os-version"),
        "variant": parsed.text("variant"),
    }
    said = {key: value for key, value in said.items() if value}
    if features := [each for word in parsed.texts("os-features") for each in word.split(",")]:
        said["os.features"] = list[Json](features)
    lists.put(_familiar(target), member.annotated(said))
    return 0


def inspect(session: Session, parsed: Parsed) -> int:
    """Show an index in the making, an image of it, or what a registry has."""
    references = [_reference(each) for each in parsed.arguments]
    wanted, name = references[-1], _familiar(references[-1])
    is_verbose, lists = parsed.is_on("verbose"), _lists(session)
    if len(references) == 2:
        member = lists.member(_familiar(references[0]), name)
        if member is None:
            raise CommandFailed(f"No such manifest: {name}")
        _show_image(session, member, is_verbose=is_verbose)
        return 0
    if members := lists.members(name):
        if is_verbose:
            _show(session, [each.as_document() for each in members])
        else:
            session.say(_index(members)[1].decode())
        return 0
    _show_published(session, parsed, wanted)
    return 0


def _show_published(session: Session, parsed: Parsed, wanted: Reference) -> None:
    """What a registry has under a name."""
    from wherry.registry import PublishedImage

    name, is_verbose = _familiar(wanted), parsed.is_on("verbose")
    found = with_registry(session, parsed, wanted, lambda there: _fetched(there, wanted))
    if isinstance(found, PublishedImage):
        _show_image(session, _member(name, found), is_verbose=is_verbose)
    elif is_verbose:
        members = [_member(f"{name}@{each.digest}", each) for each in found.images]
        _show(session, [each.as_document() for each in members])
    else:
        session.say(json.dumps(parse(found.content), indent=3, ensure_ascii=False))


def push(session: Session, parsed: Parsed) -> int:
    """Send an index to its registry, after what it lists."""
    target = _reference(parsed.arguments[0])
    lists, name = _lists(session), _familiar(target)
    members = lists.members(name)
    if not members:
        raise CommandFailed(f"No such manifest: {name}")
    for each in members:
        each.check_platform()
        domain = _reference(each.reference).domain
        if domain != target.domain:
            raise CommandFailed(
                "cannot use source images from a different registry than the target image: "
                f"{domain} != {target.domain}"
            )
    for line in with_registry(
        session, parsed, target, lambda there: _send(there, target, members)
    ):
        session.say(line)
    if parsed.is_on("purge"):
        lists.remove(name)
    return 0


def remove(session: Session, parsed: Parsed) -> int:
    """Forget indexes in the making."""
    failures = []
    for argument in parsed.arguments:
        try:
            _lists(session).remove(_familiar(_reference(argument)))
        except CommandFailed as problem:
            failures.append(problem.message)
    if failures:
        raise CommandFailed("\n".join(failures))
    return 0


# -- with a registry -------------------------------------------------------------------------


async def _image(there: "Publisher", reference: Reference) -> Member:
    """An image that is to be a member. Raises: CommandFailed for an index."""
    from wherry.registry import PublishedIndex

    found = await _fetched(there, reference)
    if isinstance(found, PublishedIndex):
        raise CommandFailed(f"{_familiar(reference)} is a manifest list")
    return _member(_familiar(reference), found)


async def _fetched(there: "Publisher", reference: Reference) -> "PublishedImage | PublishedIndex":
    """What a registry has under a name. Raises: CommandFailed where that is nothing."""
    from wherry.registry import NothingThere

    try:
        return await there.fetch(reference.name, reference.digest or reference.tag)
    except NothingThere:
        raise CommandFailed(f"no such manifest: {_whole(reference)}") from None


async def _images(there: "Publisher", references: list[Reference]) -> list[Member]:
    return [await _image(there, each) for each in references]


async def _send(there: "Publisher", target: Reference, members: list[Member]) -> list[str]:
    """The images that the target's repository lacks, then the index; what is to be said."""
    said = []
    for member in members:
        source = _reference(member.reference)
        if source.name != target.name:
            await there.take_over(target.name, _published(member), source=source.name)
            said.append(f"Pushed ref {_whole(target)} with digest: {member.digest}")
    media_type, content = _index(members)
    digest = await there.put_index(target.name, target.tag, content, media_type=media_type)
    return [*said, digest]


def with_registry(
    session: Session,
    parsed: Parsed,
    reference: Reference,
    work: "Callable[[Publisher], Coroutine[None, None, Result]]",
) -> Result:
    """Do something with the registry of a reference. Raises: CommandFailed."""
    from wherry.registry import PublishProblem, publisher

    login = login_for(session, reference.domain)

    async def run() -> Result:
        async with publisher(
            reference.domain,
            username=login.username,
            password=login.password,
            identity_token=login.identity_token,
            is_insecure=parsed.is_on("insecure"),
        ) as there:
            return await work(there)

    try:
        return asyncio.run(run())
    except PublishProblem as problem:
        raise CommandFailed(str(problem)) from None


def _member(name: str, image: "PublishedImage") -> Member:
    platform: Document = dict(image.platform)
    return Member(name, image.media_type, image.digest, image.content, platform)


def _published(member: Member) -> "PublishedImage":
    from wherry.registry import PublishedImage

    return PublishedImage(
        media_type=member.media_type, digest=member.digest, content=member.content, platform={}
    )


def _members(platform: Document) -> dict[str, str | list[str]]:
    """A platform's members as the registry room takes them."""
    return {
        key: texts(platform, key) if isinstance(each, list) else text(platform, key)
        for key, each in platform.items()
    }


def _index(members: list[Member]) -> tuple[str, bytes]:
    """The media type and bytes of the index of members."""
    from wherry.registry import index_of

    return index_of([(_published(each), _members(each.platform)) for each in members])


# -- names and texts -------------------------------------------------------------------------


def _reference(text: str) -> Reference:
    try:
        reference = parse_reference(text)
    except ValueError as problem:
        raise CommandFailed(str(problem)) from None
    if not reference.tag and not reference.digest:
        return reference._replace(tag=DEFAULT_TAG)
    return reference


def _suffix(reference: Reference) -> str:
    tag = f":{reference.tag}" if reference.tag else ""
    return tag + (f"@{reference.digest}" if reference.digest else "")


def _familiar(reference: Reference) -> str:
    return reference.familiar_name + _suffix(reference)


def _whole(reference: Reference) -> str:
    return f"{reference.domain}/{reference.name}{_suffix(reference)}"


def _lists(session: Session) -> ManifestLists:
    return ManifestLists(configuration_directory(session.config_directory))


def _show_image(session: Session, member: Member, *, is_verbose: bool) -> None:
    _show(session, member.as_document() if is_verbose else parse(member.content))


def _show(session: Session, value: object) -> None:
    session.say(json.dumps(value, indent="\t", ensure_ascii=False))


_INSECURE = Flag("insecure", SWITCH, "Allow communication with an insecure registry")
CREATE = Command(
    shape="MANIFEST_LIST MANIFEST [MANIFEST...]",
    summary="Create a local manifest list for annotating and pushing to a registry",
    arguments=TWO_OR_MORE,
    run=create,
    flags=(Flag("amend", SWITCH, "Amend an existing manifest list", short="a"), _INSECURE),
)
ANNOTATE = Command(
    shape="MANIFEST_LIST MANIFEST",
    summary="Add additional information to a local image manifest",
    arguments=TWO,
    run=annotate,
    flags=(
        Flag("arch", STRING, "Set architecture"),
        Flag("os", STRING, "Set operating system"),
        Flag("os-features", STRINGS, "Set operating system feature"),
        Flag("os-version", STRING, "Set operating system version"),
        Flag("variant", STRING, "Set architecture variant"),
    ),
)
INSPECT = Command(
    shape="[MANIFEST_LIST] MANIFEST",
    summary="Display an image manifest, or manifest list",
    arguments=_ONE_OR_TWO,
    run=inspect,
    flags=(
        _INSECURE,
        Flag("verbose", SWITCH, "Also show platform and raw bytes of each image", short="v"),
    ),
)
PUSH = Command(
    shape="MANIFEST_LIST",
    summary="Push a manifest list to a repository",
    arguments=ONE,
    run=push,
    flags=(
        Flag("insecure", SWITCH, "Allow push to an insecure registry"),
        Flag("purge", SWITCH, "Remove the local manifest list after push", short="p"),
    ),
)
REMOVE = Command(
    shape="MANIFEST_LIST [MANIFEST_LIST...]",
    summary="Delete one or more manifest lists from local storage",
    arguments=ONE_OR_MORE,
    run=remove,
)
