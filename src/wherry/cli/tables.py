"""Tables of text: cells end with a tab, and a column is as wide as its widest cell.

These are the rules of Go's text/tabwriter: a column is a block of cells that follow each other
in consecutive lines; the text after a line's last tab belongs to no column.
"""

from collections.abc import Iterable, Sequence

LEAST_WIDTH = 10
PADDING = 3


def table(rows: Iterable[Sequence[str]], *, least: int = LEAST_WIDTH) -> str:
    """Rows of cells; the last cell of a row is not padded."""
    return align("".join("\t".join(row) + "\n" for row in rows), least=least)


def align(text: str, *, least: int = LEAST_WIDTH, padding: int = PADDING) -> str:
    """Replace the tabs of a text by blanks so that its columns stand one below the other."""
    lines = [line.split("\t") for line in text.split("\n")]
    widths: list[list[int]] = [[] for _ in lines]
    _measure(lines, widths, 0, len(lines), 0, least, padding)
    return "\n".join(
        "".join(
            cell.ljust(width) for cell, width in zip(cells, line_widths, strict=False)
        ) + cells[-1]
        for cells, line_widths in zip(lines, widths, strict=True)
    )  # fmt: skip


def _measure(
    lines: list[list[str]],
    widths: list[list[int]],
    begin: int,
    end: int,
    column: int,
    least: int,
    padding: int,
) -> None:
    """Give each block of one column its width, then the blocks of the next column inside it."""
    at = begin
    while at < end:
        if column >= len(lines[at]) - 1:
            at += 1
            continue
        first = at
        while at < end and column < len(lines[at]) - 1:
            at += 1
        cells = (lines[line][column] for line in range(first, at))
        width = max(least, max(map(len, cells)) + padding)
        for line in range(first, at):
            widths[line].append(width)
        _measure(lines, widths, first, at, column + 1, least, padding)
