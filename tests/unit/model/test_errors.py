"""Failures as values: their fields, and how they read in a log."""

import pytest

from wherry.model.errors import NoCluster, NotFound, WherryError
from wherry.model.errors.containers import ContainerNotFound, StartFailed


def test_fields_come_in_order_or_by_name() -> None:
    """What is not given has its default; a failure is of its kind."""
    failed = StartFailed("no memory", runtime="runc")
    assert (failed.cause, failed.runtime) == ("no memory", "runc")
    assert StartFailed(cause="no memory").runtime == ""
    assert isinstance(ContainerNotFound("x"), NotFound)


@pytest.mark.parametrize(
    ("kind", "values", "named"),
    [
        (StartFailed, (), {}),
        (StartFailed, ("a", "b", "c"), {}),
        (StartFailed, ("a",), {"cause": "b"}),
        (StartFailed, ("a",), {"reason": "b"}),
        (NoCluster, ("a",), {}),
    ],
    ids=["missing", "too many", "twice", "unknown", "none wanted"],
)
def test_wrong_fields_are_a_bug(
    kind: type[WherryError], values: tuple[str, ...], named: dict[str, str]
) -> None:
    """A failure that is made wrongly is noticed where it is made."""
    with pytest.raises(TypeError):
        kind(*values, **named)


def test_a_log_shows_the_fields() -> None:
    """Each by its name, defaults too."""
    assert str(StartFailed("no memory")) == "StartFailed(cause='no memory', runtime='')"
