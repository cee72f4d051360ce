"""Places in a Dockerfile, with the lines around them; warnings, as buildx prints them."""

from collections.abc import Sequence

from wherry.wire.buildkit.control import VertexWarning
from wherry.wire.buildkit.sources import Range, SourceInfo

_RULE = "-" * 20
_AROUND = 2


def excerpt(info: SourceInfo | None, ranges: Sequence[Range]) -> list[str]:
    """The lines that are meant, marked, and two on each side of a single one; one of several."""
    if info is None:
        return []
    lines = info.data.decode(errors="replace").split("\n")
    marked = {number for each in ranges for number in _numbers(each)} & {*range(1, len(lines) + 1)}
    if not marked:
        return []
    around = _AROUND if len(marked) == 1 else _AROUND - 1
    first, last = max(min(marked) - around, 1), min(max(marked) + around, len(lines))
    shown = [
        f" {number:3d} | {'>>>' if number in marked else '   '} {lines[number - 1]}"
        for number in range(first, last + 1)
    ]
    return [f"{info.filename}:{min(marked)}", _RULE, *shown, _RULE]


def _numbers(place: Range) -> range:
    first = place.start.line if place.start else 0
    last = place.end.line if place.end else first
    return range(first, max(first, last) + 1)


def warning_lines(warnings: Sequence[VertexWarning], *, is_debugging: bool) -> list[str]:
    """What is said of warnings when a build has ended."""
    if not warnings:
        return []
    count = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
    hint = "" if is_debugging else " (use wherry --debug to expand)"
    lines = ["", f" {count} found{hint}:"]
    for warning in warnings:
        lines.append(f" - {warning.short.decode(errors='replace')}")
        if is_debugging:
            lines += [each.decode(errors="replace") for each in warning.detail]
            lines += [f"More info: {warning.url}"] if warning.url else []
            lines += [*excerpt(warning.info, warning.ranges), ""]
    return lines
