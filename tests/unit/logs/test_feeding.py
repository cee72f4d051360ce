"""Feeding a receiver from a log: places, rotations, and what may not wait any longer."""

from pathlib import Path

from wherry.logs.feeding import Feed, read_place
from wherry.logs.json_lines import STDOUT
from wherry.logs.rotation import Rotation
from wherry.logs.sinks import JsonFileSink


def sink(directory: Path, rotation: Rotation | None = None) -> JsonFileSink:
    """A log in a directory."""
    return JsonFileSink(str(directory / "x.log"), rotation or Rotation())


def feed(directory: Path, *, most_files: int = 3, most_bytes: int | None = None) -> Feed:
    """What is to be sent of it."""
    path = str(directory / "x.log")
    return Feed(path, str(directory), most_files=most_files, most_bytes=most_bytes)


def write(log: JsonFileSink, numbers: range, *, at_ns: int = 1_000) -> None:
    """Lines that are numbers."""
    for number in numbers:
        log.write(STDOUT, b"%d\n" % number, at_ns + number)


def taken(source: Feed) -> list[int]:
    """Everything that can be sent now, sent."""
    numbers = []
    while batch := source.batch():
        numbers += [int(line.content) for line in batch]
        source.sent()
    return numbers


def test_a_batch_waits_until_it_was_sent(tmp_path: Path) -> None:
    """What could not be sent comes again."""
    log, source = sink(tmp_path), feed(tmp_path)
    write(log, range(3))
    assert [each.content for each in source.batch()] == [b"0\n", b"1\n", b"2\n"]
    assert len(source.batch()) == 3
    assert taken(source) == [0, 1, 2]
    write(log, range(3, 5))
    assert taken(source) == [3, 4]
    assert source.place.sent == 5


def test_another_feeder_goes_on(tmp_path: Path) -> None:
    """The place holds across feeders, rotations, and lines of one moment."""
    log, source = sink(tmp_path, Rotation(400, 5)), feed(tmp_path, most_files=5)
    write(log, range(6))
    for number in (6, 7):
        log.write(STDOUT, b"%d\n" % number, 5_000)
    assert taken(source) == list(range(8))
    source.save()
    source.close()
    log.write(STDOUT, b"8\n", 5_000)
    write(log, range(9, 12), at_ns=6_000)
    assert read_place(str(tmp_path)).sent == 8
    assert taken(feed(tmp_path, most_files=5)) == [8, 9, 10, 11]


def test_files_that_are_too_many(tmp_path: Path) -> None:
    """A feeder that is behind holds on to as many files as the log has, and counts the rest."""
    log, source = sink(tmp_path, Rotation(400, 3)), feed(tmp_path, most_files=3)
    total = 0
    for begin in range(0, 60, 4):
        write(log, range(begin, begin + 4))
        source.make_room()
        total = begin + 4
    left = taken(source)
    assert left == list(range(left[0], total))
    assert source.place.dropped == left[0] > 0


def test_bytes_that_are_too_many(tmp_path: Path) -> None:
    """With a limit in bytes the oldest lines go, whole and counted."""
    log, source = sink(tmp_path), feed(tmp_path, most_bytes=100_000)
    write(log, range(5_000))
    source.make_room()
    left = taken(source)
    assert left == list(range(left[0], 5_000))
    assert source.place.dropped == left[0] > 0
    assert len(left) * 60 < 100_000


def test_giving_up(tmp_path: Path) -> None:
    """What was never sent is counted."""
    log, source = sink(tmp_path), feed(tmp_path)
    write(log, range(10))
    source.batch()
    source.give_up()
    assert (source.place.sent, source.place.dropped) == (0, 10)


def test_a_damaged_place(tmp_path: Path) -> None:
    """It is the beginning."""
    (tmp_path / "logger.json").write_text('{"at_ns": ')
    assert read_place(str(tmp_path)).at_ns == 0


def test_lines_that_are_too_many(tmp_path: Path) -> None:
    """With a limit in lines the newest go, counted; those that wait come in order."""
    log, source = sink(tmp_path), feed(tmp_path)
    write(log, range(300))
    source.batch()
    assert source.refuse_beyond(250) == 50
    assert taken(source) == list(range(250))
    write(log, range(300, 303))
    assert taken(source) == [300, 301, 302]
    assert (source.place.sent, source.place.dropped) == (253, 50)
    write(log, range(303, 313))
    source.batch()
    assert source.refuse_beyond(4) == 6
    assert taken(source) == [303, 304, 305, 306]


def test_a_batch_that_is_given_up(tmp_path: Path) -> None:
    """Its lines are counted and the next ones come."""
    log, source = sink(tmp_path), feed(tmp_path)
    write(log, range(5))
    source.batch()
    source.drop_batch()
    write(log, range(5, 8))
    assert taken(source) == [5, 6, 7]
    assert (source.place.sent, source.place.dropped) == (3, 5)
