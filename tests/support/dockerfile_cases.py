"""Dockerfiles as a table: what each gives, and which words of it must matter.

A file of `tests/dockerfiles` holds cases:

    == healthcheck interval [newer]
    -- Dockerfile
    FROM busybox
    HEALTHCHECK «--interval=5s »CMD true
    -- result
    Healthcheck.Interval 5000000000

What stands between « and » must matter. A builder that ignores an option gives what the same
Dockerfile gives without it; so the words are struck, one pair after the other, and a case whose
result stays the same is blind and fails. «a⇒b» puts b in the place of a instead.

Sections: `Dockerfile`; `options`, the flags of `docker build`; `parent`, a Dockerfile that is
built first, as the image `parent`, with `parent options`; `result`, `history` and `history of
BuildKit`, which `./dev oracle` with WHERRY_UPDATE_GOLDEN=1 writes; any other name is a file of
the context.
Attributes: `newer` (Debian's dockerd 20.10 does not know it), `buildkit` (the classic door has
no such flag), `classic` (the other one has none), `own` (only our command line has it), `times`
(of files are compared), `layers` (are counted), `cached` (what the parent's build left may be
used), `elsewhere` (of which nothing but the image is left), `errors` (the result is what the
builder says, for it builds nothing), `told` (the history is ours), `retold` (BuildKit's is, for
it was another once).
"""

import gzip
import io
import os
import re
import shlex
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[1] / "dockerfiles"
_STRUCK = re.compile("«([^»⇒]*)(?:⇒([^»]*))?»")
_RESULTS = ("result", "history", "history of BuildKit")
_NO_FILES = ("Dockerfile", "options", "parent", "parent options", *_RESULTS)
OLD = 1_500_000_000
"""When the context's files were changed, in seconds."""


@dataclass(frozen=True, slots=True)
class Case:
    """One Dockerfile with its context, its flags, and what comes of it."""

    name: str
    place: Path
    """The file that it is in."""
    attributes: frozenset[str]
    sections: Mapping[str, str]

    @property
    def flags(self) -> list[str]:
        """Of `docker build`, for the case itself."""
        return shlex.split(self.sections.get("options", ""))

    @property
    def parent_flags(self) -> list[str]:
        """Of `docker build`, for its parent."""
        return shlex.split(self.sections.get("parent options", ""))

    def whole(self) -> "Case":
        """The case as it is meant."""
        return self._written({name: _STRUCK.sub(r"\1", text) for name, text in self._inputs()})

    def struck(self) -> Iterator[tuple[str, "Case"]]:
        """The case without each of the words that must matter, and those words."""
        for name, text in self._inputs():
            for match in _STRUCK.finditer(text):
                left = text[: match.start()] + (match.group(2) or "") + text[match.end() :]
                written = {other: _STRUCK.sub(r"\1", each) for other, each in self._inputs()}
                written[name] = _STRUCK.sub(r"\1", left)
                yield match.group(1), self._written(written)

    def with_words(self, words: Mapping[str, str]) -> "Case":
        """The case with places of this run: `{site}` and the like."""
        written = dict(self._inputs())
        for word, place in words.items():
            written = {name: text.replace(word, place) for name, text in written.items()}
        return self._written(written)

    def write_context(self, directory: Path) -> None:
        """The files that every case may copy, and those of its own."""
        directory.mkdir(parents=True)
        for name, mode, text in (
            ("a.txt", 0o644, "a\n"),
            ("b.txt", 0o640, "b\n"),
            ("d/e/f.txt", 0o644, "f\n"),
            ("d/run.sh", 0o755, "#!/bin/sh\necho ran\n"),
            ("d/.hidden", 0o600, "h\n"),
        ):
            _write(directory / name, text, mode)
        os.symlink("a.txt", directory / "link")
        (directory / "t.tgz").write_bytes(small_archive())
        for name, text in self.sections.items():
            if name not in _NO_FILES:
                _write(directory / name, text, 0o755 if text.startswith("#!") else 0o644)
        _write(directory / "Dockerfile", self.sections["Dockerfile"], 0o644)
        for place, _directories, names in os.walk(directory):
            for name in (*names, "."):
                os.utime(Path(place, name), (OLD, OLD), follow_symlinks=False)

    def _inputs(self) -> list[tuple[str, str]]:
        return [each for each in self.sections.items() if each[0] not in _RESULTS]

    def _written(self, inputs: Mapping[str, str]) -> "Case":
        return replace(self, sections={**self.sections, **inputs})


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(errors="surrogateescape"))
    path.chmod(mode)


def small_archive() -> bytes:
    """A compressed tar with a file of somebody's; always the same bytes."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo("in/x")
        entry.size, entry.mode, entry.uid, entry.gid, entry.mtime = 2, 0o640, 5, 6, OLD
        archive.addfile(entry, io.BytesIO(b"x\n"))
    return gzip.compress(made.getvalue(), mtime=OLD)


def all_cases() -> list[Case]:
    """Every case of every file, in their order."""
    return [case for place in sorted(DIRECTORY.glob("*.cases")) for case in _read(place)]


def _read(place: Path) -> Iterator[Case]:
    for text in re.split(r"^== ", place.read_text(), flags=re.MULTILINE)[1:]:
        title, *parts = re.split(r"^-- (.*)\n", text, flags=re.MULTILINE)
        name, _bracket, attributes = title.strip().partition(" [")
        sections = dict(zip(parts[::2], parts[1::2], strict=True))
        last = [*sections][-1]
        sections[last] = sections[last].rstrip("\n") + "\n"
        yield Case(name, place, frozenset(attributes.rstrip("]").split()), sections)


def record(case: Case, **results: str) -> None:
    """Write what a case gives into its file."""
    text = case.place.read_text()
    begin = re.search(rf"^== {re.escape(case.name)}( \[.*\])?$", text, re.MULTILINE)
    assert begin is not None
    following = text.find("\n== ", begin.end())
    end = len(text) if following < 0 else following
    sections = {**case.sections, **results}
    written = begin.group() + "\n"
    for name in [*(each for each in sections if each not in _RESULTS), *_RESULTS]:
        if sections.get(name):
            written += f"-- {name}\n" + sections[name].rstrip("\n") + "\n"
    case.place.write_text(text[: begin.start()] + written + text[end:])
