"""What was found damaged since the engine was started: said in the log, and by `info`.

Damage never keeps an engine from starting: what can be read is served, what can't is set aside,
and whoever asks for `info` is told what it was and what to do.
"""

import logging
import threading

from wherry.kit.values import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing, what is wrong with it, and what was done or is left to do."""

    what: str
    problem: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}; {self.outcome}"


class Damages:
    """A list; from any thread."""

    def __init__(self) -> None:
        self._found: list[Damage] = []
        self._changing = threading.Lock()

    def note(self, what: str, problem: str, outcome: str) -> None:
        """Tell of damage; the same one is told once."""
        damage = Damage(what, " ".join(problem.split()), outcome)
        with self._changing:
            if damage in self._found:
                return
            self._found.append(damage)
        _log.error("state.damaged %s", damage)

    def all(self) -> tuple[Damage, ...]:
        """In the order in which they were found."""
        with self._changing:
            return tuple(self._found)
