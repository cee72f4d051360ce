"""Copies while the container swaps a directory for a link to `/`: nothing of the host, ever.

A sample; `make proof` runs ten thousand. The sample is worth something: an engine that resolves
the names outside of the container's root is caught by it.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.copy_race import CopyRace
from support.daemon import Engine

COPIES = int(os.environ.get("WHERRY_COPIES", "400"))
MUTANT = Path(__file__).parents[1] / "support" / "careless_wherryd.py"


class CarelessEngine(Engine):
    """A wherryd that follows links as the host would."""

    program = (sys.executable, "-P", str(MUTANT))


@pytest.fixture
def careless_engine() -> Iterator[Engine]:
    """An engine of the mutant's own."""
    made = CarelessEngine()
    try:
        made.start()
        made.bootstrap()
        yield made
    finally:
        made.close()


def test_no_copy_leaves_the_container(engine: Engine, tmp_path: Path) -> None:
    """Not one of the copies reads or writes a file of the host."""
    race = CopyRace(engine, tmp_path)
    race.run(COPIES)
    assert not race.escapes, race.escapes[:5]
    assert sum(race.outcomes.values()) == COPIES
    # Both ends of the swap were met, or this was no race.
    assert min(race.outcomes[f"{way} {status}"] for way in ("in", "out") for status in (200, 404))


@pytest.mark.stock_differs
def test_the_race_catches_a_careless_engine(careless_engine: Engine, tmp_path: Path) -> None:
    """The same copies, by an engine without RESOLVE_IN_ROOT, do escape."""
    race = CopyRace(careless_engine, tmp_path)
    race.run(60)
    assert race.escapes
