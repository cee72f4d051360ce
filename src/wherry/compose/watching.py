"""Files that `develop.watch` names: what changed since they were last looked at, and what follows.

A look is a walk over the directories; two looks are compared by time and size of each file. So it
works on every file system, those that others write to too, and the same change is never told
twice. What is only half written is waited for: a change counts once a look finds no further one.
"""

import os
import stat
from collections.abc import Iterator, Mapping

from wherry.client.documents import Document, child, children, flag, text, texts
from wherry.compose.application import Application
from wherry.compose.errors import ComposeError
from wherry.kit.path_patterns import BadPattern, Ignore
from wherry.kit.values import dataclass

_ALWAYS_IGNORED = ("**/.git", "**/.DS_Store", "**/*~", "**/.*.swp", "**/.#*", "**/#*#")

Look = dict[str, tuple[int, int]]
"""Each file's time of change in nanoseconds, and its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One entry of a service's `develop.watch`."""

    service: str
    path: str
    action: str
    target: str = ""
    hook: Document
    syncs_at_once: bool = False
    ignored: Ignore
    included: Ignore | None = None
    """None: everything."""

    def takes(self, path: str) -> bool:
        """Whether a file of the host is of this entry."""
        if path != self.path and not path.startswith(self.path.rstrip("/") + "/"):
            return False
        inside = os.path.relpath(path, self.path)
        if inside == ".":
            return True
        return not self.ignored.excludes(inside) and (
            self.included is None or self.included.excludes(inside)
        )

    def place_of(self, path: str) -> str:
        """Where a file of the host goes in the container."""
        inside = os.path.relpath(path, self.path)
        return self.target if inside == "." else os.path.join(self.target, inside)


def triggers_of(made: Application) -> list[Trigger]:
    """All entries of an application. Raises: ComposeError."""
    result = []
    for service, wanted in made.services.items():
        for each in children(child(wanted, "develop"), "watch"):
            action = text(each, "action")
            if action == "rebuild" and "build" not in wanted:
                raise ComposeError(
                    f"can't watch service {service} with action {action} without a build section"
                )
            result.append(
                Trigger(
                    service=service,
                    path=os.path.realpath(text(each, "path")),
                    action=action,
                    target=text(each, "target"),
                    hook=child(each, "exec"),
                    syncs_at_once=flag(each, "initial_sync"),
                    ignored=_patterns(service, [*_ALWAYS_IGNORED, *texts(each, "ignore")]),
                    included=_patterns(service, texts(each, "include"))
                    if "include" in each
                    else None,
                )
            )
    return result


def _patterns(service: str, lines: list[str]) -> Ignore:
    """A pattern without a directory is one for files anywhere below."""
    try:
        return Ignore([x for line in lines for x in {line, line if "/" in line else f"**/{line}"}])
    except BadPattern as problem:
        raise ComposeError(f"services.{service}.develop.watch: {problem}") from None


def look_at(triggers: list[Trigger]) -> Look:
    """The files of all entries as they are now."""
    found: Look = {}
    for root in sorted({each.path for each in triggers}):
        wanted = [each for each in triggers if each.path == root]
        for path, state in _files(root):
            if any(each.takes(path) for each in wanted):
                found[path] = state
    return found


def _files(root: str) -> Iterator[tuple[str, tuple[int, int]]]:
    waiting = [root]
    while waiting:
        path = waiting.pop()
        try:
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode):
                if os.path.basename(path) != ".git":
                    waiting += [entry.path for entry in os.scandir(path)]
            else:
                yield path, (found.st_mtime_ns, found.st_size)
        except OSError:
            continue  # It went away meanwhile, or isn't ours to read.


def changes_between(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """The files that came, went or changed."""
    return sorted(path for path in {*before, *now} if before.get(path) != now.get(path))
