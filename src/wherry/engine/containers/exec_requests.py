"""What a shim is told of a command that joins a container."""

from wherry.engine.containers.links import with_link_variables
from wherry.engine.containers.seccomp_programs import SeccompPrograms
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.model.containers import Container, ExecSpec
from wherry.specgen import HostFacts, container_seccomp, exec_process
from wherry.tasks import ExecRequest


class ExecRequests:
    """Makes them: the command has the container's confinement, whoever asks."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        seccomp: SeccompPrograms,
        host: HostFacts,
        offload: OffloadPool,
    ) -> None:
        self._records = records
        self._seccomp = seccomp
        self._host = host
        self._offload = offload

    async def of(
        self, container: Container, spec: ExecSpec, *, can_be_ended: bool = False
    ) -> ExecRequest:
        """A command; one that can be ended can be killed with all that it has started."""
        filter_ = container_seccomp(container.spec.security, self._host)
        return ExecRequest(
            process=exec_process(
                with_link_variables(container, self._records), spec, host=self._host
            ),
            user=spec.user or container.spec.user,
            group_add=container.spec.security.group_add,
            seccomp_program=await self._offload(self._seccomp.path_of, filter_),
            opens_stdin=spec.attaches_stdin,
            can_be_ended=can_be_ended,
        )
