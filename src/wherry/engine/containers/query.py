"""Looking at containers: get, list with filters, inspect."""

import os
from collections.abc import Mapping, Sequence

from wherry.engine.containers import links
from wherry.engine.containers.exec import ExecSessions
from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.log_feeding import delivery_of
from wherry.engine.containers.matching import ContainerMatcher
from wherry.engine.containers.volumes import ContainerVolumes
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.kit.aio import OffloadPool
from wherry.model.containers import Container
from wherry.model.errors.images import ImageNotFound
from wherry.model.ids import ContainerId, SnapshotKey
from wherry.model.images import Image
from wherry.model.queries import ContainerDetails, ContainerQuery
from wherry.snapshots import Snapshots


class ContainerQueries:
    """Answers about containers; changes nothing."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        live: LiveContainers,
        execs: ExecSessions,
        images: ImageStore,
        snapshots: Snapshots,
        volumes: ContainerVolumes,
        paths: ContainerPaths,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._live = live
        self._execs = execs
        self._images = images
        self._snapshots = snapshots
        self._volumes = volumes
        self._paths = paths
        self._offload = offload

    async def get(self, reference: str) -> Container:
        """The record of a container. Raises: ContainerNotFound, AmbiguousReference."""
        return self._records.find(reference)

    async def list(self, query: ContainerQuery) -> Sequence[Container]:
        """Containers that match, newest first.

        Raises: InvalidValue for a filter's value, ContainerNotFound for `before` and `since`.
        """
        matches = ContainerMatcher(query.filters, self._records, self._images)
        wants_stopped = query.wants_all or query.limit > 0 or matches.wants_stopped
        found = [
            each
            for each in reversed(list(self._records.all()))
            if (wants_stopped or each.counts_as_running) and matches(each)
        ]
        return found[: query.limit] if query.limit > 0 else found

    async def names_by_links(self) -> Mapping[ContainerId, Sequence[str]]:
        """The further names that links give to containers."""
        return links.names_by_links(self._records)

    async def inspect(self, reference: str, *, wants_size: bool = False) -> ContainerDetails:
        """Everything that is known. Raises: ContainerNotFound, AmbiguousReference."""
        container = self._records.find(reference)
        key = SnapshotKey(container.id)
        directory = self._paths.record_directory(container.id)
        sandbox = self._live.sandbox(container.id)
        image = self._image_of(container)
        writable = await self._offload(self._snapshots.usage, key) if wants_size else None
        return ContainerDetails(
            container=self._volumes.placed(container),
            image=image,
            log_path=(
                self._paths.log(container.id) if container.spec.log.driver == "json-file" else ""
            ),
            sandbox_path=sandbox.namespace_path if sandbox else "",
            hosts_path=sandbox.hosts_path if sandbox else _existing(f"{directory}/hosts"),
            resolv_conf_path=(
                sandbox.resolv_conf_path if sandbox else _existing(f"{directory}/resolv.conf")
            ),
            hostname_path=sandbox.hostname_path if sandbox else _existing(f"{directory}/hostname"),
            graph_driver=self._snapshots.name,
            graph_data=self._snapshots.graph_data(key),
            exec_ids=self._execs.ids_of(container.id),
            size_rw_bytes=writable,
            size_rootfs_bytes=(
                None if writable is None else writable + (image.size_bytes if image else 0)
            ),
            links=links.shown(container, self._records),
            log_delivery=delivery_of(container, self._paths),
        )

    def _image_of(self, container: Container) -> Image | None:
        try:
            return self._images.resolve(container.image_id)
        except ImageNotFound:
            return None


def _existing(path: str) -> str:
    return path if os.path.exists(path) else ""
