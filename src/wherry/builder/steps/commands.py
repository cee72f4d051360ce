"""RUN: a command in a container of what the steps below have made."""

from collections.abc import Sequence
from typing import Protocol

from wherry.builder import dockerfile as language
from wherry.builder.cache.seen_steps import named
from wherry.builder.digests import digest_of
from wherry.builder.planning import PROXIES, Step
from wherry.builder.solver import Tell
from wherry.builder.states import Built, command_words
from wherry.builder.steps.mount_points import missing_below, remove_empty
from wherry.builder.steps.mounts import Mounts, StepMounts
from wherry.builder.steps.stage_files import StageFiles
from wherry.images import BuildImages, LayerBlob, as_image
from wherry.kit.aio import OffloadPool, UndoStack
from wherry.kit.random_ids import short_id
from wherry.model.builds import BuildRequest, Voice
from wherry.model.containers import ContainerSpec, LogSpec, NetworkSpec, Security
from wherry.model.errors.builds import StepEndedBadly
from wherry.model.ids import ContainerId, SnapshotKey
from wherry.model.images import Image
from wherry.model.networks import NetworkMode, NetworkModeKind

_NETWORKS = {
    "none": NetworkMode(kind=NetworkModeKind.NONE),
    "host": NetworkMode(kind=NetworkModeKind.HOST),
}
"""What `RUN --network` says for one command; any other word leaves the build's network."""


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
        mounts: Mounts,
        files: StageFiles,
        offload: OffloadPool,
    ) -> None:
        self._request = request
        self._images = images
        self._containers = containers
        self._mounts = mounts
        self._files = files
        self._offload = offload

    async def seen_by(
        self, step: Step, parent: Built, sources: Sequence[Built]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """What a command sees beside its instruction; and what that is made of."""
        parts = {f"argument {name}": text for name, text in parent.run_environment.items()}
        network = self._request.network
        parts["network"] = f"{network.kind.value} {network.reference}".strip()
        parts["hosts"] = " ".join(self._request.extra_hosts)
        if volumes := self._mounts.volumes(parent):
            parts["volumes"] = " ".join(volumes)
        files: dict[str, str] = {}
        for name, seen in (await self._mounts.seen(step, parent, sources)).items():
            parts[name] = digest_of(*(word for each in seen.items() for word in each))
            files |= named(name, seen)
        return parts, files

    async def run(
        self, step: Step, run: language.Run, parent: Built, sources: Sequence[Built], tell: Tell
    ) -> LayerBlob | None:
        """The layer of a command; None where it changed nothing.

        Raises: StepEndedBadly, StepFailed, InvalidValue.
        """
        keeps = self._request.keeps_containers
        async with UndoStack() as undo:
            mounts = await self._mounts.prepared(
                step, parent, sources, undo, hidden=self._proxies(parent)
            )
            missing = await self._missing_targets(mounts, parent)
            spec = self._spec(run, parent, mounts)
            container_id = await self._containers.create(spec, as_image(parent.state))
            if not keeps:
                undo.push(self._containers.remove, container_id)
            tell(f" ---> Running in {short_id(container_id)}\n", Voice.BUILDER)
            exit_code = await self._containers.run(container_id, tell)
            if exit_code:
                raise StepEndedBadly(" ".join(spec.command or ()), exit_code)
            key = SnapshotKey(container_id)
            if missing:
                async with UndoStack() as opened:
                    root = await self._files.written(key, opened)
                    await self._offload(remove_empty, root, missing)
            commit = self._images.commit if keeps else self._images.hand_over
            layer = await self._offload(commit, key, parent.state)
        if not keeps:
            tell(f" ---> Removed intermediate container {short_id(container_id)}\n", Voice.BUILDER)
        return layer

    async def _missing_targets(self, mounts: StepMounts, parent: Built) -> Sequence[str]:
        """What the mounts will make in the root: not there before, so in no layer either."""
        if not mounts.targets:
            return ()
        async with UndoStack() as opened:
            root = await self._files.opened(parent.state, opened)
            return await self._offload(missing_below, root, mounts.targets)

    def _spec(self, run: language.Run, parent: Built, mounts: StepMounts) -> ContainerSpec:
        config, request = parent.state.document.config, self._request
        environment = {**parent.run_environment, **mounts.environment}
        return ContainerSpec(
            image=parent.state.image_id,
            entrypoint=("",),
            command=command_words(run, parent),
            environment=(
                *config.env,
                *(f"{name}={value}" for name, value in environment.items()),
            ),
            environment_files=mounts.secrets,
            working_directory=config.working_dir,
            user=config.user,
            limits=request.limits,
            shm_bytes=request.shm_bytes,
            cgroup_parent=request.cgroup_parent,
            security=Security(is_privileged=run.security == "insecure"),
            network=NetworkSpec(
                mode=_NETWORKS.get(run.network, request.network), extra_hosts=request.extra_hosts
            ),
            log=LogSpec(driver="none"),
            ends_with_engine=not request.keeps_containers,
            mounts=tuple(mounts.mounts),
        )

    def _proxies(self, parent: Built) -> dict[str, str]:
        """The proxies that the user gives, where no ARG of the stage has taken them over."""
        return {
            name: value
            for name, value in self._request.arguments.items()
            if name in PROXIES and value is not None and name not in parent.run_environment
        }
