"""What a result contains, by a scanner that the user names (`--sbom=generator=IMAGE`).

A scanner is an image, run once for each result with the result's files before it. It leaves
statements in a directory, each with a predicate, SPDX as a rule; what is in them is its affair.
The protocol is BuildKit's:
https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md

    /run/src/core/sbom          the result's root, read-only     BUILDKIT_SCAN_SOURCE
    /run/src/extras/sbom-NAME   a stage's, or the context        BUILDKIT_SCAN_SOURCE_EXTRAS
    /run/out                    statements, NAME.spdx.json       BUILDKIT_SCAN_DESTINATION
"""

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from wherry.builder.results.products import Result
from wherry.builder.results.scan_extras import ScanExtras
from wherry.builder.results.statements import Predicate, asked_for
from wherry.builder.sources.contexts import Views
from wherry.builder.steps.commands import StepContainers
from wherry.builder.steps.stage_files import StageFiles
from wherry.builder.work_places import WorkPlaces
from wherry.images import BuildState, as_image
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.values import dataclass
from wherry.model.builds import (
    BuildEvent,
    BuildRequest,
    ResultScanned,
    ScanSaid,
    ScanStarted,
)
from wherry.model.containers import BindMount, ContainerSpec, LogSpec, NetworkSpec, TmpfsMount
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.model.errors.builds import StepEndedBadly
from wherry.snapshots import Archive, TreeReader, UnpackRules, unpack_tar

_SOURCE, _EXTRAS, _DESTINATION = "/run/src/core/sbom", "/run/src/extras", "/run/out"
_CORE, _EXTRA, _CONTEXT = "sbom", "sbom-", "context"
"""What is before a scanner: the result, others by their names, and the context among them."""
_PARAMETER = "BUILDKIT_SCAN_"
_LARGEST_STATEMENT = 64 << 20
_MOST_STATEMENTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanWish:
    """Which scanner is to be run, and what it is told."""

    generator: str
    parameters: Mapping[str, str]


def wanted_scan(attests: Mapping[str, str]) -> ScanWish | None:
    """What a request's attestations ask for; None for none.

    Raises: FeatureMissing, where no scanner is named; InvalidValue.
    """
    given = asked_for(attests, "sbom")
    if given is None:
        return None
    generator = given.get("generator", "")
    if not generator:
        raise FeatureMissing(
            "an SBOM without a scanner (none is configured; name one: --sbom=generator=IMAGE)"
        )
    others = {name: text for name, text in given.items() if name not in ("generator", "disabled")}
    return ScanWish(generator=generator, parameters=others)


class Find(Protocol):
    """Finds an image, here or elsewhere."""

    async def __call__(self, reference: str, platform: str) -> BuildState:
        """Raises: as a pull."""
        ...


class Scanner:
    """Runs a scanner over the results of one build."""

    def __init__(
        self,
        *,
        wish: ScanWish,
        request: BuildRequest,
        find: Find,
        containers: StepContainers,
        files: StageFiles,
        views: Views,
        work: WorkPlaces,
        tell: Callable[[BuildEvent], None],
        offload: OffloadPool,
    ) -> None:
        self._wish = wish
        self._request = request
        self._find = find
        self._containers = containers
        self._files = files
        self._views = views
        self._work = work
        self._tell = tell
        self._offload = offload

    async def predicates(self, result: Result) -> Sequence[Predicate]:
        """What the scanner says of a result. Raises: StepEndedBadly, InvalidValue, as a pull."""
        scanner = await self._find(self._wish.generator, "")
        self._tell(ScanStarted(platform=result.built_for, scanner=self._wish.generator))
        async with UndoStack() as opened:
            core = await self._work.empty_directory(opened)
            await self._copy_stage(result.state, core, _CORE)
            mounts = [_seen(f"{core}/{_CORE}", _SOURCE)]
            if result.extras.stages or result.extras.has_context:
                extras = await self._work.empty_directory(opened)
                await self._copy_extras(result.extras, extras)
                mounts.append(_seen(extras, _EXTRAS))
            written = await self._work.empty_directory(opened)
            mounts.append(BindMount(source=written, target=_DESTINATION))
            await self._run(scanner, mounts, opened)
            found = await self._offload(lambda: [*read_statements(written)])
        if not found:
            raise InvalidValue(f"the scanner {self._wish.generator} has written no statement")
        self._tell(ResultScanned())
        return found

    async def _copy_extras(self, extras: ScanExtras, place: str) -> None:
        for name, state in extras.stages.items():
            await self._copy_stage(state, place, _EXTRA + name)
        if extras.has_context:
            view = await self._views.view("", (".",))
            await self._offload(
                lambda: _copy(view.entries(view.place("")), place, _EXTRA + _CONTEXT)
            )

    async def _copy_stage(self, state: BuildState, place: str, name: str) -> None:
        """A state's files in a directory of the host's, which the scanner may look at."""
        async with UndoStack() as reading:
            root = await self._files.opened(state, reading)
            await self._offload(_copy, TreeReader(root, ""), place, name)

    async def _run(
        self, scanner: BuildState, mounts: Sequence[BindMount], opened: UndoStack
    ) -> None:
        spec = self._spec(scanner, mounts)
        container_id = await self._containers.create(spec, as_image(scanner))
        opened.push(self._containers.remove, container_id)
        code = await self._containers.run(
            container_id, lambda text, _is_output: self._tell(ScanSaid(text=text))
        )
        if code:
            raise StepEndedBadly(" ".join(spec.command or ()), code)

    def _spec(self, scanner: BuildState, mounts: Sequence[BindMount]) -> ContainerSpec:
        config = scanner.document.config
        command = (*(config.entrypoint or ()), *(config.cmd or ()))
        if not command:
            raise InvalidValue(f"scanner {self._wish.generator} does not have cmd")
        told = {"DESTINATION": f"{_DESTINATION}/", "SOURCE": _SOURCE}
        if any(each.target == _EXTRAS for each in mounts):
            told["SOURCE_EXTRAS"] = _EXTRAS
        told |= self._wish.parameters
        return ContainerSpec(
            image=scanner.image_id,
            entrypoint=("",),
            command=command,
            environment=(
                *config.env,
                *(f"{_PARAMETER}{name}={value}" for name, value in told.items()),
            ),
            working_directory=config.working_dir,
            user=config.user,
            limits=self._request.limits,
            cgroup_parent=self._request.cgroup_parent,
            network=NetworkSpec(mode=self._request.network, extra_hosts=self._request.extra_hosts),
            log=LogSpec(driver="none"),
            ends_with_engine=True,
            mounts=(*mounts, TmpfsMount(target="/tmp")),
        )


def _seen(place: str, target: str) -> BindMount:
    """A mount of what a scanner looks at."""
    return BindMount(source=place, target=target, is_read_only=True)


def _copy(files: Archive, place: str, name: str) -> None:
    target = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.mkdir(name, 0o755, dir_fd=target)
        unpack_tar(files, target, name.encode(), UnpackRules())
    finally:
        os.close(target)


def read_statements(place: str) -> Iterator[Predicate]:
    """The statements that a scanner has written. Raises: InvalidValue, OSError.

    What is in the directory is a stranger's: nothing but plain files is opened.
    """
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        names = sorted(each for each in os.listdir(directory) if each.endswith(".json"))
        if len(names) > _MOST_STATEMENTS:
            raise InvalidValue(f"the scanner has written more than {_MOST_STATEMENTS} statements")
        for name in names:
            yield _predicate(name, _content(directory, name))
    finally:
        os.close(directory)


def _content(directory: int, name: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except OSError as problem:
        raise InvalidValue(f"the scanner's statement {name}: {problem.strerror}") from problem
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidValue(f"the scanner's statement {name} is no regular file")
        content = file.read(_LARGEST_STATEMENT + 1)
    if len(content) > _LARGEST_STATEMENT:
        raise InvalidValue(
            f"the scanner's statement {name} is larger than {_LARGEST_STATEMENT} bytes"
        )
    return content


def _predicate(name: str, content: bytes) -> Predicate:
    """What a statement says; of whom it says so is told anew."""
    try:
        statement = json.loads(content)
        kind, said = statement["predicateType"], statement["predicate"]
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise InvalidValue(f"the scanner's statement {name} is none: {problem}") from problem
    if not isinstance(kind, str) or not kind or not isinstance(said, dict):
        raise InvalidValue(f"the scanner's statement {name} has no predicate of a type")
    return Predicate(type=kind, content=said, file=name)
