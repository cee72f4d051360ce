"""Results as files (`type=local`, `tar`): the roots of stages, and what is said of them.

Of one platform it is the stage's root as it is. Of several, each has a directory of its own, or
all share one (`platform-split=false`) if no two of them have the same file. What is attested is a
file beside them for each statement, and about every one of them by its digest:
https://docs.docker.com/build/metadata/attestations/
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence

from wherry.builder.results.attesting import Attesting
from wherry.builder.results.products import Result
from wherry.builder.results.statements import Predicate, statement
from wherry.builder.results.wishes import OutputWish
from wherry.builder.sources.trees import PassedOn
from wherry.builder.steps.stage_files import StageFiles
from wherry.builder.work_places import WorkPlaces
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.linux.files import open_in_root, remove_tree
from wherry.model.errors import InvalidValue
from wherry.oci.json_fields import Json
from wherry.snapshots import (
    DIRECTORY,
    HARD_LINK,
    REGULAR,
    Archive,
    TarEntry,
    TreeReader,
    UnpackRules,
    unpack_tar,
)

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ResultTrees:
    """The results of one build, as trees."""

    def __init__(
        self,
        *,
        attesting: Attesting,
        files: StageFiles,
        work: WorkPlaces,
        offload: OffloadPool,
        latest_ns: int | None,
    ) -> None:
        """`latest_ns`: the moment that everything is of; None: of when it is made."""
        self._attesting = attesting
        self._files = files
        self._work = work
        self._offload = offload
        self._latest_ns = latest_ns

    async def opened(self, wish: OutputWish, results: Sequence[Result], opened: UndoStack) -> int:
        """The root of all that goes out, to read. Raises: InvalidValue, StepFailed, ..."""
        roots = await self._roots(wish, results, opened)
        if len(results) > 1 or wish.splits_platforms:
            shares_one = wish.splits_platforms is False
            return await self._joined(roots, opened, shares_one=shares_one)
        return next(iter(roots.values()))

    async def _roots(
        self, wish: OutputWish, results: Sequence[Result], opened: UndoStack
    ) -> Mapping[str, int]:
        """The root of each result by its platform, with what is said of it."""
        if not self._attesting.is_everywhere:
            return {
                each.platform: await self._files.opened(each.state, opened) for each in results
            }
        said = await self._attesting.of(results)
        roots = {}
        for each in results:
            named = statement_files(said[each.built_for], wish, each.platform)
            _key, root = await self._files.writable(each.state, opened)
            await self._offload(attest, root, named, self._latest_ns)
            roots[each.platform] = root
        return roots

    async def _joined(
        self, roots: Mapping[str, int], opened: UndoStack, *, shares_one: bool
    ) -> int:
        """The trees of several platforms in one."""
        place = await self._work.empty_directory(opened)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        target = await self._offload(os.open, place, flags)
        opened.push(self._offload, os.close, target)

        def copy() -> None:
            present: dict[bytes, str] = {}
            for platform, root in roots.items():
                files = TreeReader(root, "")
                if shares_one:
                    apart = _Apart(files, platform, present)
                    unpack_tar(apart, target, b"/", UnpackRules(keeps_kinds=True))
                else:
                    name = _directory_of(platform)
                    os.mkdir(name, 0o755, dir_fd=target)
                    unpack_tar(files, target, name.encode(), UnpackRules())

        await self._offload(copy)
        return target


def statement_files(
    predicates: Sequence[Predicate], wish: OutputWish, platform: str
) -> Mapping[str, Predicate]:
    """What is said of a result, by the names of its files. Raises: InvalidValue."""
    named: dict[str, Predicate] = {}
    for each in predicates:
        name = wish.attestation_prefix + each.file
        if wish.splits_platforms is False:
            stem, ending = os.path.splitext(name)
            name = f"{stem}.{_directory_of(platform)}{ending}"
        if name in named:
            raise InvalidValue(f"duplicate attestation path name {name}")
        named[name] = each
    return named


def attest(root: int, named: Mapping[str, Predicate], latest_ns: int | None) -> None:
    """Write statements about the files of a tree into its root; blocks. Raises: OSError.

    What has such a name already makes room.
    """
    subjects = [_subject(root, each) for each in sorted(_files(root))]
    directory = open_in_root(root, ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        before = os.fstat(directory)
        for name, predicate in named.items():
            remove_tree(directory, name)
            content = json.dumps(statement(predicate, subjects), indent=2)
            with open(os.open(name, _NEW_FILE, 0o600, dir_fd=directory), "w") as file:
                file.write(content)
            if latest_ns is not None:
                os.utime(name, ns=(latest_ns, latest_ns), dir_fd=directory, follow_symlinks=False)
        os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))
    finally:
        os.close(directory)


def _files(root: int) -> Iterator[list[bytes]]:
    """Every file of a tree, by the parts of its path."""
    for entry in TreeReader(root, ""):
        if entry.kind in (REGULAR, HARD_LINK):
            yield entry.path.split(b"/")


def _subject(root: int, parts: list[bytes]) -> Json:
    path = b"/".join(parts)
    file = open_in_root(root, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(file, "rb", buffering=0) as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"name": os.fsdecode(path), "digest": {"sha256": digest}}


def _directory_of(platform: str) -> str:
    return platform.replace("/", "_")


class _Apart(PassedOn):
    """A platform's files on their way to where others are: none takes the place of another."""

    def __init__(self, archive: Archive, platform: str, present: dict[bytes, str]) -> None:
        """`present`: whose each file is that is there."""
        super().__init__(archive)
        self._platform = platform
        self._files = present

    def __iter__(self) -> Iterator[TarEntry]:
        """Raises: InvalidValue."""
        for entry in self._present:
            if entry.kind != DIRECTORY:
                other = self._files.setdefault(entry.path, self._platform)
                if other != self._platform:
                    raise InvalidValue(
                        f"cannot overwrite {os.fsdecode(entry.path)} from {other} with "
                        f"{self._platform} when split option is disabled"
                    )
            yield entry
