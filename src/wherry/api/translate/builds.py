"""From the query of `POST /build` to what the builder is asked for."""

from collections.abc import Mapping
from typing import TypeVar

from wherry.api.call import Call
from wherry.api.translate.networking import to_network_mode
from wherry.api.translate.registries import decoded_header, to_credentials
from wherry.kit.timestamps import rfc3339_nano
from wherry.model.build_inquiries import Inquiry
from wherry.model.builds import (
    BuildOutput,
    BuildRequest,
    CachePrune,
    CacheRecord,
    CacheStore,
    HistoryForm,
    OutputKind,
)
from wherry.model.errors import InvalidValue
from wherry.model.limits import Limits, Ulimit
from wherry.registry import Credentials
from wherry.wire.builds import CacheRow, Output
from wherry.wire.container_config import Ulimit as UlimitShape
from wherry.wire.lenient import Decoder, InvalidJson
from wherry.wire.registries import AuthConfig

T = TypeVar("T")

_FROM_SESSION = "client-session"
_ARGUMENTS = Decoder(dict[str, str | None])
_LABELS = Decoder(dict[str, str])
_ULIMITS = Decoder(list[UlimitShape])
_REFERENCES = Decoder(list[str])
_OUTPUTS = Decoder(list[Output])
_IMAGE_CONTEXT = "docker-image://"
_LAYOUT_CONTEXT = "oci-layout://"
LOCAL_CONTEXT = "local:"
"""What the name of a directory on a client's session begins with."""
_AUTHS = Decoder(dict[str, AuthConfig])


def to_build_request(call: Call) -> BuildRequest:
    """Raises: InvalidValue, FeatureMissing."""
    _refuse_unbuilt(call)
    return BuildRequest(
        dockerfile=call.text("dockerfile") or "Dockerfile",
        remote=call.text("remote").removeprefix(_FROM_SESSION),
        names=tuple(name for name in call.texts("t") if name),
        target=call.text("target"),
        arguments=_json(call, "buildargs", "error reading build args", _ARGUMENTS) or {},
        labels=_json(call, "labels", "error reading labels", _LABELS) or {},
        platforms=tuple(each for each in call.text("platform").split(",") if each),
        inquiry=_inquiry(call.text("inquiry")),
        only_plans=call.flag("plan"),
        measures=call.flag("profile"),
        uses_cache=not call.flag("nocache"),
        pulls_always=call.flag("pull"),
        is_quiet=call.flag("q"),
        uncached_stages=tuple(call.texts("nocachefilter")),
        squashes=call.flag("squash"),
        entitlements=frozenset(call.texts("allow")),
        outputs=_outputs(call),
        attests=_json(call, "attests", "error reading attestations", _LABELS) or {},
        cache_imports=_cache_imports(call),
        cache_exports=_cache_stores(call, "cacheto"),
        contexts=_contexts(call),
        agents=_json(call, "ssh", "error reading agents", _LABELS) or {},
        keeps_containers=not call.flag("rm", default=True) and not call.flag("forcerm"),
        network=to_network_mode(call.text("networkmode")),
        extra_hosts=tuple(
            each for text in call.texts("extrahosts") for each in text.split(",") if each
        ),
        limits=Limits(
            memory_bytes=call.integer("memory") or 0,
            memory_swap_bytes=call.integer("memswap") or 0,
            cpu_shares=call.integer("cpushares") or 0,
            cpu_period_us=call.integer("cpuperiod") or 0,
            cpu_quota_us=call.integer("cpuquota") or 0,
            cpuset_cpus=call.text("cpusetcpus"),
            cpuset_mems=call.text("cpusetmems"),
            ulimits=tuple(
                Ulimit(name=each.Name, soft=each.Soft, hard=each.Hard)
                for each in _json(call, "ulimits", "error reading ulimit settings", _ULIMITS) or ()
            ),
        ),
        shm_bytes=call.integer("shmsize") or 0,
        cgroup_parent=call.text("cgroupparent"),
        history=HistoryForm.BUILDKIT if _is_buildkit(call) else HistoryForm.CLASSIC,
        discards_volumes=not _is_buildkit(call),
    )


def _is_buildkit(call: Call) -> bool:
    """Whether the client wants what BuildKit gives, and no old builder's transcript."""
    return has_session(call) or call.flag("story")


def has_session(call: Call) -> bool:
    """Whether the client offers its files on a session. Raises: InvalidValue."""
    match call.text("version"):
        case "" | "1":
            return False
        case "2":
            return True
        case other:
            raise InvalidValue(f"invalid version {other}")


def to_build_credentials(header: str) -> Mapping[str, Credentials]:
    """`X-Registry-Config`: credentials by registry; Docker forgives what it can't read."""
    try:
        configs = _AUTHS.decode(decoded_header(header) or b"{}")
    except (ValueError, InvalidJson):
        return {}
    return {name: to_credentials(config) for name, config in configs.items()}


def to_cache_row(record: CacheRecord) -> CacheRow:
    """A result that a later build may use again."""
    return CacheRow(
        ID=record.shown_id,
        Type=record.kind.value,
        Description=record.description,
        InUse=record.is_in_use,
        Shared=record.is_shared,
        Size=record.size_bytes,
        CreatedAt=rfc3339_nano(record.created_at_ns),
        LastUsedAt=rfc3339_nano(record.used_at_ns),
        UsageCount=record.use_count,
        Parents=[each[:25] for each in record.parents] or None,
    )


def to_cache_prune(call: Call) -> CachePrune:
    """The query of `POST /build/prune`. Raises: InvalidValue."""
    return CachePrune(
        takes_all=call.flag("all"),
        filters={name: tuple(values) for name, values in call.filters().items()},
        reserved_bytes=call.integer("reserved-space") or call.integer("keep-storage") or 0,
        most_bytes=call.integer("max-used-space") or 0,
        least_free_bytes=call.integer("min-free-space") or 0,
    )


def _refuse_unbuilt(call: Call) -> None:
    if call.texts("securityopt"):
        raise InvalidValue(
            "The daemon on this platform does not support setting security options on build"
        )
    if call.text("isolation") not in ("", "default"):
        raise InvalidValue(f'Unsupported isolation: "{call.text("isolation")}"')


def _inquiry(text: str) -> Inquiry | None:
    try:
        return Inquiry(text) if text else None
    except ValueError:
        raise InvalidValue(f"inquiry {text!r} is none of lint, outline, targets") from None


def _outputs(call: Call) -> tuple[BuildOutput, ...]:
    """`outputs`: a list of what becomes of the result; an image where it is not there."""
    wanted = _json(call, "outputs", "invalid outputs specified", _OUTPUTS)
    return tuple(_output(each) for each in wanted or (Output(Type="image"),))


def _output(wanted: Output) -> BuildOutput:
    try:
        kind = OutputKind(wanted.Type)
    except ValueError:
        raise InvalidValue(f'exporter "{wanted.Type}" could not be found') from None
    return BuildOutput(kind=kind, attributes=wanted.Attrs)


def _cache_imports(call: Call) -> tuple[CacheStore, ...]:
    """`cachefrom`: references, as Docker's clients send them; `cacheimports` is ours."""
    found = _json(call, "cachefrom", "error reading cache-from", _REFERENCES) or ()
    images = (CacheStore(kind="registry", attributes={"ref": each}) for each in found)
    return (*images, *_cache_stores(call, "cacheimports"))


def _cache_stores(call: Call, name: str) -> tuple[CacheStore, ...]:
    given = _json(call, name, f"error reading {name}", _OUTPUTS) or ()
    return tuple(CacheStore(kind=each.Type, attributes=each.Attrs) for each in given)


def _contexts(call: Call) -> Mapping[str, str]:
    """Named contexts: images, and what a client offers on its session. Raises: InvalidValue."""
    found = {}
    given = _json(call, "contexts", "error reading contexts", _LABELS) or {}
    for name, place in given.items():
        is_offered = place.startswith(LOCAL_CONTEXT) and has_session(call)
        if not is_offered and not place.startswith((_IMAGE_CONTEXT, _LAYOUT_CONTEXT)):
            raise InvalidValue(f"context {name}: {place!r} does not begin with {_IMAGE_CONTEXT}")
        found[name.lower()] = place.removeprefix(_IMAGE_CONTEXT)
    return found


def _json(call: Call, name: str, problem: str, decoder: Decoder[T]) -> T | None:
    text = call.text(name)
    if not text:
        return None
    try:
        return decoder.decode(text.encode())
    except InvalidJson as error:
        raise InvalidValue(f"{problem}: {error}") from error
