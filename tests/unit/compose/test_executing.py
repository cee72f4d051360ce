"""Execution of plans: order, many at a time, the first failure, and nothing at all when dry."""

import threading
from pathlib import Path

import pytest

from wherry.compose import OutOfPatience, Plan, Skipped, Told, application, execute, load_project
from wherry.compose.steps import Action
from wherry.compose.watching import changes_between, look_at, triggers_of
from wherry.compose.whereabouts import Wishes


def _plan(*steps: tuple[str, tuple[str, ...]]) -> Plan:
    plan = Plan()
    for key, after in steps:
        plan.add(key, Action(subjects=(key,), doing="Doing", done="Done"), "because", after)
    return plan


def test_order() -> None:
    """A step begins when those before it are over; what is free runs at the same time."""
    both = threading.Barrier(2, timeout=20)
    over: list[str] = []

    def perform(action: Action) -> None:
        if action.subjects[0] in ("a", "b"):
            both.wait()
        over.append(action.subjects[0])

    told: list[Told] = []
    execute(_plan(("a", ()), ("b", ()), ("c", ("a", "b"))), perform, told.append)
    assert sorted(over[:2]) == ["a", "b"]
    assert over[2] == "c"
    assert [each.word for each in told if each.subject == "c"] == ["Doing", "Done"]


def test_first_failure() -> None:
    """After a failure nothing further begins; what is skipped is no failure."""
    begun: list[str] = []

    def perform(action: Action) -> None:
        begun.append(action.subjects[0])
        if action.subjects[0] == "a":
            raise Skipped("Left as it is")
        if action.subjects[0] == "b":
            raise OSError("it broke")

    told: list[Told] = []
    with pytest.raises(OSError, match="it broke"):
        execute(_plan(("a", ()), ("b", ("a",)), ("c", ("b",))), perform, told.append)
    assert begun == ["a", "b"]
    assert [each.word for each in told] == ["Doing", "Left as it is", "Doing", "Error"]


def test_one_at_a_time() -> None:
    """--parallel bounds what is under way."""
    under_way, most = 0, 0
    lock = threading.Lock()

    def perform(_action: Action) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        with lock:
            under_way -= 1

    execute(_plan(*((str(at), ()) for at in range(20))), perform, lambda _told: None, at_most=1)
    assert most == 1


def test_patience() -> None:
    """What takes longer than it may is not waited for."""
    never = threading.Event()

    def perform(_action: Action) -> None:
        never.wait(20)

    with pytest.raises(OutOfPatience):
        execute(_plan(("a", ())), perform, lambda _told: None, patience_s=0.05)
    never.set()


def test_dry() -> None:
    """A dry run tells every step with its reason, and performs none."""
    told: list[Told] = []
    execute(_plan(("a", ()), ("b", ("a",))), pytest.fail, told.append, is_dry=True)
    assert [(each.subject, each.word, each.reason) for each in told] == [
        ("a", "Doing", "because"), ("a", "Done", "because"),
        ("b", "Doing", "because"), ("b", "Done", "because"),
    ]  # fmt: skip


def test_what_watch_sees(tmp_path: Path) -> None:
    """Files that came, went and changed; neither ignored ones nor those of editors."""
    (tmp_path / "compose.yaml").write_text(
        "services: {a: {image: a, develop: {watch: [{path: src, target: /t, action: sync,\n"
        "  ignore: ['*.tmp', skipped/], include: ['**/*.py', '*.py']}]}}}\n"
    )
    source = tmp_path / "src"
    (source / "skipped").mkdir(parents=True)
    for name in ("kept.py", "gone.py", "same.py", "other.txt"):
        (source / name).write_text("1")
    wishes = Wishes(files=[str(tmp_path / "compose.yaml")])
    triggers = triggers_of(application(load_project(wishes, {}, pytest.fail)))
    before = look_at(triggers)
    (source / "kept.py").write_text("22")
    (source / "gone.py").unlink()
    for name in ("new.py", "a.tmp", "skipped/x.py", ".x.py.swp", "other.txt"):
        (source / name).write_text("333")
    changed = changes_between(before, look_at(triggers))
    names = [str(Path(path).relative_to(source)) for path in changed]
    assert names == ["gone.py", "kept.py", "new.py"]
    assert triggers[0].place_of(str(source / "d" / "x.py")) == "/t/d/x.py"
