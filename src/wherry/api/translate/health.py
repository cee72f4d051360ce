"""Health checks and health from and to Docker's shapes."""

from wherry.kit.timestamps import rfc3339_nano
from wherry.model.errors import InvalidValue
from wherry.model.health import Health, HealthCheck
from wherry.wire.container_config import HealthConfig
from wherry.wire.containers import HealthResult, HealthShape

_SHORTEST_NS = 1_000_000


def to_health_check(shape: HealthConfig) -> HealthCheck:
    """How health is to be probed. Raises: InvalidValue."""
    for name in ("Interval", "Timeout", "StartPeriod", "StartInterval"):
        duration_ns = getattr(shape, name)
        if duration_ns and duration_ns < _SHORTEST_NS:
            raise InvalidValue(f"{name} in Healthcheck cannot be less than 1ms")
    if shape.Retries < 0:
        raise InvalidValue("Retries in Healthcheck cannot be negative")
    return HealthCheck(
        test=tuple(shape.Test or ()),
        interval_ns=shape.Interval,
        timeout_ns=shape.Timeout,
        start_period_ns=shape.StartPeriod,
        start_interval_ns=shape.StartInterval,
        retries=shape.Retries,
    )


def to_health_config(check: HealthCheck) -> HealthConfig:
    """As inspection shows it."""
    return HealthConfig(
        Test=list(check.test) or None,
        Interval=check.interval_ns,
        Timeout=check.timeout_ns,
        StartPeriod=check.start_period_ns,
        StartInterval=check.start_interval_ns,
        Retries=check.retries,
    )


def to_health_shape(health: Health) -> HealthShape:
    """What the probes said."""
    return HealthShape(
        Status=health.state.value,
        FailingStreak=health.failing_streak,
        Log=[
            HealthResult(
                Start=rfc3339_nano(each.started_at_ns),
                End=rfc3339_nano(each.ended_at_ns),
                ExitCode=each.exit_code,
                Output=each.output,
            )
            for each in health.log
        ],
    )
