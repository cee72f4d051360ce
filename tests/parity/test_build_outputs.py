"""What leaves a build: indexes, attestations, archives, in the forms that were asked for."""

import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.builds import classic_build, output_of, remove_what_was_built, write_tree
from support.buildx import BuildClient, project
from support.daemon import Engine

DOCKERFILE = (
    "FROM busybox AS base\nARG WORD=none\nRUN echo $WORD > /w\nFROM base\nCOPY --from=base /w /v\n"
)
SCRATCH = "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /of-$TARGETARCH\n"
BOTH = "linux/amd64,linux/arm64"
INDEX = "application/vnd.oci.image.index.v1+json"
PROVENANCE = "https://slsa.dev/provenance/v0.2"
Build = Callable[..., None]


@pytest.fixture
def client(engine: Engine, tmp_path: Path) -> Iterator[BuildClient]:
    """A client with a project."""
    with project(engine, tmp_path) as made:
        made.write(Dockerfile=DOCKERFILE)
        yield made


def buildx(client: BuildClient, *words: str) -> None:
    """Build with buildx."""
    client.docker("buildx", "build", *words, ".")


def own(client: BuildClient, *words: str) -> None:
    """Build with our client."""
    ran = client.engine.wherry("build", *words, str(client.directory))
    assert ran.returncode == 0, ran.stdout + ran.stderr


BUILDERS = pytest.mark.parametrize("build", [buildx, own], ids=["buildx", "wherry"])


class Published:
    """A repository, as others read it."""

    def __init__(self, engine: Engine, registry: str, path: str) -> None:
        self._engine = engine
        self._url = f"http://{registry}/v2/{path}"

    def _get(self, place: str) -> bytes:
        accepted = f"Accept: {INDEX}, application/vnd.oci.image.manifest.v1+json"
        command = ["curl", "-sfL", "-H", accepted, f"{self._url}/{place}"]
        return subprocess.run(
            self._engine.machine.command(*command), capture_output=True, check=True
        ).stdout

    def manifest(self, reference: str) -> Any:
        """A manifest or an index."""
        return json.loads(self._get(f"manifests/{reference}"))

    def blob(self, descriptor: Any) -> bytes:
        """The bytes of a blob."""
        return self._get(f"blobs/{descriptor['digest']}")


def images_of(index: Any) -> list[Any]:
    """The entries of an index that are images."""
    return [each for each in index["manifests"] if each["platform"]["os"] != "unknown"]


def statement_of(published: Published, index: Any) -> Any:
    """What an index's first attestation says."""
    (entry, *_others) = [each for each in index["manifests"] if each not in images_of(index)]
    assert entry["annotations"]["vnd.docker.reference.type"] == "attestation-manifest"
    assert entry["annotations"]["vnd.docker.reference.digest"] == images_of(index)[0]["digest"]
    (layer,) = published.manifest(entry["digest"])["layers"]
    assert layer["annotations"]["in-toto.io/predicate-type"] == PROVENANCE
    return json.loads(published.blob(layer))


@BUILDERS
def test_what_is_pushed_says_what_it_was_made_of(
    engine: Engine, client: BuildClient, registry: str, build: Build
) -> None:
    """An index of image and attestation; to whoever pulls it, it is one image."""
    name = f"{registry}/told-{build.__name__}:1"
    words = ("--provenance=mode=max", "--build-arg", "WORD=said", "-t", name, "--push")
    build(client, *words, "--annotation", "index:why=so", "--annotation", "kind=test")
    published = Published(engine, registry, f"told-{build.__name__}")
    index = published.manifest("1")
    assert index["annotations"] == {"why": "so"}
    assert len(index["manifests"]) == 2
    manifest = published.manifest(images_of(index)[0]["digest"])
    assert manifest["annotations"] == {"kind": "test"}
    said = statement_of(published, index)
    assert said["subject"][0]["digest"]["sha256"] in images_of(index)[0]["digest"]
    invoked = said["predicate"]["invocation"]
    assert invoked["parameters"]["args"]["build-arg:WORD"] == "said"
    assert [each["uri"] for each in said["predicate"]["materials"]] == [
        "pkg:docker/busybox@latest?platform=linux%2Famd64"
    ]
    built = engine.docker_ok("image", "inspect", "-f", "{{.Id}}", name)
    assert engine.docker_ok("images", "--format", "{{.Tag}}", name).splitlines() == ["1"]
    engine.docker_ok("rmi", name)
    engine.docker_ok("pull", name)
    assert engine.docker_ok("image", "inspect", "-f", "{{.Id}}", name) == built
    assert engine.docker_ok("run", "--rm", name, "cat", "/v") == "said"


def test_an_image_that_stays_keeps_what_is_said_of_it(
    engine: Engine, client: BuildClient, registry: str
) -> None:
    """Through a restart's collector, a new name, an archive, and a push of the image alone."""
    own(client, "--provenance=true", "-t", "stays")
    name = f"{registry}/stays:2"
    engine.docker_ok("tag", "stays", name)
    engine.docker_ok("image", "prune", "-f")
    archive = client.directory.parent / "stays.tar"
    engine.docker_ok("save", "-o", str(archive), name)
    engine.docker_ok("rmi", "stays", name)
    engine.docker_ok("builder", "prune", "-af")
    engine.docker_ok("load", "-i", str(archive))
    engine.docker_ok("push", name)
    published = Published(engine, registry, "stays")
    index = published.manifest("2")
    said = statement_of(published, index)
    assert "args" not in said["predicate"]["invocation"]["parameters"]
    assert engine.docker_ok("run", "--rm", name, "cat", "/v") == "none"


@BUILDERS
def test_several_platforms_are_one_index(
    engine: Engine, client: BuildClient, registry: str, build: Build
) -> None:
    """Pushed by a tag; as files, a directory for each."""
    client.write(Dockerfile=SCRATCH)
    path = f"both-{build.__name__}"
    build(client, "--platform", BOTH, "-t", f"{registry}/{path}:1", "--push", "--provenance=false")
    published = Published(engine, registry, path)
    index = published.manifest("1")
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64"]
    place = client.directory.parent / "files"
    build(client, "--platform", BOTH, "-o", f"type=local,dest={place}")
    assert sorted(str(each.relative_to(place)) for each in place.rglob("of-*")) == [
        "linux_amd64/of-amd64",
        "linux_arm64/of-arm64",
    ]


def test_a_push_without_a_tag(engine: Engine, client: BuildClient, registry: str) -> None:
    """Known by its digest alone, which is told (buildx leaves this to other drivers)."""
    told = client.directory.parent / "told.json"
    output = f"type=image,name={registry}/bare,push-by-digest=true,name-canonical=true,push=true"
    own(client, "-o", output, "--metadata-file", str(told))
    document = json.loads(told.read_text())
    published = Published(engine, registry, "bare")
    assert published.manifest(document["containerimage.digest"])["schemaVersion"] == 2
    assert document["image.name"].endswith(f"/bare@{document['containerimage.digest']}")
    bare = f"{registry}/bare@{document['containerimage.digest']}"
    assert engine.docker_ok("image", "inspect", "-f", "{{.RepoTags}}", bare) == "[]"


def test_archives_in_the_form_that_is_asked_for(engine: Engine, client: BuildClient) -> None:
    """Compressed so or so, as a tar or a directory; both can be loaded."""
    archive = client.directory.parent / "made.tar"
    for compression, media in (
        ("zstd", "tar+zstd"),
        ("gzip", "tar+gzip"),
        ("uncompressed", "tar"),
    ):
        output = f"type=oci,dest={archive},name=made:1,force-compression=true"
        own(client, "--provenance=false", "-o", f"{output},compression={compression}")
        with tarfile.open(archive) as members:
            manifest = json.loads(_member(members, json.loads(_file(members, "index.json"))))
        kinds = {each["mediaType"] for each in manifest["layers"]}
        assert kinds == {f"application/vnd.oci.image.layer.v1.{media}"}
        assert "made:1" in engine.docker_ok("load", "-i", str(archive))
    layout = client.directory.parent / "layout"
    buildx(client, "-o", f"type=oci,tar=false,dest={layout},name=made:2")
    index = json.loads((layout / "index.json").read_text())
    assert index["manifests"][0]["mediaType"] in (
        INDEX,
        "application/vnd.oci.image.manifest.v1+json",
    )
    shutil.make_archive(str(archive), "tar", layout)
    assert "Loaded image" in engine.docker_ok("load", "-i", f"{archive}.tar")


def _file(members: tarfile.TarFile, name: str) -> bytes:
    content = members.extractfile(name)
    assert content is not None
    return content.read()


def _member(members: tarfile.TarFile, index: Any) -> bytes:
    digest = index["manifests"][0]["digest"].removeprefix("sha256:")
    return _file(members, f"blobs/sha256/{digest}")


def test_the_same_epoch_makes_the_same_digests(engine: Engine, client: BuildClient) -> None:
    """Built twice with nothing kept: the same bytes, index and all."""
    digests = set()
    for turn in range(2):
        told = client.directory.parent / f"told{turn}"
        output = f"type=oci,dest={client.directory.parent}/made.tar,rewrite-timestamp=true"
        words = ("--build-arg", "SOURCE_DATE_EPOCH=1000000000", "--metadata-file", str(told))
        buildx(client, *words, "-o", output, "--provenance=false")
        digests.add(json.loads(told.read_text())["containerimage.digest"])
        remove_what_was_built(engine)
    assert len(digests) == 1


def test_the_same_bytes_at_another_time(engine: Engine, client: BuildClient) -> None:
    """With SOURCE_DATE_EPOCH a build that runs everything again makes the same image."""
    client.write(
        Dockerfile="FROM busybox\nRUN mkdir -p /d/e; date > /dev/null; echo x > /d/f\nCOPY . /c/"
    )
    wanted = ("-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000")
    first, second = (
        classic_build(engine, client.directory, *wanted).stdout.strip() for _time in range(2)
    )
    assert first == second
    moments = output_of(engine, first, "stat", "-c", "%Y", "/d/f", "/d/e").split()
    assert moments == ["1700000000", "1700000000"]
    created = engine.docker_ok("image", "inspect", "-f", "{{.Created}}", first)
    assert created.startswith("2023-11-14T22:13:20")
    soon = ("--build-arg", "SOURCE_DATE_EPOCH=soon")
    refused = classic_build(engine, client.directory, *soon, check=False)
    assert "invalid SOURCE_DATE_EPOCH: soon" in refused.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("-o", "type=image,colour=red"), "type=image,colour=red"),
        (("-o", "type=image,push=maybe"), "failed to parse push"),
        (("-o", "type=oci,dest=x,compression=rar"), "unsupported layer compression type: rar"),
        (("-o", "type=oci,dest=x,rewrite-timestamp=true"), "rewrite-timestamp needs"),
        (("--sbom=true",), "an SBOM without a scanner"),
        (("--provenance=mode=most",), "invalid mode"),
        (("--provenance=true", "-o", "type=docker,dest=x"), "attestations of type=docker"),
        (("-o", "type=local,dest=x,attestation-prefix=a/b"), "invalid attestation-prefix 'a/b'"),
        (("-o", "type=oci,dest=x,attestation-prefix=a"), "type=oci,attestation-prefix=a"),
        (("--annotation", "index:a=b"), "index annotations not supported"),
        (("--attest", "type=magic"), "unknown attestation type"),
        (("-o", "type=image,name=a:b,push=true,push-by-digest=true"), "by digest"),
    ],
)
def test_what_can_not_be_had_is_named(
    engine: Engine, client: BuildClient, words: tuple[str, ...], complaint: str
) -> None:
    """With its value, and before anything is built where that is possible."""
    ran = engine.wherry("build", *words, str(client.directory))
    assert ran.returncode != 0
    assert complaint in ran.stdout + ran.stderr


SCANNER = """\
test "$(pwd)" = /tmp
touch $BUILDKIT_SCAN_SOURCE/x && exit 9
echo looking
cat > $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json <<END
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document",
 "subject": [],
 "predicate": {"name": "$BUILDKIT_SCAN_NAME", "files": "$(ls $BUILDKIT_SCAN_SOURCE)",
               "extras": "$(cd ${BUILDKIT_SCAN_SOURCE_EXTRAS:-/tmp}; echo */*)"}}
END
"""


def scanner(engine: Engine, place: Path, script: str) -> None:
    """An image that scans, or does what else a script says."""
    write_tree(
        place,
        {
            "scan": script,
            "Dockerfile": "FROM busybox\nCOPY scan /\nWORKDIR /tmp\nUSER 0\n"
            'ENTRYPOINT ["/bin/sh"]\nCMD ["/scan"]\n',
        },
    )
    assert engine.wherry("build", "-q", "-t", "scanner", str(place)).returncode == 0


@BUILDERS
def test_a_scanner_says_what_is_in_an_image(
    engine: Engine, client: BuildClient, registry: str, build: Build
) -> None:
    """What it writes stands beside the image, together with where the image comes from."""
    scanner(engine, client.directory.parent / "scanner", SCANNER)
    client.write(Dockerfile="FROM scratch\nCOPY Dockerfile /inside\n")
    path = f"scanned-{build.__name__}"
    build(
        client, "--attest", "type=sbom,generator=scanner,NAME=given", "--provenance=true",
        "-t", f"{registry}/{path}:1", "--push",
    )  # fmt: skip
    published = Published(engine, registry, path)
    index = published.manifest("1")
    (entry,) = [each for each in index["manifests"] if each["platform"]["os"] == "unknown"]
    layers = published.manifest(entry["digest"])["layers"]
    kinds = [each["annotations"]["in-toto.io/predicate-type"] for each in layers]
    assert kinds == ["https://spdx.dev/Document", PROVENANCE]
    said = json.loads(published.blob(layers[0]))
    assert said["predicate"] == {"name": "given", "files": "inside", "extras": "*/*"}
    assert said["subject"][0]["digest"]["sha256"] in images_of(index)[0]["digest"]


@BUILDERS
def test_a_scanner_sees_what_the_dockerfile_says(
    engine: Engine, client: BuildClient, build: Build
) -> None:
    """Stages that are needed and the context; what it says of files is a file among them."""
    scanner(engine, client.directory.parent / "scanner", SCANNER)
    client.write(
        Dockerfile="ARG BUILDKIT_SBOM_SCAN_CONTEXT=true\n"
        "FROM busybox AS idle\nARG BUILDKIT_SBOM_SCAN_STAGE=true\n"
        "FROM busybox AS unseen\nRUN touch /other\n"
        "FROM busybox AS tools\nARG BUILDKIT_SBOM_SCAN_STAGE=true\n"
        "COPY --from=unseen /other /\nRUN echo ${BUILDKIT_SBOM_SCAN_STAGE:-nothing} > /tool\n"
        "FROM scratch\nCOPY --from=tools /tool /inside\n",
        context_txt="of the context\n",
    )
    place = client.directory.parent / "files"
    build(client, "--sbom=generator=scanner", "-o", f"type=local,dest={place}")
    assert (place / "inside").read_text() == "nothing\n", "the argument is for scanners alone"
    said = json.loads((place / "sbom.spdx.json").read_text())["predicate"]
    extras = said["extras"].split()
    assert said["files"] == "inside"
    assert {"sbom-context/context.txt", "sbom-tools/tool"} <= {*extras}
    assert {each.partition("/")[0] for each in extras} == {"sbom-context", "sbom-tools"}


@BUILDERS
def test_what_is_attested_stands_beside_files(client: BuildClient, build: Build) -> None:
    """In the directory or tar, about each file; platforms that share one have names apart."""
    client.write(Dockerfile=SCRATCH + "COPY Dockerfile /d/e\n")
    digest = hashlib.sha256((client.directory / "Dockerfile").read_bytes()).hexdigest()
    place = client.directory.parent / "files"
    build(client, "--provenance=true", "-o", f"type=tar,dest={place}.tar")
    with tarfile.open(f"{place}.tar") as archive:
        assert archive.getmember("provenance.json").mode == 0o600
        told = archive.extractfile("provenance.json")
        assert told is not None
        said = json.load(told)
    assert said["predicateType"] == PROVENANCE
    assert said["subject"] == [
        {"name": name, "digest": {"sha256": digest}} for name in ("d/e", "of-amd64")
    ]
    wish = f"type=local,dest={place},platform-split=false,attestation-prefix=my."
    words = ("--provenance=true", "--platform", BOTH, "-o", wish)
    with pytest.raises(AssertionError, match="cannot overwrite d/e from linux/amd64 with linux/a"):
        build(client, *words)
    client.write(Dockerfile=SCRATCH)
    build(client, *words)
    assert sorted(each.name for each in place.iterdir()) == [
        *(f"my.provenance.linux_{each}.json" for each in ("amd64", "arm64")),
        *(f"of-{each}" for each in ("amd64", "arm64")),
    ]


def test_a_scanner_that_is_none(engine: Engine, client: BuildClient) -> None:
    """What it leaves is a stranger's: no link is followed; the build fails, and leaves nothing."""
    place = client.directory.parent / "scanner"
    scanner(engine, place, "exit 3")
    engine.docker_ok("builder", "prune", "-af")
    before = engine.settled_census()
    for script, complaint in (
        ("exit 3", "did not complete successfully: exit code: 3"),
        ("ln -s /etc/passwd $BUILDKIT_SCAN_DESTINATION/a.json", "a.json: Too many levels"),
    ):
        scanner(engine, place, script)
        refused = engine.wherry(
            "build", "--sbom=generator=scanner", "-t", "never", str(client.directory)
        )
        assert refused.returncode == 1
        assert complaint in refused.stderr, refused.stderr
        assert "generating sbom using docker.io/library/scanner:latest" in refused.stderr
        assert engine.docker("image", "inspect", "never").returncode == 1
    scanner(engine, place, "exit 3")
    engine.docker_ok("image", "prune", "-f")
    engine.docker_ok("builder", "prune", "-af")
    assert not [each for each in engine.leaks_since(before) if "blob" not in each]
