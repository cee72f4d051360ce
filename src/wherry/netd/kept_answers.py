"""Answers that are the same each time: found by the question's bytes, with nothing taken apart.

A question and its answer begin with an identifier, which the asker chose; all the rest of an
answer follows from the rest of the question, from what the asker may know, and from the names.
So an answer is kept until either of the latter changes. One with several records is not: their
order is another each time.
"""

from wherry.netd.names import Names

MOST_KEPT, LARGEST_KEPT_BYTES = 256, 512
"""A container may ask in so many ways (upper case, extensions) before all are forgotten."""

_IDENTIFIER_BYTES = 2
_COUNT = slice(6, 8)
"""Where an answer says how many records it has (RFC 1035, 4.1.1)."""
_UNORDERED = (b"\0\0", b"\0\1")


class KeptAnswers:
    """Those that one container was given."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._edition = names.edition
        self._answers: dict[bytes, bytes] = {}

    def find(self, question: bytes) -> bytes | None:
        """The answer to a packet, under its identifier."""
        if self._edition != self._names.edition:
            self.forget()
        answer = self._answers.get(question[_IDENTIFIER_BYTES:])
        return None if answer is None else question[:_IDENTIFIER_BYTES] + answer

    def keep(self, question: bytes, answer: bytes) -> None:
        """What names alone have answered."""
        if answer[_COUNT] in _UNORDERED and len(question) <= LARGEST_KEPT_BYTES:
            if len(self._answers) >= MOST_KEPT:
                self.forget()
            self._answers[question[_IDENTIFIER_BYTES:]] = answer[_IDENTIFIER_BYTES:]

    def forget(self) -> None:
        """Something has changed."""
        self._answers.clear()
        self._edition = self._names.edition
