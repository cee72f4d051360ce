"""How a container ended: from its task's exit record into its own, and back."""

from wherry.kit.values import replace
from wherry.model.containers import Container
from wherry.model.health import unprobed
from wherry.model.lifecycle import ContainerEvent, next_state
from wherry.model.networks import EndpointStatus
from wherry.model.tasks import ExitRecord


def with_exit(container: Container, record: ExitRecord) -> Container:
    """The record of a container after its task ended."""
    return replace(
        container,
        endpoints=tuple(_disconnected(each) for each in container.endpoints),
        status=replace(
            container.status,
            state=next_state(container.status.state, ContainerEvent.EXITED),
            pid=0,
            exit_code=record.exit_code,
            was_oom_killed=record.was_oom_killed,
            error=record.error,
            lost_output_bytes=record.lost_output_bytes,
            health=unprobed(container.status.health),
            finished_at_ns=record.exited_at_ns,
        ),
    )


def last_exit(container: Container) -> ExitRecord:
    """How the container ended the last time; zeroes when it never ran."""
    status = container.status
    return ExitRecord(
        exit_code=status.exit_code,
        exited_at_ns=status.finished_at_ns or 0,
        was_oom_killed=status.was_oom_killed,
        error=status.error,
    )


def _disconnected(endpoint: EndpointStatus) -> EndpointStatus:
    return EndpointStatus(
        endpoint_id=endpoint.endpoint_id,
        network_id=endpoint.network_id,
        network_name=endpoint.network_name,
    )
