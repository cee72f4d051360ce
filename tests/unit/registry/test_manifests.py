"""Manifests: what is taken, and what is refused before it can mislead."""

import json

import pytest

from wherry.model.errors.images import DigestMismatch
from wherry.model.errors.registries import ManifestRefused
from wherry.model.ids import Digest
from wherry.oci.image_spec import DOCKER_MANIFEST, INDEX, MANIFEST, Index, Manifest
from wherry.registry.manifests import LARGEST_MANIFEST, digest_of, read_manifest

DIGEST = "sha256:" + "a" * 64
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 2}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": DIGEST, "size": 3}
PLAIN = {"schemaVersion": 2, "config": CONFIG, "layers": [LAYER]}


def encoded(**members: object) -> bytes:
    """A document."""
    return json.dumps(members).encode()


def test_a_manifest_is_read() -> None:
    """Its digest is of the bytes as they came."""
    content = json.dumps(PLAIN, indent=3).encode()
    found = read_manifest(content, announced=f"{MANIFEST}; charset=utf-8")
    assert isinstance(found.document, Manifest)
    assert (found.digest, found.media_type) == (digest_of(content), MANIFEST)
    assert found.document.layers[0].size == 3


def test_the_documents_own_media_type_counts_where_none_was_announced() -> None:
    """Registries that say text/plain are common."""
    content = encoded(**PLAIN, mediaType=DOCKER_MANIFEST)
    assert read_manifest(content, announced="text/plain").media_type == DOCKER_MANIFEST


def test_an_index_is_read() -> None:
    """By its members, when nothing says what it is."""
    found = read_manifest(encoded(schemaVersion=2, manifests=[CONFIG]))
    assert isinstance(found.document, Index)
    assert found.media_type == INDEX


@pytest.mark.parametrize(
    ("content", "announced"),
    [
        (encoded(**PLAIN, manifests=[CONFIG]), ""),
        (encoded(**PLAIN, manifests=[CONFIG]), INDEX),
        (encoded(**PLAIN, mediaType=MANIFEST), INDEX),
        (encoded(**PLAIN), INDEX),
        (encoded(schemaVersion=2, manifests=[CONFIG]), MANIFEST),
        (encoded(**PLAIN, mediaType="application/x-other"), ""),
        (encoded(**PLAIN, mediaType=7), ""),
        (encoded(schemaVersion=1, fsLayers=[]), ""),
        (encoded(**PLAIN), "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        (encoded(schemaVersion=2, layers=[LAYER]), MANIFEST),
        (encoded(schemaVersion=2, config={"digest": "md5:x", "size": 1}), MANIFEST),
        (encoded(schemaVersion=2, config={"digest": DIGEST, "size": -1}), MANIFEST),
        (encoded(schemaVersion=2, config={"digest": "sha256:../../x", "size": 1}), MANIFEST),
        (encoded(schemaVersion=2, config=CONFIG, layers=[LAYER] * 10_000), MANIFEST),
        (b"[]", ""),
        (b"{", ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
        (b" " * (LARGEST_MANIFEST + 1), ""),
    ],
)
def test_what_is_refused(content: bytes, announced: str) -> None:
    """Ambiguous, malformed, outdated, huge."""
    with pytest.raises(ManifestRefused):
        read_manifest(content, announced=announced)


def test_the_digest_is_checked() -> None:
    """Content that was asked for by another digest."""
    with pytest.raises(DigestMismatch):
        read_manifest(encoded(**PLAIN), expected=Digest(DIGEST))
