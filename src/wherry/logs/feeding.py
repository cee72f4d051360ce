"""From a container's local log to a receiver: how far it got, and what it had to leave out.

Theory of operation. The file is the buffer: what a receiver does not take yet waits there, and a
container never waits for a receiver. So there is an end to what can wait: the files of the log
(mode `blocking`), or `max-buffer-size` (mode `non-blocking`). What falls off is counted. Our
place is the time of the last line that was sent, with how many lines of that time there were: it
holds across rotations, and a feeder that is started again reads on from there.
"""

import itertools
import json
from collections import deque
from collections.abc import Iterator

from wherry.kit.atomic_files import read_bounded, write_atomically
from wherry.kit.values import dataclass, fields
from wherry.logs.json_lines import Line
from wherry.logs.reader import LogReader, Selection

PLACE_NAME = "logger.json"
_LINES_AT_ONCE = 200
_LARGEST_PLACE = 64 * 1024


@dataclass(slots=True, kw_only=True)
class Place:
    """How far a receiver was fed; kept beside the log."""

    at_ns: int = 0
    """The time of the last line that was sent."""
    lines_then: int = 0
    """How many lines of that time were sent."""
    sent: int = 0
    dropped: int = 0
    """Lines that never reached the receiver."""
    problem: str = ""
    """Why the receiver takes nothing now; empty when it does."""


def read_place(record_directory: str) -> Place:
    """What the feeder before left; the beginning, when it left nothing."""
    try:
        content = json.loads(
            read_bounded(f"{record_directory}/{PLACE_NAME}", limit_bytes=_LARGEST_PLACE)
        )
        return Place(**content)
    except (OSError, ValueError, TypeError):
        return Place()


class Feed:
    """The lines of a log that a receiver has not got yet."""

    def __init__(
        self, path: str, record_directory: str, *, most_files: int, most_bytes: int | None
    ) -> None:
        """`most_files` and `most_bytes`: how much may wait; None: as much as the files hold."""
        self.place = read_place(record_directory)
        self._record_directory = record_directory
        self._most_files = most_files
        self._most_bytes = most_bytes
        self._reader = LogReader(path, Selection(since_ns=self.place.at_ns or None))
        self._lines = self._reader.lines()
        self._to_skip = self.place.lines_then
        self._batch: list[Line] = []
        self._waiting: deque[Line] = deque()

    def batch(self) -> list[Line]:
        """The next lines; the same ones again until `sent` is called. Raises: OSError."""
        if not self._batch and self._waiting:
            count = min(len(self._waiting), _LINES_AT_ONCE)
            self._batch = [self._waiting.popleft() for _ in range(count)]
        if not self._batch:
            self._batch = list(itertools.islice(self._fresh(), _LINES_AT_ONCE))
        return self._batch

    def sent(self) -> None:
        """The receiver has the batch."""
        place = self.place
        for line in self._batch:
            if line.at_ns != place.at_ns:
                place.at_ns, place.lines_then = line.at_ns, 0
            place.lines_then += 1
        place.sent += len(self._batch)
        place.problem = ""
        self._batch = []

    def make_room(self) -> int:
        """Let go of what may wait no longer; how many lines that were. Raises: OSError."""
        dropped = self._reader.keep_up(most_files=self._most_files, most_bytes=self._most_bytes)
        self.place.dropped += dropped
        return dropped

    def refuse_beyond(self, most_lines: int) -> int:
        """Have so many lines wait, and let go of newer ones; how many. Raises: OSError."""
        dropped = len(self._batch[most_lines:])
        del self._batch[most_lines:]
        for line in self._fresh():
            if len(self._batch) + len(self._waiting) < most_lines:
                self._waiting.append(line)
            else:
                dropped += 1
        self.place.dropped += dropped
        return dropped

    def drop_batch(self) -> None:
        """What was to be sent next never will be."""
        sent, problem = self.place.sent, self.place.problem
        self.place.dropped += len(self._batch)
        self.sent()
        self.place.sent, self.place.problem = sent, problem

    def give_up(self) -> None:
        """What still waits will never be sent."""
        dropped = len(self._batch) + len(self._waiting)
        self._batch = []
        self._waiting.clear()
        for _line in self._fresh():
            dropped += 1
        self.place.dropped += dropped

    def save(self) -> None:
        """Keep the place. Raises: OSError."""
        place = {x.name: getattr(self.place, x.name) for x in fields(self.place)}
        content = json.dumps(place).encode()
        write_atomically(f"{self._record_directory}/{PLACE_NAME}", content)

    def close(self) -> None:
        """Let go of the files."""
        self._reader.close()

    def _fresh(self) -> Iterator[Line]:
        """Lines beyond our place; the generator is made again after it has run dry."""
        while True:
            line = next(self._lines, None)
            if line is None:
                self._lines = self._reader.lines()
                return
            if self._to_skip and line.at_ns == self.place.at_ns:
                self._to_skip -= 1
                continue
            yield line
