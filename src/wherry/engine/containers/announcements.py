"""What is told of a container's life: events, with those of its networks and volumes beside."""

from wherry.engine.containers.live import Waiters
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.events import EventLog
from wherry.kit.timestamps import NANOSECONDS
from wherry.model.containers import Container
from wherry.model.errors.networks import NetworkNotFound
from wherry.model.tasks import ExitRecord
from wherry.networks import Networks


class Announcements:
    """Tells everybody who listens, and those who wait for an end."""

    def __init__(
        self, *, networks: Networks, volumes: ContainerVolumes, events: EventLog, waiters: Waiters
    ) -> None:
        self._networks = networks
        self._volumes = volumes
        self._events = events
        self._waiters = waiters

    def started(self, container: Container) -> None:
        """Its program runs."""
        self._volumes.announce("mount", container)
        self._connections("connect", container)
        self._events.container("start", container)

    def ended(self, before: Container, ended: Container, record: ExitRecord) -> None:
        """Its program has ended, and what it held was given back."""
        lived_ns = record.exited_at_ns - (before.status.started_at_ns or record.exited_at_ns)
        self._events.container(
            "die",
            ended,
            execDuration=str(max(0, lived_ns) // NANOSECONDS),
            exitCode=str(record.exit_code),
        )
        self._connections("disconnect", before)
        self._volumes.announce("unmount", before)
        self._waiters.exited(ended.id, record)

    def out_of_memory(self, container: Container | None) -> None:
        """It ran into its limit; None: it has been removed meanwhile."""
        if container is not None:
            self._events.container("oom", container)

    def _connections(self, action: str, container: Container) -> None:
        for endpoint in container.endpoints:
            try:
                driver = self._networks.get(endpoint.network_id).driver
            except NetworkNotFound:
                driver = ""  # the engine was restarted without that network
            self._events.endpoint(action, endpoint, driver, container.id)
