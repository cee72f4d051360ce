"""Sinks and readers on real files: rotation, tails, times, and what a crash leaves."""

import errno
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.log_lines import read_lines
from wherry.logs.json_lines import Line
from wherry.logs.options import LogTarget, validate
from wherry.logs.reader import LogReader, Selection
from wherry.logs.rotation import Rotation
from wherry.logs.sinks import JsonFileSink, NoSink, open_sink

AT = 1_700_000_000_000_000_000


def texts(lines: list[Line]) -> list[str]:
    return [line.content.decode().rstrip("\n") for line in lines]


def write_numbers(sink: JsonFileSink, numbers: range, stream: int = 1) -> None:
    for number in numbers:
        sink.write(stream, b"%d\n" % number, AT + number)


@pytest.fixture
def log(tmp_path: Path) -> str:
    """The path of a log that is not there yet."""
    return str(tmp_path / "container-json.log")


def test_files_rotate_and_stay_within_their_size(log: str, tmp_path: Path) -> None:
    """At most `max-file` files, none larger than `max-size`, the newest lines in them."""
    sink = JsonFileSink(log, Rotation(file_bytes=1000, files=3))
    write_numbers(sink, range(200))
    sink.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sorted(sizes) == [f"container-json.log{end}" for end in ("", ".1", ".2")]
    assert max(sizes.values()) <= 1000
    kept = texts(list(read_lines(log)))
    assert kept == [str(number) for number in range(200 - len(kept), 200)]


def test_a_large_block_is_split_between_records(log: str) -> None:
    """One read with many lines does not overflow a file."""
    sink = JsonFileSink(log, Rotation(file_bytes=1000, files=1000))
    sink.write(1, b"".join(b"%d\n" % number for number in range(500)), AT)
    sink.close()
    assert os.stat(log).st_size <= 1000
    assert texts(list(read_lines(log))) == [str(number) for number in range(500)]


@pytest.mark.parametrize("files", [1, 3])
def test_where_no_file_can_be_made_the_old_one_goes_on(log: str, files: int) -> None:
    """Nothing is lost, whatever the number of files; and later there are new ones again."""
    sink = JsonFileSink(log, Rotation(file_bytes=300, files=files))
    os.mkdir(f"{log}.new")
    write_numbers(sink, range(10))
    assert texts(list(read_lines(log))) == [str(number) for number in range(10)]
    assert sink.lost_bytes == 0
    os.rmdir(f"{log}.new")
    write_numbers(sink, range(10, 20))
    sink.close()
    assert os.stat(log).st_size <= 300
    assert texts(list(read_lines(log)))[-1] == "19"


def test_one_file_begins_anew(log: str) -> None:
    """With `max-file=1` the file is replaced."""
    sink = JsonFileSink(log, Rotation(file_bytes=300, files=1))
    write_numbers(sink, range(10))
    assert os.listdir(os.path.dirname(log)) == [os.path.basename(log)]
    assert texts(list(read_lines(log)))[-1] == "9"


def test_a_log_goes_on_after_a_restart(log: str) -> None:
    """A second sink appends, and knows how large the file is."""
    for start in (0, 5):
        sink = JsonFileSink(log, Rotation(file_bytes=500, files=2))
        write_numbers(sink, range(start, start + 5))
        sink.close()
    assert texts(list(read_lines(log))) == [str(number) for number in range(10)]
    assert os.stat(log).st_size <= 500


def test_a_full_disk_tears_no_record(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be written is dropped and counted; what comes later can be read."""
    sink = JsonFileSink(log, Rotation())
    sink.write(1, b"before\n", AT)
    real_write: Callable[[int, bytes], int] = os.write
    calls = 0

    def full_disk(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            return real_write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full_disk)
    sink.write(1, b"lost\n", AT)
    monkeypatch.undo()
    sink.write(1, b"after\n", AT)
    assert texts(list(read_lines(log))) == ["before", "after"]
    assert sink.lost_bytes > 0


@pytest.mark.parametrize("tail", [0, 1, 3, 7, 150, 199, 200, 201, 10_000])
def test_the_tail_spans_files(log: str, tail: int) -> None:
    """The last N records, whichever files they are in."""
    sink = JsonFileSink(log, Rotation(file_bytes=1500, files=1000))
    write_numbers(sink, range(200))
    expected = [str(number) for number in range(200)][max(0, 200 - tail) :] if tail else []
    assert texts(list(read_lines(log, tail=tail))) == expected


def test_a_tail_of_long_lines_crosses_blocks(log: str) -> None:
    """Records larger than one read from the end are found whole."""
    sink = JsonFileSink(log, Rotation())
    for number in range(12):
        sink.write(1, b"%d" % number + b"x" * 15_000 + b"\n", AT)
    assert [line.content[:2] for line in read_lines(log, tail=6)] == [
        b"6x", b"7x", b"8x", b"9x", b"10", b"11",
    ]  # fmt: skip


def test_a_torn_last_record_is_passed_over(log: str) -> None:
    """Half a record at the end is neither shown nor counted."""
    sink = JsonFileSink(log, Rotation())
    write_numbers(sink, range(3))
    with open(log, "ab") as file:
        file.write(b'{"log":"torn')
    assert texts(list(read_lines(log))) == ["0", "1", "2"]
    assert texts(list(read_lines(log, tail=2))) == ["1", "2"]


def test_streams_and_times_select(log: str) -> None:
    """Since and until are inclusive; each output can be had alone."""
    sink = JsonFileSink(log, Rotation())
    write_numbers(sink, range(5))
    write_numbers(sink, range(5, 10), stream=2)
    assert texts(list(read_lines(log, stdout=False))) == ["5", "6", "7", "8", "9"]
    assert texts(list(read_lines(log, since_ns=AT + 3, until_ns=AT + 6))) == ["3", "4", "5", "6"]
    assert texts(list(read_lines(log, tail=6, stderr=False))) == ["4"]


def test_a_missing_log_is_empty(log: str) -> None:
    """No file, no lines, no error."""
    assert list(read_lines(log)) == []
    assert list(read_lines(log, tail=5)) == []


def test_a_follower_loses_nothing_over_rotations(log: str) -> None:
    """Reading on after each write gives every line once, in order, over twenty rotations."""
    sink = JsonFileSink(log, Rotation(file_bytes=1000, files=5))
    reader = LogReader(log, Selection())
    seen: list[str] = []
    for start in range(0, 600, 25):
        write_numbers(sink, range(start, start + 25))
        seen += texts(list(reader.lines()))
    reader.close()
    assert seen == [str(number) for number in range(600)]


def test_a_follower_finishes_the_file_that_was_rotated_away(log: str) -> None:
    """Lines written between the last read and the rotation are not lost."""
    sink = JsonFileSink(log, Rotation(file_bytes=1000, files=2))
    reader = LogReader(log, Selection(tail=0))
    write_numbers(sink, range(3))
    assert list(reader.lines()) == []
    write_numbers(sink, range(3, 15))
    assert texts(list(reader.lines())) == [str(number) for number in range(3, 15)]


def test_a_follower_ends_at_until(log: str) -> None:
    """The first line after `until` ends it, though more may come."""
    sink = JsonFileSink(log, Rotation())
    reader = LogReader(log, Selection(until_ns=AT + 1))
    write_numbers(sink, range(5))
    assert texts(list(reader.lines())) == ["0", "1"]
    assert reader.has_ended


@pytest.mark.parametrize(
    ("driver", "options", "sentence"),
    [
        ("syslogd", {}, "no log driver named 'syslogd' is registered"),
        ("json-file", {"max-sizes": "1m"}, "unknown log opt 'max-sizes' for json-file log driver"),
        ("json-file", {"max-size": "lots"}, "invalid size: 'lots'"),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"max-file": "1_0"}, "max-file must be a number"),
    ],
)
def test_what_can_not_be_done_is_refused(
    driver: str, options: dict[str, str], sentence: str
) -> None:
    """Unknown drivers and options, and values that mean nothing, are named."""
    with pytest.raises(ValueError, match=sentence):
        validate(driver, options)


def test_sizes_are_read_as_docker_reads_them() -> None:
    """`10m` is decimal, -1 is no limit, nothing is 3 files of 20 MB."""
    assert Rotation.from_options({"max-size": "10m", "max-file": "4"}) == Rotation(10_000_000, 4)
    assert Rotation.from_options({"max-size": "-1"}) == Rotation(-1, 1)
    assert Rotation.from_options({}) == Rotation(20 << 20, 3)


def test_the_driver_none_keeps_nothing(log: str) -> None:
    """`none` writes no file."""
    target = LogTarget(driver="none", path=log)
    sink = open_sink(target.driver, target.path, target.options)
    sink.write(1, b"gone\n", AT)
    assert isinstance(sink, NoSink)
    assert not os.path.exists(log)


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_a_rotation_under_way_hides_no_file(log: str, gap: int) -> None:
    """While files are renamed one name is empty; what is behind it is read all the same."""
    sink = JsonFileSink(log, Rotation(file_bytes=1000, files=6))
    write_numbers(sink, range(50))
    sink.close()
    before = texts(list(read_lines(log)))
    for number in range(5, gap - 1, -1):
        if os.path.exists(f"{log}.{number}"):
            os.rename(f"{log}.{number}", f"{log}.{number + 1}")
    assert not os.path.exists(f"{log}.{gap}")
    assert texts(list(read_lines(log))) == before


# -- compressed files ------------------------------------------------------------------------


def compressing(tmp_path: Path, *, file_bytes: int = 4000, files: int = 4) -> JsonFileSink:
    """A log whose full files are compressed."""
    rotation = Rotation(file_bytes, files, is_compressed=True)
    return JsonFileSink(str(tmp_path / "x.log"), rotation)


def test_full_files_are_compressed(tmp_path: Path) -> None:
    """Older files end in `.gz`, zcat reads them, and reading the log reads all of them."""
    sink = compressing(tmp_path)
    for number in range(250):
        write_numbers(sink, range(number, number + 1))
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["x.log", "x.log.1.gz", "x.log.2.gz", "x.log.3.gz"]
    unpacked = gzip.decompress((tmp_path / "x.log.2.gz").read_bytes())
    assert all(json.loads(line)["log"] for line in unpacked.splitlines())
    numbers = [int(each) for each in texts(list(read_lines(str(tmp_path / "x.log"))))]
    assert numbers == list(range(numbers[0], 250))
    assert numbers[0] > 0
    assert texts(list(read_lines(str(tmp_path / "x.log"), tail=60))) == [
        str(number) for number in range(190, 250)
    ]


def test_a_follower_of_compressed_files(tmp_path: Path) -> None:
    """Each line once and in order, whatever was compressed between two looks."""
    sink = compressing(tmp_path, files=50)
    reader = LogReader(str(tmp_path / "x.log"), Selection())
    seen: list[str] = []
    for number in range(400):
        write_numbers(sink, range(number, number + 1))
        if number % 37 == 0:
            seen += texts(list(reader.lines()))
    seen += texts(list(reader.lines()))
    reader.close()
    assert seen == [str(number) for number in range(400)]


def test_another_sink_goes_on_compressing(tmp_path: Path) -> None:
    """What one left half compressed the next one finishes; a damaged file hides no other."""
    first = compressing(tmp_path, file_bytes=400_000)
    first.write(1, b"".join(b"%d\n" % number for number in range(9_000)), AT)
    first.close()
    assert (tmp_path / "x.log.1").exists()
    assert not (tmp_path / "x.log.1.gz.part").exists()
    second = compressing(tmp_path, file_bytes=400_000)
    for number in range(9_000, 9_100):
        write_numbers(second, range(number, number + 1))
    assert (tmp_path / "x.log.1.gz").exists()
    assert len(list(read_lines(str(tmp_path / "x.log")))) == 9_100
    (tmp_path / "x.log.1.gz").write_bytes(b"no gzip")
    assert len(list(read_lines(str(tmp_path / "x.log")))) < 9_100


def test_another_sink_goes_on_with_the_open_file(log: str) -> None:
    """A log that can't be opened any more is still written by who was given its descriptor."""
    first = JsonFileSink(log, Rotation())
    write_numbers(first, range(2))
    os.rename(log, f"{log}.elsewhere")
    os.mkdir(log)
    second = JsonFileSink(log, Rotation(), file=first.file())
    write_numbers(second, range(2, 4))
    assert texts(list(read_lines(f"{log}.elsewhere"))) == ["0", "1", "2", "3"]
