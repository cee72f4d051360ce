"""What a build would do: the same graph and the same keys, with nothing done.

What a step would make is not known before it has run; what the image would say after it is. So the
steps on a step that would run have their keys all the same, unless they see files that are not
there yet: those of another stage, or of a base that is elsewhere. They are *undecided*.
"""

from collections.abc import Sequence

from wherry.builder.planning import Base, PlannedStep
from wherry.builder.solver import Tell
from wherry.builder.states import Built
from wherry.builder.steps.executing import StepExecutor
from wherry.kit.values import dataclass
from wherry.model.build_causes import CauseKind, StepCause, StepWhy


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would be there after a step."""

    built: Built
    text: str
    has_files: bool
    """Whether its files are here; otherwise only what the image would say is known."""
    is_decided: bool = True
    """Whether it is known what it would be."""


class Foresight:
    """An executor that executes nothing."""

    def __init__(self, steps: StepExecutor, *, pulls_always: bool) -> None:
        self._steps = steps
        self._pulls_always = pulls_always

    async def key(
        self, step: PlannedStep, parent: Foreseen | None, sources: Sequence[Foreseen]
    ) -> str:
        """As the build would have it; empty where that can't be known."""
        if _unknown(parent, sources) is not None:
            return ""
        below = parent.built if parent is not None else None
        return await self._steps.key(step, below, [each.built for each in sources])

    async def cached(
        self, key: str, step: PlannedStep, parent: Foreseen | None
    ) -> Foreseen | None:
        """What the cache has. On files that are not there, only what adds none can be told."""
        if parent is None or isinstance(step, Base):
            return None
        if parent.has_files or not step.changes_files or self._steps.stands_alone(key):
            built = await self._steps.cached(key, step, parent.built)
            if built is not None:
                has_files = parent.has_files and self._steps.has_files(built)
                return Foreseen(built, step.text, has_files=has_files)
        return None

    async def why(self, key: str, step: PlannedStep, parent: Foreseen | None) -> StepWhy | None:
        """Why it would run, or what decides whether it would."""
        if isinstance(step, Base):
            if self._is_elsewhere(step):
                return _undecided(step.reference)
            return await self._steps.why(key, step, None)
        assert parent is not None
        if not key:
            return _undecided("" if parent.is_decided else parent.text)
        if not parent.has_files and self._steps.is_kept(key):
            return _undecided(parent.text)
        return await self._steps.why(key, step, parent.built)

    async def run(
        self,
        key: str,
        step: PlannedStep,
        parent: Foreseen | None,
        sources: Sequence[Foreseen],
        tell: Tell,
    ) -> Foreseen:
        """What would be there, but for its files. Raises: DockerfileRefused."""
        if isinstance(step, Base):
            is_here = not self._is_elsewhere(step)
            built = await self._steps.run(key, step, None, (), tell)
            return Foreseen(built, step.reference, has_files=is_here, is_decided=is_here)
        assert parent is not None
        is_decided = bool(key) and (parent.has_files or not self._steps.is_kept(key))
        built = self._steps.assumed(key, step, parent.built)
        has_files = parent.has_files and not step.changes_files
        return Foreseen(built, step.text, has_files=has_files, is_decided=is_decided)

    def name(self, _result: Foreseen) -> str:
        """Nothing is made."""
        return ""

    def size(self, _result: Foreseen) -> int:
        """Nothing is made."""
        return 0

    def _is_elsewhere(self, base: Base) -> bool:
        return base.is_missing or (self._pulls_always and bool(base.state.layers))


def _unknown(parent: Foreseen | None, sources: Sequence[Foreseen]) -> Foreseen | None:
    """What a step sees that is not known."""
    if parent is not None and not parent.is_decided:
        return parent
    return next((each for each in sources if not (each.is_decided and each.has_files)), None)


def _undecided(subject: str) -> StepWhy:
    return StepWhy(causes=(StepCause(kind=CauseKind.UNDECIDED, subject=subject),))
