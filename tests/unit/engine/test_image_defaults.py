"""How a user's wish and an image's configuration become one."""

import pytest

from wherry.engine.containers.image_defaults import merge_environment, with_image_defaults
from wherry.model.containers import ContainerSpec
from wherry.model.errors import InvalidValue
from wherry.model.images import ImageConfig
from wherry.model.networks import Port

IMAGE = ImageConfig(
    entrypoint=("/entry",),
    command=("serve",),
    environment=("PATH=/bin", "MODE=image"),
    working_directory="/srv",
    user="web",
    labels={"a": "image", "b": "image"},
    exposed_ports=(Port(80),),
    stop_signal="SIGQUIT",
)


def merged(**wish: object) -> ContainerSpec:
    """The image's defaults under a wish."""
    return with_image_defaults(ContainerSpec(image="x", **wish), IMAGE)  # type: ignore[arg-type]


def test_nothing_wished_is_the_image() -> None:
    """Without a wish everything comes from the image."""
    spec = merged()
    assert (spec.entrypoint, spec.command) == (("/entry",), ("serve",))
    assert (spec.working_directory, spec.user, spec.stop_signal) == ("/srv", "web", "SIGQUIT")
    assert spec.network.exposed == (Port(80),)


def test_command_replaces_command_only() -> None:
    """A command keeps the image's entrypoint."""
    spec = merged(command=("other",))
    assert (spec.entrypoint, spec.command) == (("/entry",), ("other",))


def test_entrypoint_drops_the_images_command() -> None:
    """An entrypoint of the user's makes the image's command meaningless."""
    spec = merged(entrypoint=("/mine",))
    assert (spec.entrypoint, spec.command) == (("/mine",), None)


def test_empty_entrypoint_resets() -> None:
    """`--entrypoint ""` with a command runs the command alone."""
    spec = merged(entrypoint=("",), command=("ls",))
    assert (spec.entrypoint, spec.command) == (None, ("ls",))


def test_labels_and_environment_merge_by_name() -> None:
    """The user's values win, the image's others stay."""
    spec = merged(labels={"b": "user"}, environment=("MODE=user",))
    assert spec.labels == {"a": "image", "b": "user"}
    assert spec.environment == ("MODE=user", "PATH=/bin")


def test_variable_without_name_is_refused() -> None:
    """`=value` is no variable."""
    with pytest.raises(InvalidValue, match="invalid environment variable: =x"):
        merge_environment((), ("=x",))
