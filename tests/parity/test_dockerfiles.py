"""Every instruction and option of the language, and of `build`: none of them is ignored.

The table is `tests/dockerfiles` (support.dockerfile_cases tells how it is read). A case goes
through a door with the client that people have for it: the stock CLI by the classic one, the same
with buildx, the real Compose v2 and our own client. `make test` takes each case through one of
them, the options of `build` through all but one; `make proof` takes all through all.
`./dev oracle` builds the same with Debian's dockerd.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.builds import remove_what_was_built
from support.buildx import BuildClient
from support.built_images import built_image
from support.compose_builds import compose_file, has_words_for
from support.daemon import Engine
from support.dockerfile_cases import Case, all_cases, record, small_archive
from support.proof_size import Size
from support.waiting import PATIENCE
from support.web_sites import git_repository, web_site

IS_STOCK = os.environ.get("WHERRY_TEST_ENGINE") == "dockerd"
RENEWS = os.environ.get("WHERRY_UPDATE_GOLDEN") == "1"
_DOORS = ("classic", "buildkit") if IS_STOCK else ("classic", "own", "buildkit", "compose")
_ALIKE = ("buildkit", "compose")
"""Those with a client that speaks BuildKit, whatever its name."""
_CLOSED = {
    "buildkit": ["classic"],
    "classic": ["buildkit", "compose"],
    "own": ["classic", "buildkit", "compose"],
}
"""The doors that cases with an attribute don't go through."""


def doors_of(case: Case) -> list[str]:
    """The doors that a case can go through."""
    return [
        door
        for door in _DOORS
        if door not in {closed for name in case.attributes for closed in _CLOSED.get(name, ())}
        and not (IS_STOCK and "newer" in case.attributes)
        and (door != "compose" or has_words_for([*case.flags, *case.parent_flags]))
    ]


def chosen() -> Iterator[tuple[str, Case]]:
    """Each case with a door, or with all of them."""
    for number, case in enumerate(all_cases()):
        doors = doors_of(case)
        if RENEWS:
            doors = [each for each in doors if each in ("classic", "buildkit")] or doors
        if not (Size.is_whole or IS_STOCK or RENEWS):
            doors = some_of(doors, number, is_option=case.place.stem == "options")
        for door in doors:
            yield door, case


def some_of(doors: list[str], number: int, *, is_option: bool) -> list[str]:
    """One door, another for each case; for an option all but one."""
    if not is_option:
        return doors[number % len(doors) :][:1]
    left_out = _ALIKE[number % 2]
    return [door for door in doors if door != left_out or not {*_ALIKE} <= {*doors}]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What somebody gets who builds."""

    result: str
    history: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """An engine, and what the cases need beside their contexts."""

    engine: Engine
    directory: Path
    places: dict[str, str]
    """What stands for `{site}` and the like."""

    def outcome(self, door: str, case: Case) -> Outcome:
        """Build a case with its parent. The classic door is asked for what it knows already."""
        directory = self.directory / f"context-{len(list(self.directory.iterdir()))}"
        self._placed(case).write_context(directory)
        client = BuildClient(self.engine, directory)
        if parent := case.sections.get("parent"):
            (directory / "Parent").write_text(parent)
            words = ["-f", "Parent", "-t", "parent", *case.parent_flags]
            ran = self._build(client, door, *words, is_anew=True)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            (directory / "Parent").unlink()
            if "elsewhere" in case.attributes:
                self._come_from_elsewhere("parent")
        flags, is_anew = self._placed(case).flags, "cached" not in case.attributes
        ran = self._build(client, door, "-t", "case", *flags, is_anew=is_anew)
        if ran.returncode:
            said = [line for line in ran.stderr.splitlines() if line.strip()]
            return Outcome("", "", self._unplaced("\n".join(said)))
        made = built_image(self.engine, "case", "busybox", case.attributes)
        self.engine.api("DELETE", "/images/case")
        return Outcome(self._unplaced(made.result), self._unplaced(made.history))

    def _build(
        self, client: BuildClient, door: str, *words: str, is_anew: bool
    ) -> "subprocess.CompletedProcess[str]":
        match door:
            case "classic":
                return subprocess.run(
                    ["docker", "build", *words, "."],
                    cwd=client.directory,
                    env={
                        **self.engine.environment,
                        "DOCKER_BUILDKIT": "0",
                        "A_SECRET": "from afar",
                    },
                    capture_output=True,
                    text=True,
                    timeout=60 * PATIENCE,
                    check=False,
                )
            case "compose":
                given = (*words, "--no-cache") if is_anew else words
                project = client.directory.with_suffix(".json")
                project.write_text(compose_file(given))
                place = ("-f", str(project), "--project-directory", str(client.directory))
                return client.compose(*place, "build", is_ok=False, A_SECRET="from afar")
            case "own":
                build = client.own
            case _:
                build = client.old_docker if IS_STOCK else client.docker
        anew = ("--no-cache",) if is_anew else ()
        return build("build", *anew, *words, ".", is_ok=False, A_SECRET="from afar")

    def _come_from_elsewhere(self, name: str) -> None:
        """Let an image be as if another engine had built it: nothing else is left of its build."""
        archive = self.engine.api("GET", f"/images/{name}/get").body
        assert self.engine.api("DELETE", f"/images/{name}").status == 200
        self.engine.docker_ok("builder", "prune", "-af")
        assert self.engine.api("POST", "/images/load", archive).status == 200

    def _placed(self, case: Case) -> Case:
        return case.with_words(self.places)

    def _unplaced(self, text: str) -> str:
        for name, place in self.places.items():
            text = text.replace(place, name)
        return text


@pytest.fixture(scope="module")
def bench(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The run's engine; a web server and an agent that it reaches."""
    place = tmp_path_factory.mktemp("site")
    (place / "file.txt").write_text("from afar\n")
    os.utime(place / "file.txt", (1_600_000_000, 1_600_000_000))
    (place / "t.tgz").write_bytes(small_archive())
    agent = str(tmp_path_factory.mktemp("agent") / "a.sock")
    with web_site(shared_engine, place) as url, socket.socket(socket.AF_UNIX) as listening:
        git_repository(place)
        listening.bind(agent)
        listening.listen()
        places = {"{site}": url, "{agent}": agent, "{cr}": "\r"}
        yield Bench(shared_engine, tmp_path_factory.mktemp("contexts"), places)
    groups = "rmdir /sys/fs/cgroup/aparent /sys/fs/cgroup/*/aparent 2>/dev/null; true"
    subprocess.run(shared_engine.machine.command("sh", "-c", groups), check=True)
    if not IS_STOCK:
        remove_what_was_built(shared_engine)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for a case and a door."""
    if "case" in metafunc.fixturenames:
        pairs = sorted(chosen(), key=lambda pair: _DOORS.index(pair[0]))
        names = [f"{door}-{case.place.stem}-{case.name}" for door, case in pairs]
        metafunc.parametrize(("door", "case"), pairs, ids=names)


def test_nothing_is_ignored(bench: Bench, door: str, case: Case) -> None:
    """It gives what Docker gives, and something else without each of the words that matter."""
    found = bench.outcome(door, case.whole())
    if "errors" in case.attributes:
        assert found.error
        assert case.sections.get("result", "").strip() in found.error
    else:
        assert not found.error, found.error
        check(found, door, case)
    struck = list(case.struck())
    assert struck, "no words of this case matter"
    for words, other in struck if Size.is_whole else ():
        without = bench.outcome(door, other)
        assert (without.result, bool(without.error)) != (found.result, bool(found.error)), (
            f"{words!r} may as well not be there"
        )


def check(found: Outcome, door: str, case: Case) -> None:
    """The result is the stored one, and so is the history in the words of the door's builder."""
    history = "history" if door == "classic" else "history of BuildKit"
    if RENEWS:
        renew(found, door, stored(case), history)
    expected = stored(case).sections
    assert found.result == expected.get("result", "")
    if not (IS_STOCK and is_told_by_us(case, history)):
        assert found.history == expected.get(history, "")


def is_told_by_us(case: Case, history: str) -> bool:
    """Whether Debian's Docker tells this history otherwise."""
    return "told" in case.attributes or (history != "history" and "retold" in case.attributes)


def stored(case: Case) -> Case:
    """The case as it stands in its file now."""
    return next(each for each in all_cases() if (each.place, each.name) == (case.place, case.name))


def renew(found: Outcome, door: str, case: Case, history: str) -> None:
    """Store what Docker gave, and of a newer Docker's what we give, to be looked at."""
    is_ours = {
        "result": "newer" in case.attributes,
        history: "newer" in case.attributes or is_told_by_us(case, history),
    }
    results = {history: found.history}
    if door == doors_of(case)[0]:
        results["result"] = found.result
    kept = {name: text for name, text in results.items() if is_ours[name] is not IS_STOCK}
    record(case, **kept)
