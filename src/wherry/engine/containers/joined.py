"""`container:NAME` in the modes of a new container: remembered by id, since names may change."""

from wherry.engine.records import ContainerRecords
from wherry.kit.values import replace
from wherry.model.containers import Container
from wherry.model.errors import InvalidValue
from wherry.model.errors.containers import ContainerNotFound
from wherry.model.networks import NetworkMode, NetworkModeKind


def mode_by_id(mode: str, records: ContainerRecords) -> str:
    """A namespace's mode with the id in place of the name.

    Raises: InvalidValue; Docker's client would take a plain NotFound for a missing image.
    """
    kind, _separator, reference = mode.partition(":")
    if kind != "container":
        return mode
    joined = joined_container(reference, records)
    if joined is None:
        raise InvalidValue(f"No such container: {reference}")
    return f"container:{joined.id}"


def network_mode_by_id(mode: NetworkMode, records: ContainerRecords) -> NetworkMode:
    """The same of a network's mode, but whom it joins need not be there before the start."""
    if mode.kind is not NetworkModeKind.CONTAINER:
        return mode
    joined = joined_container(mode.reference, records)
    return replace(mode, reference=joined.id) if joined else mode


def joined_container(reference: str, records: ContainerRecords) -> Container | None:
    """The container that is meant; None when there is none."""
    try:
        return records.find(reference)
    except ContainerNotFound:
        return None
