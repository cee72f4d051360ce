"""1.41 and older: framed streams were called raw, stop took no signal, memory of the kernel."""

from wherry.api.versions.rung import Rung, Traits
from wherry.kit.values import replace
from wherry.wire.encoding import Document
from wherry.wire.versions import ApiVersion


def _traits(traits: Traits) -> Traits:
    return replace(
        traits,
        names_multiplexed_streams=False,
        stop_takes_signal=False,
        chooses_web_socket_streams=False,
        prunes_named_volumes=True,
    )


def _info(document: Document) -> None:
    document["KernelMemory"] = False
    document["KernelMemoryTCP"] = False


def _container(document: Document) -> None:
    document["HostConfig"]["KernelMemory"] = 0
    document["HostConfig"]["KernelMemoryTCP"] = 0


def _wait(document: Document) -> None:
    document.setdefault("Error", None)


def _disk_usage(document: Document) -> None:
    document["BuilderSize"] = 0


RUNG = Rung(
    version=ApiVersion(1, 41),
    downgrade_traits=_traits,
    downgrade_response={
        "GET /info": _info,
        "GET /containers/{id}/json": _container,
        "POST /containers/{id}/wait": _wait,
        "GET /system/df": _disk_usage,
    },
)
