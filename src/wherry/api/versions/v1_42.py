"""1.42 and older: an image without names was listed under names that say so."""

from wherry.api.versions.rung import Rung
from wherry.wire.encoding import Document
from wherry.wire.versions import ApiVersion


def _images(documents: list[Document]) -> None:
    for document in documents:
        if not document["RepoTags"] and not document["RepoDigests"]:
            document["RepoTags"] = ["<none>:<none>"]
            document["RepoDigests"] = ["<none>@<none>"]


def _disk_usage(document: Document) -> None:
    _images(document["Images"] or [])


RUNG = Rung(
    version=ApiVersion(1, 42),
    downgrade_response={"GET /images/json": _images, "GET /system/df": _disk_usage},
)
