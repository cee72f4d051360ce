"""What is asked of tasks."""

from wherry.kit.values import dataclass, field
from wherry.logs.options import LogTarget
from wherry.model.ids import ContainerId
from wherry.oci.runtime_spec import Process, RootfsMount, RuntimeSpec
from wherry.shim.protocol import ExecOrder, ForeignRuntimeChoice, SpawnOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnRequest:
    """A container to be made."""

    container_id: ContainerId
    bundle: str
    """An existing directory of the container's own below the exec root."""
    record_directory: str
    """An existing directory that survives a reboot."""
    spec: RuntimeSpec
    rootfs: RootfsMount | None = None
    user: str | None = None
    """Docker's USER text; None takes the numbers of the spec."""
    group_add: tuple[str, ...] = ()
    seccomp_program: str = ""
    """Path of a compiled filter; empty: unconfined."""
    init_binary: str = ""
    log: LogTarget = field(default_factory=lambda: LogTarget(driver="none"))
    opens_stdin: bool = False
    closes_stdin_after_first: bool = False
    runtime: ForeignRuntimeChoice | None = None
    """None: ours."""

    def to_order(self) -> SpawnOrder:
        """What the shim is told; the spec goes through the bundle."""
        return SpawnOrder(
            container_id=self.container_id,
            bundle=self.bundle,
            record_directory=self.record_directory,
            rootfs=self.rootfs,
            user=self.user,
            group_add=self.group_add,
            seccomp_program=self.seccomp_program,
            init_binary=self.init_binary,
            log=self.log,
            opens_stdin=self.opens_stdin,
            closes_stdin_after_first=self.closes_stdin_after_first,
            runtime=self.runtime,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    """A command to run in a container."""

    process: Process
    user: str | None = None
    group_add: tuple[str, ...] = ()
    seccomp_program: str = ""
    opens_stdin: bool = False
    can_be_ended: bool = False
    """Whether `Task.end` will be able to kill it with all that it has started."""

    def to_order(self, session: str) -> ExecOrder:
        """What the shim is told."""
        return ExecOrder(
            session=session,
            process=self.process,
            user=self.user,
            group_add=self.group_add,
            seccomp_program=self.seccomp_program,
            opens_stdin=self.opens_stdin,
            can_be_ended=self.can_be_ended,
        )
