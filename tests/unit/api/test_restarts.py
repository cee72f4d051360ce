"""Restart policies at the edge: Docker's refusals, word by word."""

import pytest

from wherry.api.translate.restarts import to_restart_policy, to_restart_shape
from wherry.model.containers import RestartMode, RestartPolicy
from wherry.model.errors import InvalidValue
from wherry.wire.container_config import RestartShape

ONLY = "invalid restart policy: maximum retry count can only be used with 'on-failure'"


@pytest.mark.parametrize(
    ("name", "count", "sentence"),
    [
        ("always", 3, ONLY),
        ("unless-stopped", 1, ONLY),
        ("no", 1, ONLY),
        ("no", -1, f"{ONLY} and cannot be negative"),
        ("on-failure", -1, "invalid restart policy: maximum retry count cannot be negative"),
        (
            "sometimes",
            0,
            "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', "
            "'on-failure', or 'unless-stopped'",
        ),
    ],
)
def test_refusals(name: str, count: int, sentence: str) -> None:
    """A count where it means nothing, a negative one, a policy that is none."""
    with pytest.raises(InvalidValue) as refused:
        to_restart_policy(RestartShape(Name=name, MaximumRetryCount=count))
    assert refused.value.sentence == sentence


@pytest.mark.parametrize("mode", list(RestartMode))
def test_round_trip(mode: RestartMode) -> None:
    """What inspection shows is what creation takes."""
    policy = RestartPolicy(mode=mode, most_retries=3 * (mode is RestartMode.ON_FAILURE))
    assert to_restart_policy(to_restart_shape(policy)) == policy


def test_the_empty_name_of_old_clients() -> None:
    """No name is no policy, whatever the count."""
    assert to_restart_policy(RestartShape(Name="", MaximumRetryCount=5)) == RestartPolicy()
