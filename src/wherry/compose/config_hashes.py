"""The hash by which Compose knows whether a container is what its service says.

It is the SHA-256 of the service as Go's encoder writes it in JSON, without what a container
doesn't depend on: how it is built and pulled, how many there are, what it depends on.
"""

import hashlib
import json

from wherry.client.documents import Document, child
from wherry.compose.shapes import SERVICE, Structure, hashed_structure

_LEFT_OUT = ("build", "pull_policy", "scale", "depends_on", "profiles")


def service_hash(service: Document) -> str:
    """The hash of a typed service."""
    kept: Document = {key: each for key, each in service.items() if key not in _LEFT_OUT}
    if "deploy" in kept:
        deploy = child(kept, "deploy")
        kept["deploy"] = {key: each for key, each in deploy.items() if key != "replicas"}
    return structure_hash(SERVICE, kept)


def structure_hash(shape: Structure, value: Document) -> str:
    """The hash of a typed service, network or volume."""
    return hashlib.sha256(go_json(hashed_structure(shape, value)).encode()).hexdigest()


def go_json(value: object) -> str:
    """JSON as Go's encoder writes it: compact, and safe inside HTML."""
    written = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character, escaped in (
        ("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"),
        ("\u2028", "\\u2028"), ("\u2029", "\\u2029"),
    ):  # fmt: skip
        written = written.replace(character, escaped)
    return written
