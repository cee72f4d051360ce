"""Pods: containers that share a network, and are made and removed together.

I own: the sandbox whose namespaces a pod's containers join (`sandbox`), reading Kubernetes'
manifests as far as one host can honour them (`reading`, `manifest`), and making what they say
through the engine's public API (`playing`).
I never: parse flags, reach into the engine, or touch the kernel; a pod is containers with labels,
and each of them is there for `docker` too.
On disk and in the kernel I leave: nothing; the engine's containers and volumes are its own.
Called by: cli, for `wherry pod` and `wherry play` alone.

    manifest -> pods -> sandbox, volumes, init containers, containers
"""

from wherry.pods.errors import ManifestError, PodError
from wherry.pods.playing import Pods
from wherry.pods.reading import Manifest, read_manifest
from wherry.pods.sandbox import (
    CONTAINER_ROLE,
    POD,
    ROLE,
    SANDBOX_ROLE,
    SHAREABLE,
    Sandbox,
    member_labels,
)

__all__ = [
    "CONTAINER_ROLE",
    "POD",
    "ROLE",
    "SANDBOX_ROLE",
    "SHAREABLE",
    "Manifest",
    "ManifestError",
    "PodError",
    "Pods",
    "Sandbox",
    "member_labels",
    "read_manifest",
]
