"""Health checks: what is asked, what came of it, and Docker's rules from the one to the other."""

from enum import Enum

from wherry.kit.values import dataclass, replace

SECOND_NS = 1_000_000_000
DEFAULT_INTERVAL_NS = 30 * SECOND_NS
DEFAULT_TIMEOUT_NS = 30 * SECOND_NS
DEFAULT_START_INTERVAL_NS = 5 * SECOND_NS
DEFAULT_RETRIES = 3

KEPT_RESULTS = 5
KEPT_OUTPUT_BYTES = 4096
DEFAULT_SHELL = ("/bin/sh", "-c")
WHEN_UNHEALTHY = "wherry.when-unhealthy"
"""A label: with the value `kill` a container that becomes unhealthy is killed, and what comes next
is its restart policy's to say. Docker only shows it."""
NOT_RUN = -1
"""The exit code of a probe that timed out or could not be run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """How a container's health is probed. Zero or empty: what the image, then the engine says."""

    test: tuple[str, ...] = ()
    """`NONE`, or `CMD` and a command line, or `CMD-SHELL` and a line for the shell."""
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    """How long after the start a failure does not count."""
    start_interval_ns: int = 0
    """Between probes during the start period."""
    retries: int = 0

    def completed_by(self, image: "HealthCheck | None") -> "HealthCheck":
        """The user's words, and the image's where there are none."""
        if image is None:
            return self
        return HealthCheck(
            test=self.test or image.test,
            interval_ns=self.interval_ns or image.interval_ns,
            timeout_ns=self.timeout_ns or image.timeout_ns,
            start_period_ns=self.start_period_ns or image.start_period_ns,
            start_interval_ns=self.start_interval_ns or image.start_interval_ns,
            retries=self.retries or image.retries,
        )

    def command(self, shell: tuple[str, ...] = ()) -> tuple[str, ...]:
        """What a probe runs; empty when there is nothing to probe."""
        match self.test:
            case ("CMD", *words) if words:
                return tuple(words)
            case ("CMD-SHELL", *words) if words:
                return (*(shell or DEFAULT_SHELL), *words)
            case _:
                return ()


class HealthState(Enum):
    """What the probes said so far. The values are Docker's words."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """One probe."""

    started_at_ns: int
    ended_at_ns: int
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known of a container's health."""

    state: HealthState = HealthState.STARTING
    failing_streak: int = 0
    log: tuple[ProbeResult, ...] = ()
    """The latest results, oldest first."""


def after_probe(
    health: Health, result: ProbeResult, check: HealthCheck, *, container_started_at_ns: int
) -> Health:
    """What a probe changes."""
    log = (*health.log, result)[-KEPT_RESULTS:]
    if result.exit_code == 0:
        return Health(state=HealthState.HEALTHY, log=log)
    age_ns = result.started_at_ns - container_started_at_ns
    if health.state is HealthState.STARTING and age_ns < check.start_period_ns:
        return replace(health, log=log)
    streak = health.failing_streak + 1
    is_over = streak >= (check.retries if check.retries > 0 else DEFAULT_RETRIES)
    state = HealthState.UNHEALTHY if is_over else health.state
    return Health(state=state, failing_streak=streak, log=log)


def unprobed(health: Health | None) -> Health | None:
    """Docker calls a container unhealthy that nobody probes: one that ended or is paused."""
    return None if health is None else replace(health, state=HealthState.UNHEALTHY)


def pause_before_probe_ns(health: Health, check: HealthCheck, *, container_age_ns: int) -> int:
    """How long after the last probe, or after the start, the next one is due."""
    if health.state is HealthState.STARTING and container_age_ns < check.start_period_ns:
        return check.start_interval_ns or DEFAULT_START_INTERVAL_NS
    return check.interval_ns or DEFAULT_INTERVAL_NS


def first_health(check: HealthCheck | None, shell: tuple[str, ...]) -> Health | None:
    """The health of a container that has just started; None when nothing probes it."""
    return Health() if check is not None and check.command(shell) else None
