"""What becomes of a build's results: images that are kept, archives, trees of files.

A result is one state for each platform. As an image each is recorded, all side by side under the
same names. As an archive it is what `docker save` would write, without being recorded. As files it
is the root of the last stage: of one platform as it is, of several one directory for each.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from wherry.build.ports import Sink
from wherry.build.stage_files import StageFiles
from wherry.build.work_places import WorkPlaces
from wherry.images import BuildImages, BuildState, parse
from wherry.kit.aio import OffloadPool, UndoStack, in_thread, written_in_thread
from wherry.model.builds import BuildDone, BuildOutput, BuildRequest, OutputKind
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.snapshots import TreeReader, UnpackRules, tree_tar, unpack_tar

Push = Callable[[str], Awaitable[None]]
"""Sends what a name leads to, to its registry."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a build made for one platform."""

    platform: str
    state: BuildState


class Exporting:
    """The outputs of one build."""

    def __init__(
        self,
        *,
        request: BuildRequest,
        sink: Sink,
        images: BuildImages,
        files: StageFiles,
        work: WorkPlaces,
        push: Push,
        offload: OffloadPool,
    ) -> None:
        self._request = request
        self._sink = sink
        self._images = images
        self._files = files
        self._work = work
        self._push = push
        self._offload = offload

    async def export(self, results: Sequence[Result]) -> BuildDone:
        """Do with the results what the request says. Raises: InvalidValue, RegistryRefused, ..."""
        states = [each.state for each in results]
        names: tuple[str, ...] = ()
        digest = ""
        for number, output in enumerate(self._request.outputs):
            match output.kind:
                case OutputKind.IMAGE:
                    names = self._names(output)
                    digest = await self._offload(self._images.record, states, names)
                    if output.attributes.get("push") == "true":
                        for name in names:
                            await self._push(name)
                case OutputKind.OCI | OutputKind.DOCKER:
                    await self._archive(number, output, states)
                case OutputKind.TAR | OutputKind.LOCAL:
                    await self._tree(number, output, results)
        is_kept = any(each.kind is OutputKind.IMAGE for each in self._request.outputs)
        image_id = results[0].state.image_id if is_kept else ""
        return BuildDone(image_id=image_id, names=names, digest=digest)

    def _names(self, output: BuildOutput) -> tuple[str, ...]:
        """What an image is to be called, by `--tag` and by the output itself."""
        own = (each.strip() for each in output.attributes.get("name", "").split(","))
        names = (*self._request.names, *(each for each in own if each))
        return tuple(dict.fromkeys(parse(each).with_default_tag().familiar for each in names))

    async def _archive(
        self, number: int, output: BuildOutput, states: Sequence[BuildState]
    ) -> None:
        if output.attributes.get("tar") == "false":
            raise FeatureMissing(f"type={output.kind.value},tar=false")
        if output.kind is OutputKind.DOCKER and len(states) > 1:
            raise InvalidValue(
                "docker exporter does not currently support exporting manifest lists"
            )
        names = self._names(output)
        pieces = in_thread(self._offload, lambda: self._images.archived(states, names))
        await self._sink.stream(number, pieces)

    async def _tree(self, number: int, output: BuildOutput, results: Sequence[Result]) -> None:
        async with UndoStack() as opened:
            roots = [await self._files.opened(each.state, opened) for each in results]
            root = roots[0]
            if len(roots) > 1:
                root = await self._joined(results, roots, opened)
            if output.kind is OutputKind.LOCAL:
                await self._sink.directory(number, root)
            else:
                await self._sink.stream(number, self._packed(root))

    def _packed(self, root: int) -> AsyncIterator[bytes]:
        return written_in_thread(self._offload, lambda writer: tree_tar(root, writer))

    async def _joined(
        self, results: Sequence[Result], roots: Sequence[int], opened: UndoStack
    ) -> int:
        """The trees of several platforms, each in a directory that is named after it."""
        place = await self._work.empty_directory(opened)

        def copy() -> int:
            target = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for each, root in zip(results, roots, strict=True):
                name = each.platform.replace("/", "_")
                os.mkdir(name, 0o755, dir_fd=target)
                unpack_tar(TreeReader(root, ""), target, name.encode(), UnpackRules())
            return target

        target = await self._offload(copy)
        opened.push(self._offload, os.close, target)
        return target
