"""Progress messages as lines."""

import io

import pytest

from wherry.cli.failures import CommandFailed
from wherry.cli.progress import show_progress
from wherry.client.documents import Document


def test_lines_without_a_terminal() -> None:
    """Steps are told, counts of bytes are not."""
    messages: list[Document] = [
        {"id": "abc", "status": "Pulling"},
        {"id": "abc", "status": "Downloading", "progress": "[=> ] 1/2"},
        {"status": "Done"},
        {"stream": "Loaded image: x\n"},
    ]
    out = io.StringIO()
    show_progress(messages, out)
    assert out.getvalue() == "abc: Pulling\nDone\nLoaded image: x\n"


def test_quiet_still_fails() -> None:
    """An error in the stream ends the command, also when nothing is shown."""
    messages: list[Document] = [{"status": "x"}, {"errorDetail": {"message": "no space left"}}]
    out = io.StringIO()
    with pytest.raises(CommandFailed, match="no space left"):
        show_progress(messages, out, is_quiet=True)
    assert out.getvalue() == ""
