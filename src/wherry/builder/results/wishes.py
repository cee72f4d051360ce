"""What the attributes of an output ask for, in BuildKit's words.

Each attribute is understood, or refused by its name: one that is passed over would be a promise
that nobody keeps.
"""

import re
from collections.abc import Iterator, Mapping

from wherry.builder.compressions import compression_named
from wherry.kit.values import dataclass
from wherry.model.builds import BuildOutput, OutputKind
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.snapshots import Compression

_SWITCHES = {
    OutputKind.IMAGE: (
        "push", "push-by-digest", "name-canonical", "force-compression", "oci-mediatypes",
        "rewrite-timestamp", "unpack", "store", "load",
    ),
    OutputKind.OCI: ("tar", "force-compression", "oci-mediatypes", "rewrite-timestamp"),
    OutputKind.DOCKER: ("tar", "force-compression", "oci-mediatypes", "rewrite-timestamp"),
    OutputKind.LOCAL: ("platform-split",),
    OutputKind.TAR: ("platform-split",),
}  # fmt: skip
_OF_FILES = (OutputKind.LOCAL, OutputKind.TAR)
_TEXTS = ("name", "compression", "dest")
_PREFIX = "attestation-prefix"
_MEANT = {"oci-mediatypes": "true", "unpack": "true", "store": "true", "load": "true"}
"""Switches that are as they are: the other way is not there."""
_ANNOTATION = re.compile(
    r"annotation(?:-(manifest|index|manifest-descriptor|index-descriptor))?"
    r"(?:\[([^\]]+)\])?\.(.+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One `--annotation`."""

    place: str
    """`manifest`, `index`, `manifest-descriptor` or `index-descriptor`."""
    platform: str
    """Empty: all of them."""
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputWish:
    """One output, understood."""

    names: tuple[str, ...] = ()
    """What the output itself is to be called."""
    is_pushed: bool = False
    is_pushed_by_digest: bool = False
    is_name_canonical: bool = False
    is_tar: bool = True
    compression: Compression | None = None
    """None: nothing was said."""
    forces_compression: bool = False
    splits_platforms: bool | None = None
    """None: where there are several."""
    attestation_prefix: str = ""
    """What the names of statements begin with, among files."""
    annotations: tuple[Annotation, ...] = ()

    def annotated(self, place: str, platform: str = "") -> Mapping[str, str]:
        """The annotations of one place."""
        return {
            each.key: each.value
            for each in self.annotations
            if each.place == place and each.platform in ("", platform)
        }


def read_wish(output: BuildOutput, *, has_epoch: bool) -> OutputWish:
    """Raises: InvalidValue, FeatureMissing."""
    given = output.attributes
    annotations = tuple(_annotations(given))
    for name, value in given.items():
        _check(output.kind, name, value)
    if given.get("rewrite-timestamp") == "true" and not has_epoch:
        raise InvalidValue("rewrite-timestamp needs the build argument SOURCE_DATE_EPOCH")
    if annotations and output.kind in (*_OF_FILES, OutputKind.DOCKER):
        raise InvalidValue(f"annotations are not supported by the {output.kind.value} exporter")
    prefix, compression = given.get(_PREFIX, ""), given.get("compression", "")
    if "/" in prefix or "\0" in prefix:
        raise InvalidValue(f"invalid {_PREFIX} {prefix!r}: it begins the name of a file")
    split = given.get("platform-split")
    return OutputWish(
        names=tuple(each for each in map(str.strip, given.get("name", "").split(",")) if each),
        is_pushed=given.get("push") == "true",
        is_pushed_by_digest=given.get("push-by-digest") == "true",
        is_name_canonical=given.get("name-canonical") == "true",
        is_tar=given.get("tar", "true") == "true",
        compression=compression_named(compression) if compression else None,
        forces_compression=given.get("force-compression") == "true",
        splits_platforms=None if split is None else split == "true",
        attestation_prefix=prefix,
        annotations=annotations,
    )


def _check(kind: OutputKind, name: str, value: str) -> None:
    is_text = name in _TEXTS or (name == _PREFIX and kind in _OF_FILES)
    if is_text or _ANNOTATION.fullmatch(name):
        return
    if name not in _SWITCHES[kind]:
        raise FeatureMissing(f"type={kind.value},{name}={value}")
    if value not in ("true", "false"):
        raise InvalidValue(f"failed to parse {name}: {value!r} is neither true nor false")
    if name in _MEANT and value != _MEANT[name]:
        raise FeatureMissing(f"type={kind.value},{name}={value}")


def _annotations(given: Mapping[str, str]) -> Iterator[Annotation]:
    for name, value in given.items():
        found = _ANNOTATION.fullmatch(name)
        if found is not None:
            place, platform, key = found.groups()
            yield Annotation(
                place=place or "manifest", platform=platform or "", key=key, value=value
            )
