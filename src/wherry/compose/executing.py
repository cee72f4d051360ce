"""Performs a plan: each step as soon as the steps before it are over, many at a time.

The one place that decides between doing and showing: a dry run tells the same words and performs
nothing. After a failure no further step begins; those under way are waited for.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from wherry.compose.errors import ComposeError
from wherry.compose.steps import Action, Plan, Step


class Told(NamedTuple):
    """One line of progress: a thing, what happens to it, and whether that is over."""

    subject: str
    word: str
    is_over: bool = True
    reason: str = ""
    problem: BaseException | None = None


Report = Callable[[Told], None]
Perform = Callable[[Action], None]

_AT_MOST = 32
"""Steps under way at a time; the engine has its own bounds."""


class OutOfPatience(ComposeError):
    """Not all steps were over in time; those under way go on in the engine."""


def execute(
    plan: Plan,
    perform: Perform,
    report: Report,
    *,
    is_dry: bool = False,
    at_most: int | None = None,
    patience_s: float | None = None,
) -> None:
    """Take all steps, or tell of them. Raises: what `perform` raises first; OutOfPatience."""
    if is_dry:
        for step in plan.steps:
            _tell_of(step, report)
        return
    _Execution(plan.steps, perform, report, at_most or _AT_MOST).run(patience_s)


def _tell_of(step: Step, report: Report) -> None:
    for subject in step.action.subjects:
        if step.action.doing:
            report(Told(subject, step.action.doing, is_over=False, reason=step.reason))
        report(Told(subject, step.action.done, reason=step.reason))


class Skipped(Exception):
    """Raised by a performer: the thing stays as it is, and the text says why."""


class _Execution:
    """Threads that take steps, and the one that hands them out."""

    def __init__(
        self, steps: Iterable[Step], perform: Perform, report: Report, at_most: int
    ) -> None:
        self._waiting = list(steps)
        self._perform = perform
        self._report = report
        self._at_most = at_most
        self._over: set[str] = set()
        self._running = 0
        self._ended: queue.SimpleQueue[tuple[Step, BaseException | None]] = queue.SimpleQueue()

    def run(self, patience_s: float | None) -> None:
        """Until all is done. Raises: the first failure, OutOfPatience."""
        deadline = None if patience_s is None else time.monotonic() + patience_s
        failure: BaseException | None = None
        while self._waiting or self._running:
            if failure is None:
                self._begin_ready()
            if not self._running:
                break
            step, problem = self._next_ended(deadline)
            self._running -= 1
            self._over.add(step.key)
            failure = failure or problem
        if failure is not None:
            raise failure

    def _next_ended(self, deadline: float | None) -> tuple[Step, BaseException | None]:
        rest = None if deadline is None else max(deadline - time.monotonic(), 0)
        try:
            return self._ended.get(timeout=rest)
        except queue.Empty:
            raise OutOfPatience("it took longer than the time that it was given") from None

    def _begin_ready(self) -> None:
        later = []
        for step in self._waiting:
            if self._running < self._at_most and step.after <= self._over:
                self._running += 1
                threading.Thread(target=self._take, args=(step,), daemon=True).start()
            else:
                later.append(step)
        self._waiting = later

    def _take(self, step: Step) -> None:
        action, problem = step.action, None
        try:
            if action.doing:
                self._tell(action, action.doing, is_over=False)
            self._perform(action)
            self._tell(action, action.done)
        except Skipped as reason:
            self._tell(action, str(reason))
        except BaseException as failure:
            problem = failure
            for subject in action.subjects:
                self._report(Told(subject, "Error", problem=failure))
        self._ended.put((step, problem))

    def _tell(self, action: Action, word: str, *, is_over: bool = True) -> None:
        for subject in action.subjects:
            self._report(Told(subject, word, is_over=is_over))
