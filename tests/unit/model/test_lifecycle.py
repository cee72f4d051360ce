"""The life of a container: every pair of state and event is either a step or refused."""

import itertools

import pytest

from wherry.model.lifecycle import (
    CONTAINER_TRANSITIONS,
    ContainerEvent,
    ContainerState,
    ImpossibleTransition,
    next_state,
)

PAIRS = list(itertools.product(ContainerState, ContainerEvent))


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_pair(state: ContainerState, event: ContainerEvent) -> None:
    """A listed pair leads to its state, any other is an impossible transition."""
    if (state, event) in CONTAINER_TRANSITIONS:
        assert next_state(state, event) is CONTAINER_TRANSITIONS[state, event]
    else:
        with pytest.raises(ImpossibleTransition):
            next_state(state, event)


def test_only_living_containers_can_exit() -> None:
    """Nothing ends that did not run."""
    enders = {state for state, event in CONTAINER_TRANSITIONS if event is ContainerEvent.EXITED}
    assert enders == {ContainerState.RUNNING, ContainerState.PAUSED}


def test_every_state_can_be_left() -> None:
    """There is no state without a way out."""
    assert {state for state, _event in CONTAINER_TRANSITIONS} == set(ContainerState)
