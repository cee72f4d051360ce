"""1.44 and older: an image told of the container that it was committed from."""

from wherry.api.versions.rung import Rung
from wherry.api.versions.v1_49 import container_fields
from wherry.wire.encoding import Document
from wherry.wire.versions import ApiVersion


def _image(document: Document) -> None:
    document["Container"] = ""
    document["ContainerConfig"] = container_fields("")


RUNG = Rung(version=ApiVersion(1, 44), downgrade_response={"GET /images/{name}/json": _image})
