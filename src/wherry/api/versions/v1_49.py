"""1.49 and older: image configurations had the fields of containers; `info` told of bridges."""

from wherry.api.versions.rung import Rung
from wherry.wire.encoding import Document
from wherry.wire.versions import ApiVersion


def _image(document: Document) -> None:
    document["Config"] = {
        **container_fields(document["Config"].get("Image", "")),
        **document["Config"],
    }


def container_fields(image: str) -> Document:
    """The fields of a container's configuration that an image's never uses, and its own empty."""
    return {
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": None,
        "Cmd": None,
        "Image": image,
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
    }


def _info(document: Document) -> None:
    document["BridgeNfIptables"] = False
    document["BridgeNfIp6tables"] = False


RUNG = Rung(
    version=ApiVersion(1, 49),
    downgrade_response={"GET /images/{name}/json": _image, "GET /info": _info},
)
