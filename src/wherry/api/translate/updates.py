"""From an update request to what is to change."""

from wherry.api.translate.limits import to_limits
from wherry.api.translate.ports import to_bindings, to_removal
from wherry.api.translate.restarts import to_restart_policy
from wherry.model.updates import ContainerChanges
from wherry.wire.container_config import UpdateRequest


def to_changes(request: UpdateRequest) -> ContainerChanges:
    """What the user wants changed. Raises: InvalidValue."""
    policy = request.RestartPolicy
    return ContainerChanges(
        limits=to_limits(request),
        changes_pids=request.PidsLimit is not None,
        restart=to_restart_policy(policy) if policy.Name else None,
        published=to_bindings(request.PublishAdd),
        unpublished=tuple(map(to_removal, request.PublishRm)),
        keeps_flows=request.KeepFlows,
    )
