"""1.24: the oldest that we speak; security options were plain names."""

from wherry.api.versions.rung import Rung
from wherry.wire.encoding import Document
from wherry.wire.versions import ApiVersion


def _info(document: Document) -> None:
    document["SecurityOptions"] = [_plain_name(option) for option in document["SecurityOptions"]]
    document["ExecutionDriver"] = "<not supported>"


def _plain_name(option: str) -> str:
    """`name=seccomp,profile=default` is `seccomp`."""
    return option.removeprefix("name=").partition(",")[0]


def _version(document: Document) -> None:
    document.pop("MinAPIVersion", None)


RUNG = Rung(
    version=ApiVersion(1, 24),
    downgrade_response={"GET /info": _info, "GET /version": _version},
)
