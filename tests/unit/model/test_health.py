"""From probes to health: Docker's rules."""

import pytest

from wherry.model.health import (
    Health,
    HealthCheck,
    HealthState,
    ProbeResult,
    after_probe,
    pause_before_probe_ns,
)

SECOND = 1_000_000_000
CHECK = HealthCheck(
    test=("CMD", "x"), interval_ns=9 * SECOND, start_period_ns=10 * SECOND, retries=2
)


def probed(health: Health, *codes: int, at_s: int = 100) -> Health:
    """Health after probes that began some seconds after the container did."""
    for code in codes:
        result = ProbeResult(
            started_at_ns=at_s * SECOND, ended_at_ns=at_s * SECOND, exit_code=code, output=""
        )
        health = after_probe(health, result, CHECK, container_started_at_ns=0)
    return health


def test_failures_in_a_row() -> None:
    """Unhealthy with the second failure in a row; one success forgets them."""
    assert probed(Health(), 1).state is HealthState.STARTING
    assert probed(Health(), 1, 1).state is HealthState.UNHEALTHY
    assert probed(Health(), 0, 1).state is HealthState.HEALTHY
    assert probed(Health(), 1, 0, 1).state is HealthState.HEALTHY
    recovered = probed(Health(), 1, 1, 1, 0)
    assert (recovered.state, recovered.failing_streak) == (HealthState.HEALTHY, 0)


def test_the_start_period_forgives() -> None:
    """Failures while it settles are logged and not counted, until a first success."""
    young = probed(Health(), 1, 1, 1, at_s=5)
    assert (young.state, young.failing_streak, len(young.log)) == (HealthState.STARTING, 0, 3)
    assert probed(Health(), 0, 1, 1, at_s=5).state is HealthState.UNHEALTHY


def test_five_results_are_kept() -> None:
    """The latest ones, oldest first."""
    assert [each.exit_code for each in probed(Health(), 1, 2, 3, 4, 5, 6, 7).log] == [
        3,
        4,
        5,
        6,
        7,
    ]


@pytest.mark.parametrize(
    ("state", "age_s", "pause_s"),
    [
        (HealthState.STARTING, 5, 5),
        (HealthState.STARTING, 10, 9),
        (HealthState.HEALTHY, 5, 9),
    ],
)
def test_the_pause(state: HealthState, age_s: int, pause_s: int) -> None:
    """The start interval (five seconds unless told) while it settles, the interval afterwards."""
    health = Health(state=state)
    pause_ns = pause_before_probe_ns(health, CHECK, container_age_ns=age_s * SECOND)
    assert pause_ns == pause_s * SECOND


def test_the_image_completes_the_user() -> None:
    """Each member on its own."""
    image = HealthCheck(test=("CMD", "image"), interval_ns=1, retries=7)
    merged = HealthCheck(interval_ns=2).completed_by(image)
    assert merged == HealthCheck(test=("CMD", "image"), interval_ns=2, retries=7)


def test_commands() -> None:
    """Words, a line for the shell, and nothing at all."""
    assert HealthCheck(test=("CMD", "a", "b")).command() == ("a", "b")
    assert HealthCheck(test=("CMD-SHELL", "a b")).command() == ("/bin/sh", "-c", "a b")
    assert HealthCheck(test=("CMD-SHELL", "a")).command(("/bin/ash", "-c"))[0] == "/bin/ash"
    assert HealthCheck(test=("NONE",)).command() == ()
