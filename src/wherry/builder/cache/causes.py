"""Why a step was not found in the cache: by what it saw, beside what those saw that are kept.

A step stands on another one, so two things can be compared with it: what was run on the same step
in its place (written the same; or it was another of this kind, in a stage of this name), and what
was written the same but stood on another base. The first come first. If the step below
is itself new, that is the cause; but nobody wrote a boundary, and what only changes the image's
words is shown nowhere: what stands on such a step has its causes.
"""

from collections.abc import Sequence

from wherry.builder.cache.seen_steps import SeenStep, files_of
from wherry.builder.cache.table import BuildCache
from wherry.builder.planning import EPOCH, Base, PlannedStep, Step
from wherry.kit.timestamps import rfc3339_nano
from wherry.kit.values import dataclass
from wherry.model.build_causes import CauseKind, StepCause, StepWhy

MOST_TOLD = 20
EPOCH_DETAIL = f"moment {EPOCH}"
"""Under what the moment of a build (SOURCE_DATE_EPOCH) is among a step's details."""
_FIRST = StepWhy(causes=(StepCause(kind=CauseKind.FIRST),))
_KINDS = {
    "argument": CauseKind.ARGUMENT,
    "variable": CauseKind.VARIABLE,
    "instruction": CauseKind.INSTRUCTION,
}


@dataclass(frozen=True, slots=True)
class _Missed:
    """A step of this build that was not found."""

    text: str
    is_shown: bool
    why: StepWhy


class Causes:
    """The causes of one build's misses; its methods read the cache and may block."""

    def __init__(self, cache: BuildCache, *, began_ns: int) -> None:
        """`began_ns`: when the build began; what it makes itself is not what was before."""
        self._cache = cache
        self._began_ns = began_ns
        self._missed: dict[str, _Missed] = {}

    def of_base(self, base: Base) -> StepWhy | None:
        """Whether a name leads to another image than when a stage last began with it."""
        before = self._cache.base_before(base.reference, before_ns=self._began_ns)
        now = str(base.state.image_id)
        if not base.reference or before is None or before.image_id == now:
            return None
        return _why([_moved(base.reference, before.image_id, now)], before.at_ns)

    def asked_for(self, key: str, seen: SeenStep, step: Step, cause: StepCause) -> StepWhy:
        """A step that the user wants to be run."""
        return self._noted(key, seen, step, StepWhy(causes=(cause,)))

    def of(self, key: str, seen: SeenStep, step: Step, *, was_known: bool = False) -> StepWhy:
        """Why a step with this key was not found; or its files were not, though it was known."""
        if was_known:
            return self.asked_for(key, seen, step, StepCause(kind=CauseKind.LAYER_LOST))
        return self._noted(key, seen, step, self._compared(key, seen))

    def pass_on(self, key: str, parent: str) -> None:
        """What begins a stage on another one has the causes of what it stands on."""
        if below := self._missed.get(parent):
            self._missed[key] = below

    def _noted(self, key: str, seen: SeenStep, step: Step, why: StepWhy) -> StepWhy:
        self._missed[key] = _Missed(seen.text, is_shown(step), why)
        return why

    def _compared(self, key: str, seen: SeenStep) -> StepWhy:
        if removed := self._cache.note_of(key):
            at = rfc3339_nano(removed.at_ns)
            cause = StepCause(kind=CauseKind.COLLECTED, subject=removed.reason, before=at)
            return StepWhy(causes=(cause,))
        if beside := self._cache.beside(seen, before_ns=self._began_ns):
            nearest = min(beside, key=lambda each: _distance(each, seen))
            return _why(differences(nearest, seen), nearest.created_at_ns)
        if below := self._missed.get(seen.parent):
            if not below.is_shown:
                return below.why
            return StepWhy(causes=(StepCause(kind=CauseKind.PARENT, subject=below.text),))
        alike = self._cache.alike(seen, before_ns=self._began_ns)
        if alike is None:
            return _FIRST
        if alike.base_id != seen.base_id:
            causes = [_moved(seen.base, alike.base_id, seen.base_id)]
        else:
            causes = _epochs(alike, seen)
        return _why(causes, alike.created_at_ns) if causes else _FIRST


def _moved(base: str, before: str, now: str) -> StepCause:
    return StepCause(kind=CauseKind.BASE, subject=base, before=before, now=now)


def _epochs(before: SeenStep, now: SeenStep) -> list[StepCause]:
    was, is_now = before.details.get(EPOCH_DETAIL, ""), now.details.get(EPOCH_DETAIL, "")
    if was == is_now:
        return []
    return [StepCause(kind=CauseKind.SETTING, subject=EPOCH, before=was, now=is_now)]


def is_shown(step: PlannedStep) -> bool:
    """Whether those who watch see this step: somebody wrote it, and it changes files."""
    return isinstance(step, Base) or step.changes_files


def differences(before: SeenStep, now: SeenStep) -> list[StepCause]:
    """What a step saw that another one on the same step had not seen.

    Of another instruction everything else may differ; that is told alone.
    """
    if before.text != now.text:
        return [StepCause(kind=CauseKind.INSTRUCTION, before=before.text, now=now.text)]
    causes: list[StepCause] = []
    for name in sorted(before.parts.keys() | now.parts.keys()):
        was, is_now = before.parts.get(name, ""), now.parts.get(name, "")
        if was == is_now:
            continue
        if name == "instruction":
            # Written the same, it means something else: by a variable, most often.
            causes += _variables(before, now) or [
                StepCause(kind=CauseKind.INSTRUCTION, before=was, now=is_now)
            ]
        elif name.startswith("files"):
            causes += _files(name, before, now)
        else:
            word, _blank, subject = name.partition(" ")
            kind = _KINDS.get(word, CauseKind.SETTING)
            causes.append(
                StepCause(
                    kind=kind,
                    subject=name if kind is CauseKind.SETTING else subject,
                    before=was,
                    now=is_now,
                )
            )
    return causes


def _variables(before: SeenStep, now: SeenStep) -> list[StepCause]:
    return [
        StepCause(
            kind=CauseKind.VARIABLE,
            subject=name.removeprefix("variable "),
            before=before.details.get(name, ""),
            now=now.details.get(name, ""),
        )
        for name in sorted(before.details.keys() | now.details.keys())
        if name.startswith("variable ") and before.details.get(name) != now.details.get(name)
    ]


def _files(name: str, before: SeenStep, now: SeenStep) -> list[StepCause]:
    """Which files of a part are not as they were."""
    was, is_now = files_of(name, before), files_of(name, now)
    found = []
    for path in sorted(was.keys() | is_now.keys()):
        if was.get(path) == is_now.get(path):
            continue
        kind = CauseKind.FILE_CHANGED
        if path not in was:
            kind = CauseKind.FILE_ADDED
        elif path not in is_now:
            kind = CauseKind.FILE_REMOVED
        found.append(
            StepCause(kind=kind, subject=path, before=was.get(path, ""), now=is_now.get(path, ""))
        )
    return found or [StepCause(kind=CauseKind.SETTING, subject=name)]


def _distance(one: SeenStep, other: SeenStep) -> tuple[bool, int]:
    """Another instruction is farther than any difference; of those the newest is as good."""
    if one.text != other.text:
        return True, 0
    pairs = [{*each.parts.items(), *each.details.items()} for each in (one, other)]
    return False, len(pairs[0] ^ pairs[1])


def _why(causes: Sequence[StepCause], compared_at_ns: int) -> StepWhy:
    return StepWhy(
        causes=tuple(causes[:MOST_TOLD]),
        more=max(len(causes) - MOST_TOLD, 0),
        compared_at_ns=compared_at_ns,
    )
