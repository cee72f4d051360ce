"""Restart policies from and to Docker's shape."""

from wherry.model.containers import RestartMode, RestartPolicy
from wherry.model.errors import InvalidValue
from wherry.wire.container_config import RestartShape

_WRONG = "invalid restart policy: "


def to_restart_policy(shape: RestartShape) -> RestartPolicy:
    """What is to happen after the end. Raises: InvalidValue."""
    count = shape.MaximumRetryCount
    try:
        # Clients older than the 25th wrote an empty name for none at all.
        mode = RestartMode(shape.Name or "no")
    except ValueError:
        raise InvalidValue(
            f"{_WRONG}unknown policy '{shape.Name}'; use one of 'no', 'always', "
            "'on-failure', or 'unless-stopped'"
        ) from None
    if mode is RestartMode.ON_FAILURE:
        if count < 0:
            raise InvalidValue(f"{_WRONG}maximum retry count cannot be negative")
        return RestartPolicy(mode=mode, most_retries=count)
    if count and shape.Name:
        also = " and cannot be negative" if count < 0 else ""
        raise InvalidValue(f"{_WRONG}maximum retry count can only be used with 'on-failure'{also}")
    return RestartPolicy(mode=mode)


def to_restart_shape(policy: RestartPolicy) -> RestartShape:
    """As inspection shows it."""
    return RestartShape(Name=policy.mode.value, MaximumRetryCount=policy.most_retries)
