"""Names of things, each with a type of its own so that they can't be mixed up."""

from typing import NewType

ContainerId = NewType("ContainerId", str)
"""64 hexadecimal digits."""

ExecId = NewType("ExecId", str)
"""64 hexadecimal digits: one process that joined a running container."""

Digest = NewType("Digest", str)
"""`sha256:` and 64 hexadecimal digits, of the bytes of a blob."""

ImageId = NewType("ImageId", str)
"""Digest of an image's configuration."""

DiffId = NewType("DiffId", str)
"""Digest of an uncompressed layer tar."""

ChainId = NewType("ChainId", str)
"""Digest that names a stack of layers (OCI image-spec, "Layer ChainID")."""

SnapshotKey = NewType("SnapshotKey", str)
"""Name of a writable snapshot; a container's is its id."""

NetworkId = NewType("NetworkId", str)
"""64 hexadecimal digits."""

EndpointId = NewType("EndpointId", str)
"""64 hexadecimal digits: one container on one network."""
