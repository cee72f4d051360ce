"""Mounts as `-v` writes them, `source:target[:mode]`, both ways.

A source that is a path is bound; any other word names a volume. The sentences are Docker's.
"""

from collections.abc import Iterable

from wherry.api.translate.mount_targets import (
    DEFAULT_PROPAGATION,
    PROPAGATIONS,
    RELABELLED,
    target_problem,
)
from wherry.model.containers import BindMount, MountSpec, VolumeMount
from wherry.model.errors import InvalidValue
from wherry.wire import container_config as shapes

_ACCESS = frozenset({"ro", "rw"})
_RELABELLING = frozenset({"z", "Z"})
_CONSISTENCY = frozenset({"consistent", "cached", "delegated"})
_COPYING = frozenset({"nocopy"})
_MODE_KINDS = (_ACCESS, _RELABELLING, PROPAGATIONS, _CONSISTENCY, _COPYING)
"""Of each kind a mode names at most one. Relabelling and consistency do nothing here, as in
Docker on a host without SELinux, and on Linux."""


def to_declared_volumes(config: shapes.Config) -> tuple[str, ...]:
    """The places of anonymous volumes (`-v /path`). Raises: InvalidValue."""
    for target in config.Volumes or {}:
        if problem := target_problem(target):
            raise _bad_text(target, f'invalid mount config for type "volume": {problem}')
    return tuple(sorted(config.Volumes or {}))


def from_text(text: str) -> BindMount | VolumeMount:
    """`source:target[:mode]`, as docker's volume parser for Linux reads it."""
    source, target, mode = _split(text)
    words = _mode_words(mode)
    if not source.startswith("/"):
        return _volume_from_text(text, source, target, mode)
    if "nocopy" in words:
        raise _bad_text(text, 'invalid mount config for type "bind": '
                     "field VolumeOptions must not be specified")  # fmt: skip
    problem = target_problem(target)
    if problem:
        raise _bad_text(text, f'invalid mount config for type "bind": {problem}')
    return BindMount(
        source=source,
        target=target,
        is_read_only="ro" in words,
        propagation=next((word for word in words if word in PROPAGATIONS), DEFAULT_PROPAGATION),
        creates_source=True,
        written_as=text,
    )


def _split(text: str) -> tuple[str, str, str]:
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise _bad_text(text)
    match parts:
        case [target]:
            return "", target, ""
        case [source, target] if not _is_mode(target):
            return source, target, ""
        case [source, target, mode]:
            if not _is_mode(mode):
                raise InvalidValue(f"invalid mode: {mode}")
            return source, target, mode
        case _:
            raise _bad_text(text)


def _is_mode(mode: str) -> bool:
    words = _mode_words(mode)
    counts = [sum(word in kind for word in words) for kind in _MODE_KINDS]
    return sum(counts) == len(words) and all(count <= 1 for count in counts)


def _mode_words(mode: str) -> list[str]:
    return mode.split(",") if mode else []


def _volume_from_text(text: str, name: str, target: str, mode: str) -> VolumeMount:
    problem = target_problem(target)
    if problem:
        raise _bad_text(text, f'invalid mount config for type "volume": {problem}')
    words = _mode_words(mode)
    if PROPAGATIONS & set(words):
        raise _bad_text(text, 'invalid mount config for type "volume": '
                     "field BindOptions must not be specified")  # fmt: skip
    return VolumeMount(
        name=name,
        target=target,
        is_read_only="ro" in words,
        copies_image="nocopy" not in words,
        mode=mode or RELABELLED,
        written_as=text,
    )


def _bad_text(text: str, problem: str = "") -> InvalidValue:
    reason = f": {problem}" if problem else ""
    return InvalidValue(f"invalid volume specification: '{text}'{reason}")


def bind_texts(mounts: Iterable[MountSpec]) -> list[str] | None:
    """HostConfig.Binds."""
    texts = [
        each.written_as
        for each in mounts
        if isinstance(each, BindMount | VolumeMount) and each.written_as
    ]
    return texts or None


def mode_of(text: str | None) -> str:
    """The mode of a text that was read before; empty when there is none."""
    parts = text.split(":") if text else []
    return parts[2] if len(parts) == 3 else ""
