"""What a specification may say and this runtime does not do: refused, never ignored."""

from collections.abc import Iterator

from wherry.oci.runtime_spec import RuntimeSpec
from wherry.runtime.mount_options import PlanRefused


def refuse_unbuilt(spec: RuntimeSpec) -> None:
    """Raises: PlanRefused naming the member."""
    for member, is_asked_for in _unbuilt(spec):
        if is_asked_for:
            raise PlanRefused(f"{member} is not supported")


def _unbuilt(spec: RuntimeSpec) -> Iterator[tuple[str, bool]]:
    yield "linux.netDevices", bool(spec.linux.net_devices)
