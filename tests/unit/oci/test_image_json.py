"""Image documents, there and back."""

import json

import pytest

from wherry.oci.image_json import (
    decode_image,
    decode_index,
    decode_manifest,
    encode_image,
    encode_index,
    encode_manifest,
)
from wherry.oci.image_spec import (
    CONFIG,
    LAYER,
    MANIFEST,
    Descriptor,
    ExecutionDefaults,
    History,
    ImageDocument,
    Index,
    Manifest,
    Platform,
)

DIGEST = "sha256:" + "a" * 64

IMAGE = ImageDocument(
    architecture="arm64",
    os="linux",
    variant="v8",
    created="2024-05-06T07:08:09Z",
    author="somebody",
    comment="a comment",
    config=ExecutionDefaults(
        user="1",
        exposed_ports=("53/udp", "80/tcp"),
        env=("A=1", "Ä=ö"),
        entrypoint=(),
        cmd=("sh",),
        volumes=("/v",),
        working_dir="/w",
        labels={"l": "1"},
        stop_signal="SIGINT",
        shell=("/bin/bash", "-c"),
        on_build=("RUN true",),
    ),
    diff_ids=(DIGEST,),
    history=(History(created_by="x", comment="c", author="a", empty_layer=True), History()),
)
LAYERS = Descriptor(media_type=LAYER, digest=DIGEST, size=5, annotations={"k": "v"})
WHOLE = Manifest(
    config=Descriptor(media_type=CONFIG, digest=DIGEST, size=7), layers=(LAYERS, LAYERS)
)


def test_documents_survive() -> None:
    """What is written is read as the same value."""
    assert decode_image(encode_image(IMAGE)) == IMAGE
    assert decode_manifest(encode_manifest(WHOLE)) == WHOLE
    platform = Platform(architecture="amd64", os="linux")
    index = Index(
        manifests=(Descriptor(media_type=MANIFEST, digest=DIGEST, size=9, platform=platform),)
    )
    assert decode_index(encode_index(index)) == index


def test_json_is_canonical() -> None:
    """Sorted keys, no blanks, no empty members: the same image has the same id everywhere."""
    text = encode_image(ImageDocument(architecture="amd64", os="linux", diff_ids=(DIGEST,)))
    assert text == (
        b'{"architecture":"amd64","os":"linux","rootfs":{"diff_ids":["' + DIGEST.encode() + b'"],'
        b'"type":"layers"}}'
    )


def test_arrays_that_must_be_there_are() -> None:
    """An empty list of layers or manifests is written, as the schemas require."""
    empty = Manifest(config=WHOLE.config, layers=())
    assert json.loads(encode_manifest(empty))["layers"] == []
    assert json.loads(encode_index(Index(manifests=())))["manifests"] == []


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (b"{}", "config"),
        (b'{"config": {"digest": "sha256:1", "size": 1}}', "config.digest"),
        (b'{"config": {"size": 1}}', "config.digest"),
        (b'{"config": {"digest": "%s", "size": -1}}' % DIGEST.encode(), "config.size"),
        (b'{"config": {"digest": "%s", "size": 1}, "layers": {}}' % DIGEST.encode(), "layers"),
    ],
)
def test_wrong_manifests_name_the_field(document: bytes, word: str) -> None:
    """A digest that is none never gets further than this."""
    with pytest.raises(ValueError, match=word):
        decode_manifest(document)
