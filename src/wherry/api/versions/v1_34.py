"""1.34 and older: `version` knew neither a platform nor components."""

from wherry.api.versions.rung import Rung
from wherry.wire.encoding import Document
from wherry.wire.versions import ApiVersion


def _version(document: Document) -> None:
    del document["Platform"], document["Components"]


RUNG = Rung(version=ApiVersion(1, 34), downgrade_response={"GET /version": _version})
