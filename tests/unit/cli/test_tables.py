"""Columns are as wide as tabwriter makes them."""

from wherry.cli.tables import align, table


def test_short_cells_get_the_least_width() -> None:
    """A column has ten characters at least, and three behind its widest cell."""
    shown = table([["A", "B"], ["longer-than-ten", "x"]])
    assert shown == "A                 B\nlonger-than-ten   x\n"
    assert table([["A", "B", "C"], ["1", "2", "3"]]).splitlines()[0] == "A         B         C"


def test_the_last_cell_is_not_padded() -> None:
    """No blanks at the end of a line, unless its last cell is empty."""
    assert table([["A", "B"], ["x", ""]]) == "A         B\nx         \n"


def test_a_block_ends_where_a_line_has_no_cell() -> None:
    """A line with fewer tabs parts the columns above from those below."""
    shown = align("aaaaaaaaaaaa\tb\nplain\nc\td\n")
    assert shown == "aaaaaaaaaaaa   b\nplain\nc         d\n"


def test_wide_characters_count_as_one() -> None:
    """tabwriter counts characters, not bytes."""
    assert table([["ééééééééé", "x"]]) == "ééééééééé   x\n"
