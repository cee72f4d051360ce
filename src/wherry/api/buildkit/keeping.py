"""What the builder keeps, as BuildKit's `du` and `prune` speak of it.

A filter is a text in containerd's language: claims of one record, joined by commas, of the form
`field==value`, `field!=value`, `field~=pattern`, or a field alone, which must not be empty. A
record is chosen when one of the filters holds.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from wherry.model.builds import CacheKind, CachePrune, CacheRecord
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.wire.buildkit.control import PruneRequest, UsageRecord
from wherry.wire.protobuf import timestamp

_CLAIM = re.compile(r"([A-Za-z]+)(?:(==|!=|~=)(.*))?")
_FIELDS: Mapping[str, Callable[[UsageRecord], str]] = {
    "id": lambda record: record.ID,
    "type": lambda record: record.RecordType,
    "description": lambda record: record.Description,
    "parents": lambda record: ";".join(record.Parents),
    "inuse": lambda record: "true" if record.InUse else "",
    "shared": lambda record: "true" if record.Shared else "",
    "private": lambda record: "" if record.Shared else "true",
    "mutable": lambda record: "true" if record.Mutable else "",
    "immutable": lambda record: "" if record.Mutable else "true",
}


def chosen(records: Sequence[UsageRecord], filters: Sequence[str]) -> list[UsageRecord]:
    """Those for which a filter holds; all where there is none. Raises: InvalidValue."""
    alternatives = [list(_claims(text)) for text in filters]
    return [
        record
        for record in records
        if not alternatives
        or any(all(_holds(record, claim) for claim in claims) for claims in alternatives)
    ]


def to_cache_prune(request: PruneRequest) -> CachePrune:
    """What is to go. Raises: InvalidValue, FeatureMissing."""
    filters: dict[str, tuple[str, ...]] = {}
    if len(request.filter) > 1:
        raise FeatureMissing("pruning by alternative filters")
    for field, comparison, value in (c for text in request.filter for c in _claims(text)):
        if comparison == "!=" or field in ("mutable", "immutable", "parents"):
            raise FeatureMissing(f"pruning by {field}{comparison}{value}")
        filters[field] = (value or "true",)
    if request.keepDuration:
        filters["until"] = (f"{request.keepDuration // 1_000_000_000}s",)
    return CachePrune(
        takes_all=request.all,
        filters=filters,
        reserved_bytes=request.reservedSpace,
        most_bytes=request.maxUsedSpace,
        least_free_bytes=request.minFreeSpace,
    )


def to_usage_record(record: CacheRecord) -> UsageRecord:
    """A result that a later build may use again."""
    return UsageRecord(
        ID=record.shown_id,
        Mutable=record.kind is CacheKind.CACHE_MOUNT,
        InUse=record.is_in_use,
        Size=record.size_bytes,
        CreatedAt=timestamp(record.created_at_ns),
        LastUsedAt=timestamp(record.used_at_ns),
        UsageCount=record.use_count,
        Description=record.description,
        RecordType=record.kind.value,
        Shared=record.is_shared,
        Parents=[each[: len(record.shown_id)] for each in record.parents],
    )


def _claims(text: str) -> Iterator[tuple[str, str, str]]:
    for each in text.split(",") if text else ():
        claim = _CLAIM.fullmatch(each.strip())
        if claim is None or claim[1].lower() not in _FIELDS:
            raise InvalidValue(f"failed to parse filter {each}")
        yield claim[1].lower(), claim[2] or "", claim[3] or ""


def _holds(record: UsageRecord, claim: tuple[str, str, str]) -> bool:
    field, comparison, value = claim
    found = _FIELDS[field](record)
    match comparison:
        case "==":
            return found == value
        case "!=":
            return found != value
        case "~=":
            return value in found
        case _:
            return bool(found)
