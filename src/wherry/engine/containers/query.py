"""Looking at containers: get, list with filters, inspect, top."""

import asyncio
import os
from collections.abc import Iterable, Sequence

from wherry.engine.containers.exec import ExecSessions
from wherry.engine.containers.live import LiveContainers
from wherry.engine.containers.process_table import processes_of
from wherry.engine.paths import ContainerPaths
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.kit.aio import OffloadPool
from wherry.kit.numbers import parse_int
from wherry.model.containers import BindMount, Container, TmpfsMount
from wherry.model.errors import ContainerNotRunning, ImageNotFound, InvalidValue
from wherry.model.ids import SnapshotKey
from wherry.model.images import Image
from wherry.model.lifecycle import ContainerState
from wherry.model.networks import NetworkModeKind
from wherry.model.queries import ContainerDetails, ContainerQuery, Filters, ProcessTable
from wherry.snapshots import Snapshots

FILTER_KEYS = frozenset(
    {
        "ancestor",
        "before",
        "exited",
        "expose",
        "health",
        "id",
        "is-task",
        "isolation",
        "label",
        "name",
        "network",
        "publish",
        "since",
        "status",
        "volume",
    }
)


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
        paths: ContainerPaths,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._live = live
        self._execs = execs
        self._images = images
        self._snapshots = snapshots
        self._paths = paths
        self._offload = offload

    async def get(self, reference: str) -> Container:
        """The record of a container. Raises: ContainerNotFound, AmbiguousReference."""
        return self._records.find(reference)

    async def list(self, query: ContainerQuery) -> Sequence[Container]:
        """Containers that match, newest first.

        Raises: InvalidValue for a filter's value, ContainerNotFound for `before` and `since`.
        """
        match = _ContainerFilter(query.filters, self._records, self._images)
        wants_stopped = query.wants_all or query.limit > 0 or match.asks_for_stopped
        found = [
            each
            for each in reversed(list(self._records.all()))
            if (wants_stopped or each.counts_as_running) and match(each)
        ]
        return found[: query.limit] if query.limit > 0 else found

    async def inspect(self, reference: str, *, wants_size: bool = False) -> ContainerDetails:
        """Everything that is known. Raises: ContainerNotFound, AmbiguousReference."""
        container = self._records.find(reference)
        key = SnapshotKey(container.id)
        directory = self._paths.record_directory(container.id)
        sandbox = self._live.sandbox(container.id)
        image = self._image_of(container)
        writable = await self._offload(self._snapshots.usage, key) if wants_size else None
        return ContainerDetails(
            container=container,
            image=image,
            log_path=self._paths.log(container.id)
            if container.spec.log.driver == "json-file"
            else "",
            sandbox_path=sandbox.namespace_path if sandbox else "",
            hosts_path=sandbox.hosts_path if sandbox else _existing(f"{directory}/hosts"),
            resolv_conf_path=sandbox.resolv_conf_path
            if sandbox
            else _existing(f"{directory}/resolv.conf"),
            hostname_path=sandbox.hostname_path if sandbox else _existing(f"{directory}/hostname"),
            graph_driver=self._snapshots.name,
            graph_data=self._snapshots.graph_data(key),
            exec_ids=self._execs.ids_of(container.id),
            size_rw_bytes=writable,
            size_rootfs_bytes=None
            if writable is None
            else writable + (image.size_bytes if image else 0),
            joined_network_container=self._records.find(container.spec.network.mode.reference).id
            if container.spec.network.mode.kind is NetworkModeKind.CONTAINER
            else None,
        )

    async def top(self, reference: str, ps_arguments: str) -> ProcessTable:
        """The container's processes as the host's `ps` shows them.

        Raises: ContainerNotFound, ContainerNotRunning, InvalidValue for ps's own complaints.
        """
        container = self._records.find(reference)
        if not container.is_alive:
            raise ContainerNotRunning(container.id)
        inside = await self._offload(processes_of, container.status.pid)
        process = await asyncio.create_subprocess_exec(
            "ps",
            *(ps_arguments or "-ef").split(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complaint = await process.communicate()
        if process.returncode:
            problem = complaint.decode(errors="replace").strip()
            raise InvalidValue(f"ps: {problem.splitlines()[0] if problem else 'failed'}")
        return _parse_ps(output.decode(errors="replace"), inside)

    def _image_of(self, container: Container) -> Image | None:
        try:
            return self._images.resolve(container.image_id)
        except ImageNotFound:
            return None


def _existing(path: str) -> str:
    return path if os.path.exists(path) else ""


def _parse_ps(output: str, wanted: frozenset[int]) -> ProcessTable:
    """The rows of ps's table whose PID is wanted.

    Raises: InvalidValue when the format has no PID column.
    """
    lines = output.splitlines()
    titles = tuple(lines[0].split()) if lines else ()
    if "PID" not in titles:
        raise InvalidValue("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = []
    for line in lines[1:]:
        cells = line.split(None, len(titles) - 1)
        if len(cells) > column and cells[column].isdigit() and int(cells[column]) in wanted:
            rows.append(tuple(cells))
    return ProcessTable(titles=titles, rows=tuple(rows))


class _ContainerFilter:
    """The `filters` of a container list: all keys must match, any value of a key will do."""

    def __init__(self, filters: Filters, records: ContainerRecords, images: ImageStore) -> None:
        self._filters = {key: values for key, values in filters.items() if values}
        unknown = self._filters.keys() - FILTER_KEYS
        if unknown:
            raise InvalidValue(f"invalid filter '{min(unknown)}'")
        self._exit_codes = {_exit_code(each) for each in self._values("exited")}
        for state in self._values("status"):
            if state not in _STATES:
                raise InvalidValue(f"invalid filter 'status={state}'")
        self._before = [records.find(each).created_at_ns for each in self._values("before")]
        self._since = [records.find(each).created_at_ns for each in self._values("since")]
        self._ancestors = {
            image for each in self._values("ancestor") for image in _ids(images, each)
        }

    @property
    def asks_for_stopped(self) -> bool:
        """Whether a key makes no sense without containers that don't run."""
        return bool(self._filters.keys() & {"status", "exited", "before", "since"})

    def __call__(self, container: Container) -> bool:
        return all(self._passes(key, container) for key in self._filters)

    def _values(self, key: str) -> tuple[str, ...]:
        return self._filters.get(key, ())

    def _passes(self, key: str, container: Container) -> bool:
        values = self._filters[key]
        match key:
            case "id":
                return any(container.id.startswith(value) for value in values)
            case "name":
                return any(_name_matches(container.name, value) for value in values)
            case "status":
                return container.status.state.value in values
            case "exited":
                return (
                    container.status.state is ContainerState.EXITED
                    and container.status.exit_code in self._exit_codes
                )
            case "label":
                return all(_has_label(container, value) for value in values)
            case "ancestor":
                return container.image_id in self._ancestors
            case "before":
                return any(container.created_at_ns < moment for moment in self._before)
            case "since":
                return any(container.created_at_ns > moment for moment in self._since)
            case "network":
                return any(_is_on(container, value) for value in values)
            case "expose":
                ports = {str(port) for port in container.spec.network.exposed}
                return any(_port(value) in ports for value in values)
            case "publish":
                published = {str(each.port) for each in container.spec.network.bindings}
                return any(_port(value) in published for value in values)
            case "volume":
                targets = _mount_points(container)
                return any(value in targets for value in values)
            case "health":
                return "none" in values
            case "is-task":
                return "false" in values
            case _:
                return "default" in values


_STATES = frozenset(state.value for state in ContainerState)


def _exit_code(text: str) -> int:
    try:
        return parse_int(text)
    except ValueError:
        raise InvalidValue(f"invalid filter 'exited={text}'") from None


def _ids(images: ImageStore, reference: str) -> Iterable[str]:
    try:
        return (images.resolve(reference).id,)
    except ImageNotFound:
        return ()


def _name_matches(name: str, wanted: str) -> bool:
    """Docker matches by substring or regular expression on `/name`; plain text stays plain."""
    plain = wanted.removeprefix("^").removesuffix("$").removeprefix("/")
    if wanted.startswith("^") and wanted.endswith("$"):
        return name == plain
    if wanted.startswith("^"):
        return name.startswith(plain)
    if wanted.endswith("$"):
        return name.endswith(plain)
    return plain in name


def _has_label(container: Container, wanted: str) -> bool:
    key, separator, value = wanted.partition("=")
    labels = container.spec.labels
    return key in labels and (not separator or labels[key] == value)


def _is_on(container: Container, network: str) -> bool:
    return any(
        network == each.network_name or each.network_id.startswith(network)
        for each in container.endpoints
    )


def _port(text: str) -> str:
    return text if "/" in text else f"{text}/tcp"


def _mount_points(container: Container) -> set[str]:
    points: set[str] = set()
    for mount in container.spec.mounts:
        match mount:
            case BindMount():
                points |= {mount.source, mount.target}
            case TmpfsMount():
                points.add(mount.target)
    return points
