"""Provenance: what a result was made of and how, as SLSA v0.2 has it.

`mode=min` tells the bases with their digests and when it was built; `mode=max` also what was asked
for (build arguments among it), the Dockerfile, and each step with its key.
https://slsa.dev/spec/v0.2/provenance
"""

import base64
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from wherry.builder.planning import PlannedStep, Step
from wherry.builder.results.statements import Predicate, asked_for
from wherry.builder.solver import Vertex
from wherry.kit.clock import Clock
from wherry.kit.random_ids import new_id
from wherry.kit.timestamps import rfc3339_nano
from wherry.kit.values import dataclass
from wherry.model.builds import BuildRequest
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.oci.image_spec import Platform
from wherry.oci.json_fields import Json, JsonObject, present
from wherry.oci.platforms import formatted

PREDICATE_TYPE = "https://slsa.dev/provenance/v0.2"
_BUILD_TYPE = "urn:wherry:dockerfile:v1"
_SOURCE = "urn:wherry:dockerfile:v1#source"
_KEYS = ("mode", "builder-id", "inline-only", "reproducible", "disabled", "version", "type")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceWish:
    """What `--provenance` asks for."""

    is_complete: bool = False
    """`mode=max`."""
    builder_id: str = ""
    is_reproducible: bool = False
    is_inline_only: bool = False
    """Only where it has a place beside the result, and nothing is to be said elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """An image that a build began with."""

    reference: str
    platform: str
    digest: str

    def as_document(self) -> JsonObject:
        """As a package URL and its digest."""
        name, at, _digest = self.reference.partition("@")
        repository, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            repository, tag = name, "latest" if not at else ""
        version = f"@{tag}" if tag else ""
        uri = f"pkg:docker/{repository}{version}?platform={quote(self.platform, safe='')}"
        return {"uri": uri, "digest": {"sha256": self.digest.removeprefix("sha256:")}}


def wanted_provenance(attests: Mapping[str, str]) -> ProvenanceWish | None:
    """What a request's attestations ask for; None for none.

    Raises: FeatureMissing, InvalidValue.
    """
    given = asked_for(attests, "provenance")
    if given is None:
        return None
    for name, value in given.items():
        if name not in _KEYS:
            raise FeatureMissing(f"provenance attestation {name}={value}")
    if given.get("version", "v0.2") != "v0.2":
        raise FeatureMissing(f"provenance of version {given['version']}")
    mode = given.get("mode", "min")
    if mode not in ("min", "max", ""):
        raise InvalidValue(f"invalid mode {mode!r}: must be one of min, max")
    return ProvenanceWish(
        is_complete=mode == "max",
        builder_id=given.get("builder-id", ""),
        is_reproducible=given.get("reproducible", "false") == "true",
        is_inline_only=given.get("inline-only", "false") == "true",
    )


class ProvenanceFacts:
    """What is known of a build; it began when this was made."""

    def __init__(
        self, request: BuildRequest, dockerfile: bytes, host: Platform, clock: Clock
    ) -> None:
        self._request = request
        self._dockerfile = dockerfile
        self._host = host
        self._clock = clock
        self._started_at_ns = clock.now_ns()
        self._invocation = new_id()[:25]
        self._materials: Sequence[Material] = ()
        self._steps: Sequence[tuple[str, str]] = ()
        self._secrets: Sequence[str] = ()

    def learn(
        self,
        order: Sequence[Vertex[PlannedStep]],
        keys: Sequence[str],
        materials: Sequence[Material],
    ) -> None:
        """The steps, by their keys, and the images that were found for them."""
        self._steps = [
            (vertex.label, key) for vertex, key in zip(order, keys, strict=True) if vertex.label
        ]
        asked = [
            origin.mount.options.get("id", "")
            for vertex in order
            if isinstance(vertex.step, Step)
            for origin in vertex.step.mounts
            if origin.mount.kind == "secret"
        ]
        self._secrets = list(dict.fromkeys(asked))
        self._materials = list(dict.fromkeys(materials))

    def predicate(self, wish: ProvenanceWish) -> Predicate:
        """What is said of each result; it is of the time when it is asked for."""
        return Predicate(type=PREDICATE_TYPE, content=self._content(wish), file="provenance.json")

    def _content(self, wish: ProvenanceWish) -> JsonObject:
        return {
            "builder": {"id": wish.builder_id},
            "buildType": _BUILD_TYPE,
            "materials": [each.as_document() for each in self._materials],
            "invocation": self._invoked(is_complete=wish.is_complete),
            "metadata": {
                "buildInvocationID": self._invocation,
                "buildStartedOn": rfc3339_nano(self._started_at_ns),
                "buildFinishedOn": rfc3339_nano(self._clock.now_ns()),
                "completeness": {
                    "parameters": wish.is_complete,
                    "environment": True,
                    "materials": False,
                },
                "reproducible": wish.is_reproducible,
                **(self._sources() if wish.is_complete else {}),
            },
            **(self._made() if wish.is_complete else {}),
        }

    def _invoked(self, *, is_complete: bool) -> JsonObject:
        """What was asked for; all of it only where all is to be told."""
        request = self._request
        more: JsonObject = {
            "args": _arguments(request),
            "secrets": [{"id": each} for each in self._secrets],
        }
        contexts = () if request.remote else ("context", "dockerfile")
        return {
            "configSource": present(entryPoint=request.dockerfile, uri=request.remote or None),
            "parameters": {
                "frontend": "dockerfile.v0",
                "locals": [{"name": each} for each in contexts],
                **(more if is_complete else {}),
            },
            "environment": {"platform": formatted(self._host)},
        }

    def _made(self) -> JsonObject:
        steps: Sequence[Json] = [{"line": text, "key": key} for text, key in self._steps]
        return {"buildConfig": {"steps": steps}}

    def _sources(self) -> JsonObject:
        told = base64.b64encode(self._dockerfile).decode()
        return {_SOURCE: {"infos": [{"filename": self._request.dockerfile, "data": told}]}}


def _arguments(request: BuildRequest) -> Mapping[str, Json]:
    """The options of the build, by the names that clients give them."""
    options = {
        "target": request.target,
        "platform": ",".join(request.platforms),
        "no-cache": "" if request.uses_cache else "true",
    }
    pairs = {f"build-arg:{name}": value or "" for name, value in request.arguments.items()}
    pairs |= {f"label:{name}": value for name, value in request.labels.items()}
    return pairs | {name: value for name, value in options.items() if value}
