"""A container's line in a list, and its state in inspection."""

import pytest

from wherry.api.translate.inspection import to_state
from wherry.api.translate.listing import command_line, status_text
from wherry.model.containers import ContainerStatus
from wherry.model.lifecycle import ContainerState

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (ContainerStatus(state=ContainerState.CREATED), "Created"),
        (
            ContainerStatus(state=ContainerState.RUNNING, started_at_ns=NOW - 5 * SECOND),
            "Up 5 seconds",
        ),
        (
            ContainerStatus(state=ContainerState.PAUSED, started_at_ns=NOW - 90 * SECOND),
            "Up About a minute (Paused)",
        ),
        (
            ContainerStatus(
                state=ContainerState.EXITED, exit_code=137, finished_at_ns=NOW - 7200 * SECOND
            ),
            "Exited (137) 2 hours ago",
        ),
        (
            ContainerStatus(state=ContainerState.RUNNING, started_at_ns=NOW + 5 * SECOND),
            "Up Less than a second",
        ),
        (ContainerStatus(state=ContainerState.REMOVING), "Removal In Progress"),
        (ContainerStatus(state=ContainerState.DEAD), "Dead"),
    ],
)
def test_status(status: ContainerStatus, text: str) -> None:
    """Every state has its words; a clock that jumped back shows no negative time."""
    assert status_text(status, now_ns=NOW) == text


@pytest.mark.parametrize("state", list(ContainerState))
def test_booleans_are_computed(state: ContainerState) -> None:
    """A paused container is running too, and one between two runs; nothing else is two things."""
    shown = to_state(ContainerStatus(state=state))
    running = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)
    assert shown.Running is (state in running)
    assert shown.Restarting is (state is ContainerState.RESTARTING)
    assert shown.Paused is (state is ContainerState.PAUSED)
    assert shown.Dead is (state is ContainerState.DEAD)
    assert shown.Status == state.value


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("sh", "-c", "echo a; exit"), "sh -c 'echo a; exit'"),
        (("true",), "true"),
        (("/bin/my prog", "x"), "/bin/my prog x"),
        ((), ""),
    ],
)
def test_command(arguments: tuple[str, ...], line: str) -> None:
    """Arguments with blanks are quoted."""
    assert command_line(arguments) == line
