"""Numbers, sizes and times as people and programs write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.kit.byte_sizes import binary_size, human_size, human_size_short, parse_size
from wherry.kit.numbers import parse_int, parse_range, parse_unsigned
from wherry.kit.timestamps import (
    ZERO,
    parse_moment,
    parse_rfc3339,
    rfc3339_fixed,
    rfc3339_nano,
)


@pytest.mark.parametrize("text", ["1_000", " 7 ", "٣", "0x10", "", "+", "1e3", "7\n", "9" * 21])
def test_only_plain_decimals_are_numbers(text: str) -> None:
    """What `int` alone would take, or a C program would not print, is refused."""
    with pytest.raises(ValueError):
        parse_int(text)


def test_unsigned_is_bounded() -> None:
    """A number that does not fit its width is refused."""
    assert parse_unsigned("65535", bits=16) == 65535
    with pytest.raises(ValueError, match="out of range"):
        parse_unsigned("65536", bits=16)
    with pytest.raises(ValueError):
        parse_unsigned("-1")


def test_ranges_go_up() -> None:
    """One number is a range too; what goes down, or lacks an end, is none."""
    assert parse_range("80", bits=16) == (80, 80)
    assert parse_range("80-90", bits=16) == (80, 90)
    for text in ("90-80", "80-", "-80", "80-90-100", "80-65536"):
        with pytest.raises(ValueError):
            parse_range(text, bits=16)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64m", 64 << 20),
        ("1.5GiB", 3 << 29),
        ("1024", 1024),
        ("32 kB", 32 << 10),
        ("0", 0),
        ("1e3", 1000),
        (".5k", 512),
    ],
)
def test_sizes_are_read_in_powers_of_1024(text: str, size: int) -> None:
    """Suffixes in any case, with or without `iB`."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "invalid size: ''"),
        ("m", "invalid size: 'm'"),
        ("-1m", "invalid size: '-1m'"),
        ("99999999999g", "invalid size: '99999999999g'"),
        ("1e400", "invalid size: '1e400'"),
        ("64x", "invalid suffix: 'x'"),
        ("64Bytes", "invalid suffix: 'Bytes'"),
        ("0x10", 'strconv.ParseFloat: parsing "0x10": invalid syntax'),
        ("1..5g", 'strconv.ParseFloat: parsing "1..5": invalid syntax'),
        ("1 000", 'strconv.ParseFloat: parsing "1 000": invalid syntax'),
    ],
)
def test_no_size(text: str, problem: str) -> None:
    """Refused with go-units' sentence."""
    with pytest.raises(ValueError) as refused:
        parse_size(text)
    assert str(refused.value) == problem


def test_sizes_for_people() -> None:
    """Decimal for images, binary for memory."""
    assert human_size(1_240_000) == "1.24MB"
    assert human_size_short(4_269_678) == "4.27MB"
    assert human_size(0) == "0B"
    assert binary_size(64 << 20) == "64MiB"
    assert binary_size(1536) == "1.5KiB"


def test_time_stamps_drop_trailing_zeros() -> None:
    """As Go's RFC3339Nano; the fixed form keeps nine digits."""
    assert rfc3339_nano(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12Z"
    assert rfc3339_nano(1_700_000_000_000_000_000) == "2023-11-14T22:13:20Z"
    assert rfc3339_fixed(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.120000000Z"
    assert rfc3339_nano(None) == ZERO


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000_000))
def test_time_stamps_round_trip(moment_ns: int) -> None:
    """What is printed is read back to the nanosecond."""
    assert parse_rfc3339(rfc3339_nano(moment_ns)) == moment_ns
    assert parse_rfc3339(rfc3339_fixed(moment_ns)) == moment_ns


def test_moments_with_zone_and_as_seconds() -> None:
    """Zones are honoured; Unix seconds may have a fraction."""
    assert parse_moment("2023-11-14T23:13:20+01:00") == 1_700_000_000_000_000_000
    assert parse_moment("1700000000.5") == 1_700_000_000_500_000_000
    with pytest.raises(ValueError):
        parse_moment("yesterday")
