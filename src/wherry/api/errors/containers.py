"""Containers, the programs in them, and their files."""

from wherry.api.errors.rules import Rule, Rules
from wherry.model.errors import containers as kinds


def _name_taken(error: kinds.ContainerNameTaken) -> str:
    name = error.name.removeprefix("/")
    return (
        f'Conflict. The container name "/{name}" is already in use by container '
        f'"{error.holder}". You have to remove (or rename) that container to be able to reuse '
        "that name."
    )


def running(name: str, state: str) -> str:
    """Why a container can't be removed."""
    cure = (
        "and must be unpaused first"
        if state == "paused"
        else ": stop the container before removing or force remove"
    )
    gap = " " if state == "paused" else ""
    return f'cannot remove container "{name}": container is {state}{gap}{cure}'


RULES: Rules = {
    kinds.ContainerNotFound: Rule(404, lambda e: f"No such container: {e.reference}"),
    kinds.AmbiguousReference: Rule(
        400, lambda e: f"Multiple IDs found with provided prefix: {e.reference}"
    ),
    kinds.ContainerNameTaken: Rule(409, _name_taken),
    kinds.InvalidContainerName: Rule(
        400,
        lambda e: f"Invalid container name ({e.name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    ),
    kinds.ContainerNotRunning: Rule(409, lambda e: f"container {e.container} is not running"),
    kinds.NothingToKill: Rule(
        409,
        lambda e: f"cannot kill container: {e.reference}: container {e.container} is not running",
    ),
    kinds.LinkedContainerNotRunning: Rule(
        500,
        lambda e: (
            f"Cannot link to a non running container: /{e.target} AS /{e.container}/{e.alias}"
        ),
    ),
    kinds.JoinedContainerNotRunning: Rule(
        409, lambda e: f"cannot join network of a non running container: {e.container}"
    ),
    kinds.ContainerRunning: Rule(409, lambda e: running(e.container, e.state)),
    kinds.IpcNotShareable: Rule(
        400,
        lambda e: (
            f"can't join IPC of container {e.container}: non-shareable IPC"
            " (hint: use IpcMode:shareable for the donor container)"
        ),
    ),
    kinds.UpdateRefused: Rule(
        409, lambda e: f"Cannot update container {e.container}: {e.problem}"
    ),
    kinds.ContainerPaused: Rule(
        409,
        lambda e: f"container {e.container} is paused, unpause the container first",
    ),
    kinds.ContainerRestarting: Rule(
        409,
        lambda e: f"Container {e.container} is restarting, wait until the container is running",
    ),
    kinds.ContainerNotPaused: Rule(409, lambda e: f"Container {e.container} is not paused"),
    kinds.RemovalInProgress: Rule(
        409, lambda e: f"removal of container {e.container} is already in progress"
    ),
    kinds.LogsNotReadable: Rule(
        501, lambda e: "configured logging driver does not support reading"
    ),
    kinds.PathNotFound: Rule(
        404, lambda e: f"Could not find the file {e.path} in container {e.container}"
    ),
}
