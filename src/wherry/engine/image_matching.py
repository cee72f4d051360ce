"""The `filters` of an image list: which images pass, and under which of their names."""

import re
from collections.abc import Collection, Iterable, Sequence

from wherry.engine.filters import FilterReader
from wherry.images import ImageStore
from wherry.kit.values import replace
from wherry.model.errors import InvalidValue
from wherry.model.images import Image
from wherry.model.queries import Filters

FILTER_KEYS = frozenset({"before", "dangling", "label", "label!", "reference", "since", "until"})


def matching_images(
    store: ImageStore, filters: Filters, *, now_ns: int, wants_all: bool = False
) -> Sequence[Image]:
    """Images that match, newest first, each with the names that match.

    A name that leads to images of several platforms is listed once, with the one it means here.
    Images without a name that others were made from are left out unless all are wanted.

    Raises: InvalidValue for a key or a value; ImageNotFound for `before` and `since`.
    """
    given = FilterReader(filters, FILTER_KEYS)
    is_dangling = given.claim("dangling")
    earliest, latest = _created_after(given, store), _created_before(given, store, now_ns)
    patterns = [_path_pattern(each) for each in given.values("reference")]
    parents = parent_ids(store.list())

    def shown(image: Image) -> Image | None:
        created = image.created_at_ns or 0
        is_within = all(created > each for each in earliest) and all(
            created < each for each in latest
        )
        if not (is_within and given.labels_match(image.config.labels)):
            return None
        if not image.references and (
            is_dangling is False
            or "reference" in given
            or (image.id in parents and (is_dangling or not wants_all))
        ):
            return None
        if image.references and is_dangling:
            return None
        leading = store.leading_names(image)
        if image.references and not leading:
            return None
        image = replace(image, references=tuple(sorted(leading)))
        return image if not patterns else _narrowed(image, patterns)

    found = [each for image in store.list() if (each := shown(image)) is not None]
    return sorted(found, key=lambda each: each.created_at_ns or 0, reverse=True)


def parent_ids(images: Iterable[Image]) -> Collection[str]:
    """The images that another one says it was made from."""
    return {image.parent for image in images if image.parent}


def _created_after(given: FilterReader, store: ImageStore) -> Sequence[int]:
    return [store.resolve(each).created_at_ns or 0 for each in given.values("since")]


def _created_before(given: FilterReader, store: ImageStore, now_ns: int) -> Sequence[int]:
    limits = [store.resolve(each).created_at_ns or 0 for each in given.values("before")]
    until = given.until(now_ns)
    return limits if until is None else [*limits, until]


# -- names -----------------------------------------------------------------------------------


def _narrowed(image: Image, patterns: Sequence["re.Pattern[str]"]) -> Image | None:
    names = tuple(
        name
        for name in image.references
        if any(
            pattern.fullmatch(name) or pattern.fullmatch(name.rpartition(":")[0])
            for pattern in patterns
        )
    )
    return replace(image, references=names) if names else None


def _path_pattern(text: str) -> "re.Pattern[str]":
    """A shell pattern of Go's path.Match, whose `*` and `?` stop at a slash.

    Raises: InvalidValue for one that never closes a bracket or ends in a backslash.
    """
    pieces, at = [], 0
    while at < len(text):
        match text[at]:
            case "*":
                while text[at + 1 : at + 2] == "*":
                    at += 1
                pieces.append("[^/]*")
            case "?":
                pieces.append("[^/]")
            case "[":
                end = text.find("]", at + 2)
                if end < 0:
                    raise InvalidValue("syntax error in pattern")
                pieces.append(_character_class(text[at + 1 : end]))
                at = end
            case "\\":
                at += 1
                if at == len(text):
                    raise InvalidValue("syntax error in pattern")
                pieces.append(re.escape(text[at]))
            case other:
                pieces.append(re.escape(other))
        at += 1
    return re.compile("".join(pieces))


def _character_class(members: str) -> str:
    """`a-z`, `^a-z`. Raises: InvalidValue."""
    negation, kept = ("^", members[1:]) if members[0] == "^" else ("", members)
    escaped = re.sub(r"[\\\[\]^&|~]", lambda each: f"\\{each.group()}", kept)
    try:
        re.compile(f"[{negation}{escaped}]")
    except re.error:
        raise InvalidValue("syntax error in pattern") from None
    return f"[{negation}{escaped}]"
