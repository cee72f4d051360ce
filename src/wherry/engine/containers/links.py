"""Links on the default bridge: a container finds another by an alias.

`--link db:store` gives the new container (the child of Docker's words) a line of its hosts file
and a handful of variables: the address of `db`, its ports, and its own variables. They are made
at each start, from what `db` is then; when `db` starts again, the line follows its address.
"""

import re
from collections.abc import Iterable, Iterator

from wherry.engine.records import ContainerRecords
from wherry.kit.random_ids import short_id
from wherry.kit.values import replace
from wherry.model.containers import Container, ContainerSpec, Link
from wherry.model.errors import InvalidValue
from wherry.model.errors.containers import ContainerNotFound, LinkedContainerNotRunning
from wherry.model.ids import ContainerId
from wherry.model.networks import NetworkModeKind, Port

_OWN_VARIABLES = frozenset({"HOME", "PATH"})
"""What every container has of its own, and no other needs to know."""


def with_targets(spec: ContainerSpec, records: ContainerRecords) -> ContainerSpec:
    """The wish, with the ids of the containers that its links name.

    Raises: InvalidValue for one that is not there, or that has no network of its own.
    """
    found = []
    for link in spec.network.links:
        try:
            target = records.find(link.target)
        except ContainerNotFound:
            raise InvalidValue(
                f"could not get container for {link.target}: No such container: {link.target}"
            ) from None
        if target.spec.network.mode.kind is NetworkModeKind.HOST:
            raise InvalidValue(
                "conflicting options: host type networking can't be used with links. This would"
                " result in undefined behavior"
            )
        found.append(Link(target=target.id, alias=link.alias))
    return replace(spec, network=replace(spec.network, links=tuple(found)))


def linked(container: Container, records: ContainerRecords) -> Container:
    """The container as it starts: with its links' variables before its own, and their hosts.

    Raises: LinkedContainerNotRunning.
    """
    variables: list[str] = []
    hosts: list[str] = []
    for link in container.spec.network.links:
        target = records.get(ContainerId(link.target))
        if target is None:
            continue  # Removed since; Docker forgets the link then, too.
        if not target.is_alive or not _address(target):
            raise LinkedContainerNotRunning(
                target=target.name, container=container.name, alias=link.alias
            )
        variables += _variables(container, target, link.alias)
        hosts.append(f"{host_names(target, link.alias)}:{_address(target)}")
    spec = container.spec
    network = replace(spec.network, extra_hosts=(*spec.network.extra_hosts, *hosts))
    return replace(
        container,
        spec=replace(spec, environment=(*variables, *spec.environment), network=network),
    )


def with_link_variables(container: Container, records: ContainerRecords) -> Container:
    """A running container, with the variables of those of its links that run too."""
    variables: list[str] = []
    for link in container.spec.network.links:
        target = records.get(ContainerId(link.target))
        if target is not None and _address(target):
            variables += _variables(container, target, link.alias)
    spec = replace(container.spec, environment=(*variables, *container.spec.environment))
    return replace(container, spec=spec) if variables else container


def host_names(target: Container, alias: str) -> str:
    """What a line of the hosts file calls a linked container."""
    names = dict.fromkeys((alias, short_id(target.id), target.name))
    return " ".join(names)


def followers(
    target: Container, containers: Iterable[Container]
) -> Iterator[tuple[Container, str, str]]:
    """The running containers that are linked to one, the names they know, and its address."""
    for container in containers:
        for link in container.spec.network.links:
            if link.target == target.id and container.is_alive:
                yield container, host_names(target, link.alias), _address(target)


def shown(container: Container, records: ContainerRecords) -> tuple[str, ...]:
    """The links as inspection shows them: `/db:/web/store`."""
    targets = ((records.get(ContainerId(each.target)), each.alias)
               for each in container.spec.network.links)  # fmt: skip
    return tuple(
        f"/{target.name}:/{container.name}/{alias}" for target, alias in targets if target
    )


def names_by_links(records: ContainerRecords) -> dict[ContainerId, list[str]]:
    """The further names that links give to containers: `web/store`."""
    found: dict[ContainerId, list[str]] = {}
    for container in records.all():
        for link in container.spec.network.links:
            found.setdefault(ContainerId(link.target), []).append(f"{container.name}/{link.alias}")
    return found


def split_reference(reference: str, records: ContainerRecords) -> tuple[Container, Link]:
    """The container and the link that `web/store` names.

    Raises: InvalidValue for a container's own name; ContainerNotFound.
    """
    name, slash, alias = reference.removeprefix("/").partition("/")
    if not slash:
        records.find(name)
        raise InvalidValue("Conflict, cannot remove the default link name of the container")
    container = records.find(name)
    for link in container.spec.network.links:
        if link.alias == alias:
            return container, link
    raise ContainerNotFound(reference)


def _address(container: Container) -> str:
    return next((each.address for each in container.endpoints if each.address), "")


def _variables(container: Container, target: Container, alias: str) -> Iterator[str]:
    """Docker's variables: the first port, every port, and the target's own environment."""
    prefix = re.sub(r"[^A-Za-z0-9_]", "_", alias).upper()
    address = _address(target)
    ports = sorted(target.spec.network.exposed, key=lambda port: (port.protocol, port.number))
    yield f"{prefix}_NAME=/{container.name}/{alias}"
    if ports:
        yield f"{prefix}_PORT={_url(ports[0], address)}"
    for port in ports:
        name = f"{prefix}_PORT_{port.number}_{port.protocol.upper()}"
        yield f"{name}={_url(port, address)}"
        yield f"{name}_ADDR={address}"
        yield f"{name}_PORT={port.number}"
        yield f"{name}_PROTO={port.protocol}"
    for entry in target.spec.environment:
        name, equals, value = entry.partition("=")
        if equals and name not in _OWN_VARIABLES:
            yield f"{prefix}_ENV_{name}={value}"


def _url(port: Port, address: str) -> str:
    return f"{port.protocol}://{address}:{port.number}"
