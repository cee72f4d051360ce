"""What an image says where the user of `create` says nothing."""

from collections.abc import Mapping

from wherry.kit.values import replace
from wherry.model.containers import ContainerSpec
from wherry.model.errors import InvalidValue
from wherry.model.images import ImageConfig

RESERVED_LABELS = ("wherry.", "com.docker.compose.")
"""What these begin is said to the engine, to pods and to Compose, by whoever makes a container; an
image has no say in it (the class of CVE-2026-53488)."""


def with_image_defaults(spec: ContainerSpec, image: ImageConfig) -> ContainerSpec:
    """The wish, completed by what the image says; the user's words win.

    A user's entrypoint also drops the image's command, as in Docker. An entrypoint of one
    empty word (`--entrypoint ""`) means: none at all.
    """
    entrypoint, command = spec.entrypoint, spec.command
    if not entrypoint:
        if not command:
            command = image.command
        if entrypoint is None:
            entrypoint = image.entrypoint
    if entrypoint == ("",):
        entrypoint = None
    return replace(
        spec,
        entrypoint=entrypoint,
        command=command,
        environment=merge_environment(image.environment, spec.environment),
        working_directory=spec.working_directory or image.working_directory,
        user=spec.user or image.user,
        labels={**_inherited(image.labels), **spec.labels},
        stop_signal=spec.stop_signal or image.stop_signal,
        health=image.health if spec.health is None else spec.health.completed_by(image.health),
        shell=spec.shell or image.shell,
        declared_volumes=tuple(sorted({*spec.declared_volumes, *image.volumes})),
        network=replace(
            spec.network,
            exposed=tuple(
                sorted(
                    {
                        *image.exposed_ports,
                        *spec.network.exposed,
                        *(binding.port for binding in spec.network.bindings),
                    }
                )
            ),
        ),
    )


def _inherited(labels: Mapping[str, str]) -> dict[str, str]:
    """An image's labels, without those by which people tell the engine and Compose what to do."""
    return {name: each for name, each in labels.items() if not name.startswith(RESERVED_LABELS)}


def merge_environment(image: tuple[str, ...], user: tuple[str, ...]) -> tuple[str, ...]:
    """The user's variables, then the image's that the user did not set.

    Raises: InvalidValue for an entry without a name.
    """
    for entry in user:
        if not entry.partition("=")[0]:
            raise InvalidValue(f"invalid environment variable: {entry}")
    names = {entry.partition("=")[0] for entry in user}
    return user + tuple(entry for entry in image if entry.partition("=")[0] not in names)
