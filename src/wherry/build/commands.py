"""RUN: a command in a container of what the steps below have made."""

from typing import Protocol

from wherry.build import dockerfile as language
from wherry.build.planning import PROXIES
from wherry.build.solver import Tell
from wherry.build.states import Built, command_words
from wherry.images import BuildImages, LayerBlob, as_image
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.random_ids import short_id
from wherry.model.builds import BuildRequest
from wherry.model.containers import ContainerSpec, LogSpec, NetworkSpec, TmpfsMount
from wherry.model.errors import StepEndedBadly
from wherry.model.ids import ContainerId, SnapshotKey
from wherry.model.images import Image
from wherry.model.networks import NetworkMode, NetworkModeKind


class StepContainers(Protocol):
    """Runs the commands of steps; the engine's part."""

    async def create(self, spec: ContainerSpec, image: Image) -> ContainerId:
        """A container of an image that need not be recorded."""
        ...

    async def run(self, container_id: ContainerId, tell: Tell) -> int:
        """Start it and pass on what it writes; its exit code."""
        ...

    async def remove(self, container_id: ContainerId) -> None:
        """Whether it runs or not."""
        ...


class Commands:
    """The commands of one build."""

    def __init__(
        self,
        *,
        request: BuildRequest,
        images: BuildImages,
        containers: StepContainers,
        offload: OffloadPool,
    ) -> None:
        self._request = request
        self._images = images
        self._containers = containers
        self._offload = offload

    def seen_by(self, parent: Built) -> list[str]:
        """What a command sees beside files and instruction, as parts of its key."""
        seen = sorted(parent.run_environment.items())
        return [
            *(f"{name}={value}" for name, value in seen),
            str(self._request.network),
            *self._request.extra_hosts,
        ]

    async def run(self, run: language.Run, parent: Built, tell: Tell) -> LayerBlob | None:
        """The layer of a command. Raises: StepEndedBadly, StepFailed."""
        keeps = self._request.keeps_containers
        spec = self._spec(run, parent)
        async with UndoStack() as undo:
            container_id = await self._containers.create(spec, as_image(parent.state))
            if not keeps:
                undo.push(self._containers.remove, container_id)
            tell(f" ---> Running in {short_id(container_id)}\n", False)
            exit_code = await self._containers.run(container_id, tell)
            if exit_code:
                raise StepEndedBadly(" ".join(spec.command or ()), exit_code)
            layer = await self._offload(
                self._images.commit, SnapshotKey(container_id), parent.state
            )
        if not keeps:
            tell(f" ---> Removed intermediate container {short_id(container_id)}\n", False)
        return layer

    def _spec(self, run: language.Run, parent: Built) -> ContainerSpec:
        config, request = parent.state.document.config, self._request
        network = request.network
        if run.network == "none":
            network = NetworkMode(kind=NetworkModeKind.NONE)
        environment = {**self._proxies(), **parent.run_environment}
        return ContainerSpec(
            image=parent.state.image_id,
            entrypoint=("",),
            command=command_words(run, parent),
            environment=(
                *config.env,
                *(f"{name}={value}" for name, value in environment.items()),
            ),
            working_directory=config.working_dir,
            user=config.user,
            limits=request.limits,
            shm_bytes=request.shm_bytes,
            cgroup_parent=request.cgroup_parent,
            network=NetworkSpec(mode=network, extra_hosts=request.extra_hosts),
            log=LogSpec(driver="none"),
            mounts=tuple(
                TmpfsMount(
                    target=mount.options["target"], size_bytes=_bytes(mount.options.get("size"))
                )
                for mount in run.mounts
            ),
        )

    def _proxies(self) -> dict[str, str]:
        return {
            name: value
            for name, value in self._request.arguments.items()
            if name in PROXIES and value is not None
        }


def _bytes(text: str | None) -> int:
    if not text:
        return 0
    unit = {"k": 10, "m": 20, "g": 30}.get(text[-1].lower(), 0)
    return int(text[:-1] if unit else text) << unit
