"""Durations as Go prints them, and as `docker ps` says them."""

import pytest

from wherry.kit.durations import duration_text, human_duration, read_duration

HOUR, DAY = 3600, 86_400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second"),
        (0.9, "Less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (HOUR - 1, "59 minutes"),
        (HOUR, "About an hour"),
        (1.4 * HOUR, "About an hour"),
        (1.5 * HOUR, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    """The steps of go-units' HumanDuration."""
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"), (1, "1ns"), (1_500, "1.5µs"), (500_000_000, "500ms"), (10**9, "1s"),
        (90 * 10**9, "1m30s"), (3600 * 10**9, "1h0m0s"), (-1_500_000_000, "-1.5s"),
        (3_661_000_000_001, "1h1m1.000000001s"),
    ],
)  # fmt: skip
def test_durations_as_go_prints_them(nanoseconds: int, text: str) -> None:
    """The rules of time.Duration's String, which reading takes back."""
    assert duration_text(nanoseconds) == text
    assert read_duration(text) == nanoseconds
