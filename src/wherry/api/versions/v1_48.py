"""1.48 and older: `info` did not say what filters packets."""

from wherry.api.versions.rung import Rung
from wherry.wire.encoding import Document
from wherry.wire.versions import ApiVersion


def _info(document: Document) -> None:
    del document["FirewallBackend"]
    document["RegistryConfig"]["AllowNondistributableArtifactsCIDRs"] = []
    document["RegistryConfig"]["AllowNondistributableArtifactsHostnames"] = []
    for name in ("ContainerdCommit", "RuncCommit", "InitCommit"):
        document[name]["Expected"] = document[name]["ID"]


RUNG = Rung(version=ApiVersion(1, 48), downgrade_response={"GET /info": _info})
