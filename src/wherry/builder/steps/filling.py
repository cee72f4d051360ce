"""COPY, ADD and WORKDIR: steps that put files into a stage without running anything in it."""

import os
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from wherry.builder import dockerfile as language
from wherry.builder.configuring import absolute
from wherry.builder.digests import digest_of
from wherry.builder.planning import Step
from wherry.builder.sources.contexts import Views
from wherry.builder.sources.directory_trees import DirectoryTree
from wherry.builder.sources.permissions import permissions_of
from wherry.builder.sources.remote import RemoteSources, is_remote
from wherry.builder.sources.trees import View
from wherry.builder.states import Built, Words
from wherry.builder.steps.copying import Pick, Wish, copy_inline, copy_paths, opened_directory
from wherry.builder.steps.stage_files import StageFiles
from wherry.images import BuildImages, BuildState, LayerBlob
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.clock import Clock
from wherry.kit.urls import without_credentials
from wherry.kit.values import dataclass, replace
from wherry.model.builds import HistoryForm
from wherry.model.errors import InvalidValue
from wherry.model.errors.builds import NotInContext

_NUMBERS = re.compile(r"([0-9]+(:[0-9]+)?)?")


@dataclass(frozen=True, slots=True)
class Content:
    """What a COPY or ADD takes."""

    digest: str
    told: str
    """As the history has it."""
    files: Mapping[str, str]
    """A digest for each path."""


class Filling:
    """The steps of one build that copy."""

    def __init__(
        self,
        *,
        words: Words,
        views: Views,
        files: StageFiles,
        remote: RemoteSources,
        images: BuildImages,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._words = words
        self._views = views
        self._files = files
        self._remote = remote
        self._images = images
        self._offload = offload
        self._clock = clock

    async def content_of(
        self, step: Step, copying: language.Copy | language.Add, parent: Built,
        sources: Sequence[Built],
    ) -> "Content":  # fmt: skip
        """What a step copies."""
        async with UndoStack() as opened:
            picks = await self._picks(step, copying, parent, sources, opened)
            files: dict[str, str] = {}

            def digests() -> tuple[list[str], str]:
                parts, kind = [], "multi"
                for pick in picks:
                    seen = pick.view.digests(pick.path, copying.excluded)
                    files.update(seen)
                    parts += [pick.path, *(word for each in seen.items() for word in each)]
                    kind = "dir" if pick.view.place(pick.path).is_directory else "file"
                return parts, kind

            parts, kind = await self._offload(digests)
        scope = self._words.scope(parent)
        for inline in copying.inlines:
            parts += [inline.name, self._words.inline(inline, scope, copying.line)]
        if len(picks) + len(copying.inlines) > 1:
            kind = "multi"
        elif not picks:
            kind = "file"
        digest, wanted = digest_of(*parts), self._wanted(copying, scope)
        is_from_afar = bool(wanted) and all(map(is_remote, wanted))
        told = digest if is_from_afar else f"{kind}:{digest}"
        return Content(digest, self._told(copying, told, scope), files)

    def stands_alone(self, instruction: language.Instruction, parent: Built) -> bool:
        """Whether an instruction's layer is the same whatever is below it.

        It is, with `--link`, unless the owner has a name: the parent's accounts say who that is.
        """
        if not isinstance(instruction, language.Copy | language.Add) or not instruction.is_linked:
            return False
        owner = self._words.word(self._words.scope(parent), instruction.owner, instruction.line)
        return _NUMBERS.fullmatch(owner) is not None

    def _told(
        self, copying: language.Copy | language.Add, content: str, scope: language.Scope
    ) -> str:
        if self._words.history is HistoryForm.BUILDKIT:
            return " ".join(self._written(copying, scope))
        words = [_name(copying)]
        if copying.mode:
            words.append(f"--chmod={self._words.word(scope, copying.mode, copying.line)}")
        owner = self._words.word(scope, copying.owner, copying.line)
        target = self._words.word(scope, copying.target, copying.line)
        # Docker has no blank behind the owner either.
        words.append(f"--chown={owner}{content}" if owner else content)
        return " ".join([*words, "in", target, ""])

    def _written(
        self, copying: language.Copy | language.Add, scope: language.Scope
    ) -> Iterator[str]:
        """The words of an instruction, as BuildKit keeps them."""
        yield _name(copying)
        if isinstance(copying, language.Copy) and copying.keeps_parents:
            yield "--parents"
        for flag, text in (("chown", copying.owner), ("chmod", copying.mode)):
            if value := self._words.word(scope, text, copying.line):
                yield f"--{flag}={value}"
        yield from map(without_credentials, self._wanted(copying, scope))
        yield from (f"<<{each.name}" for each in copying.inlines)
        yield self._words.word(scope, copying.target, copying.line)

    async def copy(
        self, step: Step, copying: language.Copy | language.Add, parent: Built,
        sources: Sequence[Built],
    ) -> LayerBlob | None:  # fmt: skip
        """The layer of a COPY or ADD; None where it was all there.

        Raises: InvalidValue, ArchiveRefused, StepFailed.
        """
        scope, line = self._words.scope(parent), copying.line
        target = absolute(
            self._words.word(scope, copying.target, line), parent.state.document.config
        )
        owner_text = self._words.word(scope, copying.owner, line)
        permissions = permissions_of(self._words.word(scope, copying.mode, line))
        inlines = [
            (each.name, self._words.inline(each, scope, line).encode(errors="surrogateescape"))
            for each in copying.inlines
        ]
        has_remote = any(map(is_remote, self._wanted(copying, scope)))
        async with UndoStack() as opened:
            picks = await self._picks(step, copying, parent, sources, opened)
            below = _without_files(parent.state) if copying.is_linked else parent.state
            key, root = await self._files.writable(below, opened)
            accounts = root
            if copying.is_linked and owner_text:
                accounts = await self._files.opened(parent.state, opened)

            def copy() -> LayerBlob | None:
                wish = Wish(
                    instruction=_name(copying),
                    target=target,
                    owner=_owner(accounts, owner_text, has_origin=bool(sources)),
                    permissions=permissions,
                    excluded=copying.excluded,
                    unpacks=_unpacks(copying, has_remote=has_remote),
                    made_at_ns=self._clock.now_ns(),
                )
                if len(copying.sources) + len(inlines) > 1 and not target.endswith("/"):
                    raise InvalidValue(
                        f"When using {wish.instruction} with more than one source file, the "
                        "destination must be a directory and end with a /"
                    )
                copy_paths(root, picks, wish)
                for name, content in inlines:
                    copy_inline(root, name, content, wish)
                if copying.is_linked:
                    # Written on nothing, so it is put on the parent's files as from elsewhere.
                    return self._images.commit(key, parent.state)
                return self._images.hand_over(key, parent.state)

            return await self._offload(copy)

    async def make_directory(self, state: BuildState, place: str) -> LayerBlob | None:
        """A working directory that is not there yet; None where it is. Raises: StepFailed."""
        async with UndoStack() as opened:
            key, root = await self._files.writable(state, opened)

            def make() -> LayerBlob | None:
                in_the_way = f"Cannot mkdir: {place} is not a directory"
                directory, made = opened_directory(root, posixpath.normpath(place), in_the_way)
                os.close(directory)
                return self._images.hand_over(key, state) if made else None

            return await self._offload(make)

    def _wanted(
        self, copying: language.Copy | language.Add, scope: language.Scope
    ) -> tuple[str, ...]:
        return tuple(self._words.word(scope, each, copying.line) for each in copying.sources)

    async def _picks(
        self, step: Step, copying: language.Copy | language.Add, parent: Built,
        sources: Sequence[Built], opened: UndoStack,
    ) -> list[Pick]:  # fmt: skip
        """Everything that a step copies: the paths that its sources stand for, and where."""
        wanted = self._wanted(copying, self._words.scope(parent))
        if isinstance(copying, language.Add) and (remote := [*filter(is_remote, wanted)]):
            picks = [await self._remote_pick(copying, each, parent) for each in remote]
            wanted = tuple(each for each in wanted if each not in remote)
        else:
            picks = []
            if isinstance(copying, language.Add) and copying.checksum:
                raise InvalidValue("checksum can't be specified for a local source of ADD")
        if wanted:
            view = await self._view(step, wanted, sources, opened)
            keeps = isinstance(copying, language.Copy) and copying.keeps_parents
            try:
                picks += [
                    Pick(view, path, _kept(source, path) if keeps else "")
                    for source in wanted
                    for path in await self._offload(partial(view.found, source, goes_deep=keeps))
                ]
            except NotInContext as error:
                raise replace(
                    error, instruction=_name(copying), has_origin=bool(sources)
                ) from error
        return picks

    async def _remote_pick(self, add: language.Add, source: str, parent: Built) -> Pick:
        scope = self._words.scope(parent)
        found = await self._remote.fetched(
            source,
            checksum=self._words.word(scope, add.checksum, add.line),
            keeps_git_dir=add.keeps_git_dir,
        )
        return Pick(found.view, found.path)

    async def _view(
        self, step: Step, wanted: Sequence[str], sources: Sequence[Built], opened: UndoStack
    ) -> View:
        """The files of a stage or an image, or of a context."""
        if sources:
            return View(DirectoryTree(await self._files.opened(sources[0].state, opened)))
        return await self._views.view(step.context, wanted)


def _name(copying: language.Copy | language.Add) -> str:
    return "ADD" if isinstance(copying, language.Add) else "COPY"


def _without_files(state: BuildState) -> BuildState:
    """What `--link` copies onto: a layer of its own, which no link below it leads elsewhere."""
    return BuildState(state.document)


def _kept(source: str, path: str) -> str:
    """What `--parents` makes again of a path: all of it, or what is behind the first `/./`."""
    before, pivot, _behind = posixpath.join("/", source).partition("/./")
    depth = len(posixpath.normpath(before).strip("/").split("/")) if before and pivot else 0
    return "/".join(path.split("/")[depth:])


def _unpacks(copying: language.Copy | language.Add, *, has_remote: bool) -> bool:
    """Local archives are unpacked unless that is not wanted; downloads if it is."""
    if not isinstance(copying, language.Add):
        return False
    return not has_remote if copying.unpacks is None else copying.unpacks


def _owner(root: int, text: str, *, has_origin: bool) -> tuple[int, int] | None:
    """Whom copied files belong to: by `--chown`, or root; those of a stage stay whose they are."""
    from wherry.runtime import accounts

    if not text:
        return None if has_origin else (0, 0)
    user, _colon, group = text.partition(":")
    try:
        identity = accounts.resolve(root, text)
    except accounts.AccountNotFound as error:
        raise InvalidValue(
            f"unable to convert uid/gid chown string to host mapping: can't find "
            f"{'gid for group' if error.is_group else 'uid for user'} {error.reference}: no such "
            f"{'group' if error.is_group else 'user'}: {error.reference}"
        ) from error
    gid = identity.gid if group or not user.isdigit() else int(user)
    return identity.uid, gid
