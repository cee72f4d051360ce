"""Waiting until a service's containers are as those who depend on it need them.

Nothing is asked in intervals: the engine's events say when it is worth to look again. They are
subscribed to before the first look, so that nothing happens unseen between the two.
"""

from collections.abc import Callable

from wherry.client.documents import Document, child, flag, number, text
from wherry.client.engine_client import Client
from wherry.compose.errors import ComposeError
from wherry.compose.steps import COMPLETED, RUNNING_OR_HEALTHY, AwaitService

_WORTH_A_LOOK = ("start", "die", "destroy", "health_status", "pause", "unpause")


class NotAsNeeded(ComposeError):
    """A container can't become what was waited for."""


def wait_for(client: Client, action: AwaitService, warn: Callable[[str], None]) -> None:
    """Wait for one service. Raises: ComposeError when it can't become what is needed."""
    judge = _is_complete if action.condition == COMPLETED else _is_healthy
    accepts_running = action.condition == RUNNING_OR_HEALTHY
    try:
        for name in action.names:
            _wait_until(client, name, lambda found: judge(found, action.service, accepts_running))
    except NotAsNeeded as problem:
        if not action.is_required:
            warn(f"optional dependency {action.service} is not as needed: {problem}")
            return
        if action.condition in (COMPLETED, RUNNING_OR_HEALTHY):
            raise
        raise ComposeError(f"dependency failed to start: {problem}") from None


def _wait_until(client: Client, container: str, is_met: Callable[[Document], bool]) -> None:
    filters = {"container": [container], "event": _WORTH_A_LOOK}
    events = client.system.events(filters=filters)
    if is_met(client.containers.inspect(container)):
        return
    for _event in events:
        if is_met(client.containers.inspect(container)):
            return


def _name(container: Document) -> str:
    return text(container, "Name").removeprefix("/")


def _is_complete(container: Document, service: str, _accepts_running: bool) -> bool:
    state = child(container, "State")
    if text(state, "Status") != "exited":
        return False
    if code := number(state, "ExitCode"):
        raise NotAsNeeded(f'service "{service}" didn\'t complete successfully: exit {code}')
    return True


def _is_healthy(container: Document, _service: str, accepts_running: bool) -> bool:
    state, name = child(container, "State"), _name(container)
    if text(state, "Status") == "exited":
        raise NotAsNeeded(f"container {name} exited ({number(state, 'ExitCode')})")
    has_check = bool(child(child(container, "Config"), "Healthcheck"))
    if not has_check and accepts_running:
        return flag(state, "Running")
    health = child(state, "Health")
    if not health:
        raise NotAsNeeded(f"container {name} has no healthcheck configured")
    status = text(health, "Status")
    if status == "unhealthy":
        raise NotAsNeeded(f"container {name} is unhealthy")
    return status == "healthy"
