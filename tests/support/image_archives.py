"""Image archives made by hand, as engines of several ages write them."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from support.tar_archives import archive, member


def digest(content: bytes) -> str:
    """The name of some bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def layer(name: str = "file", content: bytes = b"1") -> bytes:
    """A layer with one file."""
    return archive(member(name, content))


def config(*layers: bytes, **members: object) -> bytes:
    """The configuration of an image with these (uncompressed) layers."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/true"], "Healthcheck": {"Test": ["NONE"]}},
        "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in layers]},
    }
    return json.dumps(document | members, indent=1).encode()


def docker_archive(
    *layers: bytes, tags: Sequence[str] = ("app:1",), document: bytes | None = None
) -> bytes:
    """What `docker save` wrote before version 25: a directory for each layer."""
    document = config(*layers) if document is None else document
    names = [f"{index:064x}/layer.tar" for index in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": list(tags), "Layers": names}]
    return with_manifest(
        manifest,
        {"config.json": document, **dict(zip(names, layers, strict=True))},
    )


def with_manifest(manifest: object, files: Mapping[str, bytes], *more: bytes) -> bytes:
    """An archive with any manifest.json at all."""
    members = [member(name, content) for name, content in files.items()]
    return archive(*members, *more, member("manifest.json", json.dumps(manifest).encode()))


def many_platforms(layers: Mapping[str, bytes], name: str) -> bytes:
    """An OCI layout whose one name leads to an index: from each platform to its one layer."""
    blobs: dict[str, bytes] = {}

    def put(content: bytes, media_type: str, **more: object) -> dict[str, object]:
        blobs[digest(content)] = content
        kind = f"application/vnd.oci.image.{media_type}"
        return {"mediaType": kind, "digest": digest(content), "size": len(content), **more}

    manifests = []
    for platform, content in layers.items():
        where = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        document = {
            "schemaVersion": 2,
            "config": put(config(content, **where), "config.v1+json"),
            "layers": [put(content, "layer.v1.tar")],
        }
        manifest = json.dumps(document).encode()
        manifests.append(put(manifest, "manifest.v1+json", platform=where))
    index = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    top = put(index, "index.v1+json", annotations={"io.containerd.image.name": name})
    return archive(
        *(member(f"blobs/{key.replace(':', '/')}", content) for key, content in blobs.items()),
        member("index.json", json.dumps({"schemaVersion": 2, "manifests": [top]}).encode()),
        member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
    )


def oci_layout(packed: Mapping[bytes, bytes], name: str, **descriptor: object) -> bytes:
    """An OCI layout without manifest.json; from each layer to the bytes that stand for it."""
    document = config(*packed)
    blobs = {digest(document): document} | {digest(each): each for each in packed.values()}

    def described(content: bytes, media_type: str, **more: object) -> dict[str, object]:
        return {"mediaType": media_type, "digest": digest(content), "size": len(content), **more}

    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": described(document, "application/vnd.oci.image.config.v1+json"),
            "layers": [
                described(each, "application/vnd.oci.image.layer.v1.tar+gzip")
                for each in packed.values()
            ],
        }
    ).encode()
    blobs[digest(manifest)] = manifest
    annotations = {"io.containerd.image.name": name}
    entry = described(
        manifest, "application/vnd.oci.image.manifest.v1+json", annotations=annotations
    )
    index = json.dumps({"schemaVersion": 2, "manifests": [entry | descriptor]}).encode()
    return archive(
        *(member(f"blobs/{key.replace(':', '/')}", content) for key, content in blobs.items()),
        member("index.json", index),
        member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
    )
