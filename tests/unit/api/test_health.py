"""Health checks at the edge: Docker's refusals."""

import pytest

from wherry.api.translate.health import to_health_check, to_health_config
from wherry.model.errors import InvalidValue
from wherry.wire.container_config import HealthConfig


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (HealthConfig(Interval=5), "Interval in Healthcheck cannot be less than 1ms"),
        (HealthConfig(Interval=-1), "Interval in Healthcheck cannot be less than 1ms"),
        (HealthConfig(Timeout=999_999), "Timeout in Healthcheck cannot be less than 1ms"),
        (HealthConfig(StartPeriod=1), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (HealthConfig(StartInterval=1), "StartInterval in Healthcheck cannot be less than 1ms"),
        (HealthConfig(Retries=-1), "Retries in Healthcheck cannot be negative"),
    ],
)
def test_refusals(shape: HealthConfig, sentence: str) -> None:
    """Times too short to be meant, and a negative count."""
    with pytest.raises(InvalidValue) as refused:
        to_health_check(shape)
    assert refused.value.sentence == sentence


def test_round_trip() -> None:
    """Inspection shows what was asked for."""
    shape = HealthConfig(Test=["CMD", "true"], Interval=10**9, Retries=4, StartPeriod=10**7)
    assert to_health_config(to_health_check(shape)) == shape
