"""Docker's rules of restarting, as a table."""

from dataclasses import replace

import pytest

from wherry.model.containers import (
    Container,
    ContainerSpec,
    ContainerStatus,
    RestartMode,
    RestartPolicy,
)
from wherry.model.ids import ContainerId, ImageId
from wherry.model.lifecycle import ContainerState
from wherry.model.restarting import restart_delay_ns, wants_start_at_boot

SECOND = 1_000_000_000


def ended(
    mode: RestartMode, *, exit_code: int = 1, most: int = 0, count: int = 0, stopped: bool = False
) -> Container:
    """A container that ran for a tenth of a second."""
    return Container(
        id=ContainerId("c"),
        name="c",
        created_at_ns=0,
        image_id=ImageId("i"),
        spec=ContainerSpec(image="i", restart=RestartPolicy(mode=mode, most_retries=most)),
        status=ContainerStatus(
            state=ContainerState.EXITED,
            exit_code=exit_code,
            started_at_ns=SECOND,
            finished_at_ns=SECOND + SECOND // 10,
            restart_count=count,
        ),
        explicit_stop=stopped,
    )


def test_the_delays_double_up_to_a_minute() -> None:
    """0.1 0.2 0.4 ... 51.2 60 60 seconds."""
    container, delays = ended(RestartMode.ALWAYS), []
    for _ in range(12):
        delay_ns = restart_delay_ns(container)
        assert delay_ns is not None
        delays.append(delay_ns / SECOND)
        status = replace(container.status, restart_delay_ns=delay_ns)
        container = replace(container, status=status)
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60]


def test_ten_good_seconds_forget_the_past() -> None:
    """After a run of ten seconds the delay is 100 ms again; after a shorter one it is not."""
    container = ended(RestartMode.ALWAYS)
    for lasted_s, delay_s in ((10, 0.1), (9.9, 60)):
        finished_at_ns = SECOND + int(lasted_s * SECOND)
        status = replace(
            container.status, restart_delay_ns=60 * SECOND, finished_at_ns=finished_at_ns
        )
        assert restart_delay_ns(replace(container, status=status)) == delay_s * SECOND


@pytest.mark.parametrize(
    ("container", "restarts"),
    [
        (ended(RestartMode.NO), False),
        (ended(RestartMode.ALWAYS, exit_code=0), True),
        (ended(RestartMode.ALWAYS, stopped=True), False),
        (ended(RestartMode.UNLESS_STOPPED, exit_code=0), True),
        (ended(RestartMode.UNLESS_STOPPED, stopped=True), False),
        (ended(RestartMode.ON_FAILURE, exit_code=0), False),
        (ended(RestartMode.ON_FAILURE, count=1000), True),
        (ended(RestartMode.ON_FAILURE, most=3, count=2), True),
        (ended(RestartMode.ON_FAILURE, most=3, count=3), False),
        (ended(RestartMode.ON_FAILURE, stopped=True), False),
    ],
)
def test_who_restarts(container: Container, restarts: bool) -> None:
    """Each policy with the ends that it speaks of."""
    assert (restart_delay_ns(container) is not None) is restarts


@pytest.mark.parametrize(
    ("container", "starts"),
    [
        (ended(RestartMode.NO), False),
        (ended(RestartMode.ALWAYS, stopped=True), True),
        (ended(RestartMode.UNLESS_STOPPED, stopped=True), False),
        (ended(RestartMode.UNLESS_STOPPED), True),
        (ended(RestartMode.ON_FAILURE), False),
    ],
)
def test_who_starts_with_the_engine(container: Container, starts: bool) -> None:
    """`always` is stronger than a stop once the engine starts anew; `on-failure` is not asked."""
    assert wants_start_at_boot(container) is starts
