"""What a specification may say and this runtime does not do: refused, never ignored."""

from collections.abc import Iterator

from wherry.oci.runtime_spec import Hooks, RuntimeSpec
from wherry.runtime.mount_options import PlanRefused


def refuse_unbuilt(spec: RuntimeSpec) -> None:
    """Raises: PlanRefused naming the member."""
    for member, is_asked_for in _unbuilt(spec):
        if is_asked_for:
            raise PlanRefused(f"{member} is not supported")


def _unbuilt(spec: RuntimeSpec) -> Iterator[tuple[str, bool]]:
    process, linux = spec.process, spec.linux
    yield "process.ioPriority", process.io_priority is not None
    yield "process.scheduler", process.scheduler is not None
    yield "process.execCPUAffinity", process.exec_cpu_affinity is not None
    yield "hooks", spec.hooks != Hooks()
    yield "linux.personality", linux.personality is not None
    yield "linux.netDevices", bool(linux.net_devices)
