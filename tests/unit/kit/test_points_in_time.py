"""Spans and points in time, as Docker's command line and API take them."""

import pytest

from wherry.kit.durations import read_duration
from wherry.kit.points_in_time import read_point_in_time
from wherry.kit.timestamps import NANOSECONDS, parse_rfc3339

NOW = parse_rfc3339("2026-03-04T05:06:07.5Z")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1h", "2026-03-04T04:06:07Z"),
        ("1h30m5s", "2026-03-04T03:36:02Z"),
        ("-1m", "2026-03-04T05:07:07Z"),
        ("0s", "2026-03-04T05:06:07Z"),
        ("2026-01-02T03:04:05.25Z", "2026-01-02T03:04:05.25Z"),
        ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z"),
        ("2026-01-02Z", "2026-01-02T00:00:00Z"),
        ("2026-01-02T03:04Z", "2026-01-02T03:04:00Z"),
        ("1700000000", "2023-11-14T22:13:20Z"),
        ("1700000000.5", "2023-11-14T22:13:20.5Z"),
    ],
)
def test_points_in_time(text: str, moment: str) -> None:
    """A span back from now, a date in its shorter and longer forms, and Unix seconds."""
    assert read_point_in_time(text, NOW) == parse_rfc3339(moment)


@pytest.mark.parametrize("text", ["", "soon", "2026", "2026-13-01", "1d", "1h x", "2026-01-02T"])
def test_no_points_in_time(text: str) -> None:
    """What is neither is refused, except for a number, which is Unix seconds."""
    if text == "2026":
        assert read_point_in_time(text, NOW) == 2026 * NANOSECONDS
        return
    with pytest.raises(ValueError):
        read_point_in_time(text, NOW)


def test_durations() -> None:
    """Go's spans, down to nanoseconds."""
    assert read_duration("1.5s") == 1_500_000_000
    assert read_duration("1us2ns") == 1_002
