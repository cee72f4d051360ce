"""1.47 and older: networks did not say whether they have IPv4, endpoints had no priority."""

from collections.abc import Iterator

from wherry.api.versions.rung import Rung
from wherry.wire.encoding import Document
from wherry.wire.versions import ApiVersion


def _network(document: Document) -> None:
    del document["EnableIPv4"]


def _networks(documents: list[Document]) -> None:
    for document in documents:
        _network(document)


def _container(document: Document) -> None:
    for endpoint in _endpoints(document):
        del endpoint["GwPriority"]


def _containers(documents: list[Document]) -> None:
    for document in documents:
        _container(document)


def _disk_usage(document: Document) -> None:
    _containers(document["Containers"] or [])


def _endpoints(container: Document) -> Iterator[Document]:
    yield from container["NetworkSettings"]["Networks"].values()


RUNG = Rung(
    version=ApiVersion(1, 47),
    downgrade_response={
        "GET /networks": _networks,
        "GET /networks/{id}": _network,
        "GET /containers/{id}/json": _container,
        "GET /containers/json": _containers,
        "GET /system/df": _disk_usage,
    },
)
