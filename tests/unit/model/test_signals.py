"""Signals as users write them."""

import pytest

from wherry.model.errors import InvalidValue
from wherry.model.signals import parse_signal


@pytest.mark.parametrize(
    ("text", "number"),
    [("SIGTERM", 15), ("term", 15), ("9", 9), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("HUP", 1)],
)
def test_parsed(text: str, number: int) -> None:
    """Names in any case, numbers, and real-time signals by distance."""
    assert parse_signal(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "65", "-1", "NOPE", "1_5", "٩", "RTMAX+1", "15 ", "9\n"]
)
def test_refused(text: str) -> None:
    """What is no signal of this kernel is refused with the text in the sentence."""
    with pytest.raises(InvalidValue) as caught:
        parse_signal(text)
    assert text in caught.value.sentence
