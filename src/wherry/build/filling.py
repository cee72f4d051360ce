"""COPY, ADD and WORKDIR: steps that put files into a stage without running anything in it."""

import os
import posixpath
from collections.abc import Sequence

from wherry.build import dockerfile as language
from wherry.build.configuring import absolute
from wherry.build.contexts import Views
from wherry.build.copying import Wish, copy_inline, copy_paths, mode_of
from wherry.build.directory_trees import DirectoryTree
from wherry.build.planning import Step
from wherry.build.stage_files import StageFiles
from wherry.build.states import Built, Words
from wherry.build.trees import View
from wherry.images import BuildImages, BuildState, LayerBlob
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.clock import Clock
from wherry.model.errors import InvalidValue
from wherry.operations import targets


class Filling:
    """The steps of one build that copy."""

    def __init__(
        self,
        *,
        words: Words,
        views: Views,
        files: StageFiles,
        images: BuildImages,
        offload: OffloadPool,
        clock: Clock,
    ) -> None:
        self._words = words
        self._views = views
        self._files = files
        self._images = images
        self._offload = offload
        self._clock = clock

    async def content_of(
        self, step: Step, copying: language.Copy | language.Add, parent: Built,
        sources: Sequence[Built],
    ) -> list[str]:  # fmt: skip
        """What the sources of a step hold now, as parts of its key."""
        scope = self._words.scope(parent)
        wanted = self._wanted(copying, scope)
        async with UndoStack() as opened:
            view = await self._view(step, wanted, sources, opened)

            def digests() -> list[str]:
                parts = []
                for source in wanted:
                    for path in view.found(source):
                        parts += [path, view.digest(path, copying.excluded)]
                return parts

            parts = await self._offload(digests)
        for inline in copying.inlines:
            parts += [inline.name, self._words.inline(inline, scope, copying.line)]
        return parts

    async def copy(
        self, step: Step, copying: language.Copy | language.Add, parent: Built,
        sources: Sequence[Built],
    ) -> LayerBlob | None:  # fmt: skip
        """The layer of a COPY or ADD. Raises: InvalidValue, ArchiveRefused, StepFailed."""
        scope, config = self._words.scope(parent), parent.state.document.config
        line = copying.line
        target = absolute(self._words.word(scope, copying.target, line), config)
        owner_text = self._words.word(scope, copying.owner, line)
        mode = mode_of(self._words.word(scope, copying.mode, line))
        wanted = self._wanted(copying, scope)
        inlines = [
            (each.name, self._words.inline(each, scope, line).encode(errors="surrogateescape"))
            for each in copying.inlines
        ]
        async with UndoStack() as opened:
            view = await self._view(step, wanted, sources, opened)
            key, root = await self._files.writable(parent.state, opened)

            def copy() -> LayerBlob:
                wish = Wish(
                    instruction="ADD" if isinstance(copying, language.Add) else "COPY",
                    target=target,
                    owner=_owner(root, owner_text, has_origin=bool(sources)),
                    mode=mode,
                    keeps_parents=isinstance(copying, language.Copy) and copying.keeps_parents,
                    excluded=copying.excluded,
                    unpacks=isinstance(copying, language.Add) and copying.unpacks is not False,
                    made_at_ns=self._clock.now_ns(),
                )
                if len(wanted) + len(inlines) > 1 and not target.endswith("/"):
                    raise InvalidValue(
                        f"When using {wish.instruction} with more than one source file, the "
                        "destination must be a directory and end with a /"
                    )
                paths = [path for source in wanted for path in view.found(source)]
                copy_paths(root, view, paths, wish)
                for name, content in inlines:
                    copy_inline(root, name, content, wish)
                return self._images.commit(key, parent.state)

            return await self._offload(copy)

    async def make_directory(self, state: BuildState, place: str) -> LayerBlob | None:
        """A working directory that is not there yet; None where it is. Raises: StepFailed."""
        async with UndoStack() as opened:
            key, root = await self._files.writable(state, opened)

            def make() -> LayerBlob | None:
                directory, made = targets.open_directory(root, posixpath.normpath(place))
                os.close(directory)
                return self._images.commit(key, state) if made else None

            return await self._offload(make)

    def _wanted(
        self, copying: language.Copy | language.Add, scope: language.Scope
    ) -> tuple[str, ...]:
        return tuple(self._words.word(scope, each, copying.line) for each in copying.sources)

    async def _view(
        self, step: Step, wanted: Sequence[str], sources: Sequence[Built], opened: UndoStack
    ) -> View:
        """The files of a stage or an image, or of a context."""
        if sources:
            return View(DirectoryTree(await self._files.opened(sources[0].state, opened)))
        return await self._views.view(step.context, wanted)


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
