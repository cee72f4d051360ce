"""The `filters` of a container list: which containers pass (daemon/list.go of Docker)."""

from collections.abc import Callable, Iterable, Mapping

from wherry.engine.containers.links import names_by_links
from wherry.engine.filters import FilterReader, invalid_value
from wherry.engine.records import ContainerRecords
from wherry.images import ImageStore
from wherry.kit.numbers import parse_int, parse_range
from wherry.model.containers import (
    BindMount,
    Container,
    ImageMount,
    TmpfsMount,
    VolumeMount,
)
from wherry.model.errors import InvalidValue
from wherry.model.errors.images import ImageNotFound, InvalidReference
from wherry.model.images import Image
from wherry.model.lifecycle import ContainerState
from wherry.model.queries import Filters

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

_STATES = frozenset(state.value for state in ContainerState)
_HEALTH = frozenset({"none", "starting", "healthy", "unhealthy"})

Test = Callable[[Container], bool]


class ContainerMatcher:
    """Says of each container whether it passes all filters of one list."""

    def __init__(self, filters: Filters, records: ContainerRecords, images: ImageStore) -> None:
        """Raises: InvalidValue for a key or value, ContainerNotFound for `before` and `since`."""
        given = FilterReader(filters, FILTER_KEYS)
        self.wants_stopped = "status" in given
        """Whether the filters ask for containers that don't run, as `--all` does."""
        self._tests = tuple(
            make(given, records, images) for key, make in _MAKERS.items() if key in given
        )
        if given.keys & {"expose", "publish"}:
            self._tests += (_port_test(given),)

    def __call__(self, container: Container) -> bool:
        return all(test(container) for test in self._tests)


Maker = Callable[[FilterReader, ContainerRecords, ImageStore], Test]

# -- what a container is ---------------------------------------------------------------------


def _id_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    prefixes = tuple(given.values("id"))
    return lambda container: container.id.startswith(prefixes)


def _name_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    patterns, plain = given.patterns("name"), frozenset(given.values("name"))
    further = names_by_links(records)
    return lambda container: any(
        name in plain
        or any(pattern.search(name) or pattern.search(f"/{name}") for pattern in patterns)
        for name in (container.name, *further.get(container.id, ()))
    )


def _label_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    return lambda container: given.labels_match(container.spec.labels)


def _status_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    for state in given.values("status"):
        if state not in _STATES:
            raise invalid_value("status", state)
    return lambda container: container.status.state.value in given.values("status")


def _health_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    for health in given.values("health"):
        if health not in _HEALTH:
            raise InvalidValue(f"unrecognised filter value for health: {health}")
    return lambda container: _health_word(container) in given.values("health")


def _health_word(container: Container) -> str:
    health = container.status.health
    return "none" if health is None else health.state.value


def _exited_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    codes = {_exit_code(each) for each in given.values("exited")}
    return lambda container: (
        container.status.state is ContainerState.EXITED and container.status.exit_code in codes
    )


def _exit_code(text: str) -> int:
    try:
        return parse_int(text)
    except ValueError:
        raise invalid_value("exited", text) from None


def _task_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    wants_tasks = given.claim("is-task")
    return lambda container: not wants_tasks


def _isolation_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    """There is one kind of isolation on Linux, and Docker lets every value pass there."""
    return lambda container: True


# -- what it was made of and when ------------------------------------------------------------


def _ancestor_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    """Containers of an image, or of one that was made on top of it."""
    wanted = {image for each in given.values("ancestor") for image in _family(images, each)}
    return lambda container: container.image_id in wanted


def _family(images: ImageStore, reference: str) -> Iterable[str]:
    try:
        ancestor = images.resolve(reference)
    except (ImageNotFound, InvalidReference):
        return ()
    return {ancestor.id, *(each.id for each in images.list() if _stems_from(each, ancestor))}


def _stems_from(image: Image, ancestor: Image) -> bool:
    depth = len(ancestor.layers)
    return (
        0 < depth < len(image.layers)
        and image.layers[depth - 1].chain_id == ancestor.layers[-1].chain_id
    )


def _before_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    moments = [records.find(each).created_at_ns for each in given.values("before")]
    return lambda container: any(container.created_at_ns < moment for moment in moments)


def _since_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    moments = [records.find(each).created_at_ns for each in given.values("since")]
    return lambda container: any(container.created_at_ns > moment for moment in moments)


# -- what it is connected to -----------------------------------------------------------------


def _network_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    wanted = given.values("network")
    return lambda container: any(
        value == each.network_name or each.network_id.startswith(value)
        for each in container.endpoints
        for value in wanted
    )


def _volume_test(given: FilterReader, records: ContainerRecords, images: ImageStore) -> Test:
    wanted = frozenset(given.values("volume"))
    return lambda container: not wanted.isdisjoint(_mount_points(container))


def _mount_points(container: Container) -> set[str]:
    points: set[str] = set()
    for mount in container.spec.mounts:
        match mount:
            case BindMount():
                points |= {mount.source, mount.target}
            case VolumeMount():
                points |= {mount.name, mount.target}
            case TmpfsMount() | ImageMount():
                points.add(mount.target)
    return points


def _port_test(given: FilterReader) -> Test:
    """`publish` goes by the host's side, `expose` by the container's; either of them will do."""
    published = {port for each in given.values("publish") for port in _ports("publish", each)}
    exposed = {port for each in given.values("expose") for port in _ports("expose", each)}

    def passes(container: Container) -> bool:
        if not container.is_alive:
            return False
        places = [each for endpoint in container.endpoints for each in endpoint.published]
        inside = {*container.spec.network.exposed, *(each.port for each in places)}
        return any((each.host_port, each.port.protocol) in published for each in places) or any(
            (port.number, port.protocol) in exposed for port in inside
        )

    return passes


def _ports(key: str, text: str) -> Iterable[tuple[int, str]]:
    """`80`, `80/udp`, `8000-8010/tcp`. Raises: InvalidValue."""
    if ":" in text:
        raise InvalidValue(f"filter for '{key}' should not contain ':': {text}")
    numbers, _slash, protocol = text.partition("/")
    try:
        first, last = parse_range(numbers, bits=16)
    except ValueError:
        raise InvalidValue(
            f"error while looking up for {key} {text}: invalid port specification"
        ) from None
    return ((number, protocol or "tcp") for number in range(first, last + 1))


_MAKERS: Mapping[str, Maker] = {
    "id": _id_test,
    "name": _name_test,
    "label": _label_test,
    "status": _status_test,
    "health": _health_test,
    "exited": _exited_test,
    "is-task": _task_test,
    "isolation": _isolation_test,
    "ancestor": _ancestor_test,
    "before": _before_test,
    "since": _since_test,
    "network": _network_test,
    "volume": _volume_test,
}
