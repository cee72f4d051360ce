"""The states of a container, and every step between them that is allowed."""

from enum import Enum


class ContainerState(Enum):
    """Where a container is. The values are Docker's words for them."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    """It has ended, and its restart policy will start it again after a delay."""
    EXITED = "exited"
    REMOVING = "removing"
    DEAD = "dead"
    """Removal was tried and did not get to its end."""


class ContainerEvent(Enum):
    """What can happen to a container."""

    STARTED = "started"
    START_FAILED = "start failed"
    PAUSED = "paused"
    UNPAUSED = "unpaused"
    EXITED = "exited"
    RESTART_PLANNED = "planned to restart"
    RESTART_CANCELLED = "left stopped"
    REMOVAL_BEGUN = "removal begun"
    REMOVAL_FAILED = "removal failed"


_S, _E = ContainerState, ContainerEvent

CONTAINER_TRANSITIONS: dict[tuple[ContainerState, ContainerEvent], ContainerState] = {
    (_S.CREATED, _E.STARTED): _S.RUNNING,
    (_S.CREATED, _E.START_FAILED): _S.CREATED,
    (_S.CREATED, _E.REMOVAL_BEGUN): _S.REMOVING,
    (_S.RUNNING, _E.PAUSED): _S.PAUSED,
    (_S.RUNNING, _E.EXITED): _S.EXITED,
    (_S.PAUSED, _E.UNPAUSED): _S.RUNNING,
    (_S.PAUSED, _E.EXITED): _S.EXITED,
    (_S.EXITED, _E.RESTART_PLANNED): _S.RESTARTING,
    (_S.RESTARTING, _E.STARTED): _S.RUNNING,
    (_S.RESTARTING, _E.START_FAILED): _S.EXITED,
    (_S.RESTARTING, _E.RESTART_CANCELLED): _S.EXITED,
    (_S.EXITED, _E.STARTED): _S.RUNNING,
    (_S.EXITED, _E.START_FAILED): _S.EXITED,
    (_S.EXITED, _E.REMOVAL_BEGUN): _S.REMOVING,
    (_S.REMOVING, _E.REMOVAL_FAILED): _S.DEAD,
    (_S.DEAD, _E.REMOVAL_BEGUN): _S.REMOVING,
}


class ImpossibleTransition(Exception):
    """An event that the state does not allow: a bug of ours, not of the user."""

    def __init__(self, state: ContainerState, event: ContainerEvent) -> None:
        super().__init__(f"a container that is {state.value} cannot be {event.value}")
        self.state = state
        self.event = event


def next_state(state: ContainerState, event: ContainerEvent) -> ContainerState:
    """The state after an event.

    Raises: ImpossibleTransition.
    """
    try:
        return CONTAINER_TRANSITIONS[state, event]
    except KeyError:
        raise ImpossibleTransition(state, event) from None
