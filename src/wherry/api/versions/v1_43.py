"""1.43 and older: images had a virtual size, endpoints no DNS names."""

from wherry.api.versions.rung import Rung
from wherry.kit.timestamps import ZERO
from wherry.wire.encoding import Document
from wherry.wire.versions import ApiVersion


def _image(document: Document) -> None:
    document["VirtualSize"] = document["Size"]
    document.setdefault("Created", ZERO)


def _images(documents: list[Document]) -> None:
    for document in documents:
        document["VirtualSize"] = document["Size"]


def _container(document: Document) -> None:
    for endpoint in document["NetworkSettings"]["Networks"].values():
        del endpoint["DNSNames"]


def _containers(documents: list[Document]) -> None:
    for document in documents:
        _container(document)


def _disk_usage(document: Document) -> None:
    _images(document["Images"] or [])
    _containers(document["Containers"] or [])


RUNG = Rung(
    version=ApiVersion(1, 43),
    downgrade_response={
        "GET /images/{name}/json": _image,
        "GET /images/json": _images,
        "GET /containers/{id}/json": _container,
        "GET /containers/json": _containers,
        "GET /system/df": _disk_usage,
    },
)
