"""From a client's words, `SolveRequest` and the frontend's options, to what the builder is asked.

The options of the frontend `dockerfile.v0` are one flat map of texts; `dockerui` in BuildKit is
where they are defined.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from wherry.api.translate.networking import to_network_mode
from wherry.kit.byte_sizes import parse_size
from wherry.model.build_inquiries import Inquiry
from wherry.model.builds import BuildOutput, BuildRequest, CacheStore, OutputKind
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.model.limits import Limits, Ulimit
from wherry.model.networks import NetworkMode
from wherry.wire.buildkit.control import CacheOptionsEntry, Exporter, SolveRequest

Options = Mapping[str, str]

_KINDS = {kind.value: kind for kind in OutputKind} | {"moby": OutputKind.IMAGE}
_UNTOUCHED = frozenset({"", "default", "sandbox"})


def to_build_request(request: SolveRequest, options: Options) -> BuildRequest:
    """Raises: InvalidValue, FeatureMissing."""
    cache = request.Cache
    imports = [*(cache.Imports if cache else ()), *_cache_imports(options)]
    return BuildRequest(
        dockerfile=options.get("filename") or "Dockerfile",
        remote=_remote(options.get("context", "")),
        target=options.get("target", ""),
        inquiry=to_inquiry(options),
        arguments=_with_prefix(options, "build-arg:"),
        labels=_with_prefix(options, "label:"),
        platforms=tuple(each for each in options.get("platform", "").split(",") if each),
        uses_cache=options.get("no-cache") != "",
        uncached_stages=tuple(each for each in options.get("no-cache", "").split(",") if each),
        pulls_always=options.get("image-resolve-mode") == "pull",
        entitlements=frozenset(request.Entitlements),
        attests=_with_prefix(options, "attest:"),
        outputs=tuple(to_output(each) for each in exporters(request)),
        cache_imports=tuple(to_cache_store(each) for each in imports),
        cache_exports=tuple(to_cache_store(each) for each in (cache.Exports if cache else ())),
        network=_network(options.get("force-network-mode", "")),
        extra_hosts=tuple(_extra_hosts(options.get("add-hosts", ""))),
        limits=Limits(ulimits=tuple(_ulimits(options.get("ulimit", "")))),
        shm_bytes=_size("shm-size", options.get("shm-size", "")),
        cgroup_parent=options.get("cgroup-parent", ""),
    )


def exporters(request: SolveRequest) -> Sequence[Exporter]:
    """Where the result goes; older clients name one exporter only."""
    if request.Exporters or not request.ExporterDeprecated:
        return request.Exporters
    return [Exporter(Type=request.ExporterDeprecated, Attrs=request.ExporterAttrsDeprecated)]


def to_output(exporter: Exporter) -> BuildOutput:
    """Raises: InvalidValue."""
    kind = _KINDS.get(exporter.Type)
    if kind is None:
        raise InvalidValue(f'exporter "{exporter.Type}" could not be found')
    return BuildOutput(kind=kind, attributes=exporter.Attrs)


def to_cache_store(entry: CacheOptionsEntry) -> CacheStore:
    """A cache elsewhere."""
    return CacheStore(kind=entry.Type, attributes=entry.Attrs)


def _remote(place: str) -> str:
    """The URL of a context that the engine fetches; empty for one that the client has."""
    is_clients = place.startswith(("local:", "http://buildkit-session/"))
    return "" if is_clients else place


def to_inquiry(options: Options) -> Inquiry | None:
    """What the frontend is asked in place of a build. Raises: FeatureMissing."""
    asked = options.get("requestid", "")
    try:
        return Inquiry(asked.removeprefix("frontend.")) if asked else None
    except ValueError:
        raise FeatureMissing(f"the request {asked} to the frontend") from None


def _with_prefix(options: Options, prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(prefix): value
        for name, value in options.items()
        if name.startswith(prefix)
    }


def _network(text: str) -> NetworkMode:
    return NetworkMode() if text in _UNTOUCHED else to_network_mode(text)


def _extra_hosts(text: str) -> Iterator[str]:
    """`name=address,...`; elsewhere in the API they are written with a colon."""
    for each in text.split(",") if text else ():
        name, equals, address = each.partition("=")
        if not equals:
            raise InvalidValue(f"invalid key-value pair: {each}")
        yield f"{name}:{address}"


def _ulimits(text: str) -> Iterator[Ulimit]:
    for each in text.split(",") if text else ():
        name, _equals, values = each.partition("=")
        soft, _colon, hard = values.partition(":")
        try:
            yield Ulimit(name=name, soft=int(soft), hard=int(hard or soft))
        except ValueError:
            raise InvalidValue(f"invalid ulimit argument: {each}") from None


def _size(name: str, text: str) -> int:
    try:
        return parse_size(text) if text else 0
    except ValueError as error:
        raise InvalidValue(f"could not parse {name}: {error}") from None


def _cache_imports(options: Options) -> Iterator[CacheOptionsEntry]:
    """What buildx puts into the frontend's options, as JSON."""
    text = options.get("cache-imports", "")
    try:
        entries = json.loads(text) if text else []
        for entry in entries:
            yield CacheOptionsEntry(Type=entry["Type"], Attrs=entry.get("Attrs") or {})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidValue(f"failed to unmarshal cache-imports: {text!r}") from None
