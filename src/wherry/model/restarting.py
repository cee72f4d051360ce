"""Whether and when a container that has ended starts again: Docker's rules, as one function.

The delay doubles with each restart, from 100 ms to a minute, and begins anew after a run of ten
seconds. `on-failure` counts the restarts since a user started the container.
"""

from wherry.model.containers import Container, RestartMode

FIRST_DELAY_NS = 100_000_000
LONGEST_DELAY_NS = 60_000_000_000
STABLE_AFTER_NS = 10_000_000_000
"""A container that ran this long has recovered from whatever ended it before."""


def restart_delay_ns(ended: Container) -> int | None:
    """How long after its end a container is to start again; None: not at all."""
    return next_delay_ns(ended) if _wants_restart(ended) else None


def wants_start_at_boot(container: Container) -> bool:
    """Whether an engine that starts also starts this container, which has ended long ago.

    `always` means it, even for one that a user stopped; `on-failure` is about ends, and none
    happened now.
    """
    match container.spec.restart.mode:
        case RestartMode.ALWAYS:
            return True
        case RestartMode.UNLESS_STOPPED:
            return not container.explicit_stop
        case RestartMode.ON_FAILURE | RestartMode.NO:
            return False


def next_delay_ns(ended: Container) -> int:
    """The delay after the one before."""
    status = ended.status
    lasted_ns = (status.finished_at_ns or 0) - (status.started_at_ns or 0)
    if lasted_ns >= STABLE_AFTER_NS or not status.restart_delay_ns:
        return FIRST_DELAY_NS
    return min(2 * status.restart_delay_ns, LONGEST_DELAY_NS)


def _wants_restart(ended: Container) -> bool:
    policy = ended.spec.restart
    if ended.explicit_stop:
        return False
    match policy.mode:
        case RestartMode.NO:
            return False
        case RestartMode.ALWAYS | RestartMode.UNLESS_STOPPED:
            return True
        case RestartMode.ON_FAILURE:
            has_more = not policy.most_retries or ended.status.restart_count < policy.most_retries
            return has_more and ended.status.exit_code != 0
