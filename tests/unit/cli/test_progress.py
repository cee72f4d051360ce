"""Progress messages as lines."""

import io
import re

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


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_a_line_for_each_layer() -> None:
    """A layer's line is drawn over, with a bar; no line is wider than the terminal."""
    detail: Document = {"current": 50_000_000, "total": 100_000_000}
    messages: list[Document] = [
        {"id": "aaa", "status": "Pulling fs layer"},
        {"id": "bbb", "status": "Pulling fs layer"},
        {"id": "aaa", "status": "Downloading", "progressDetail": detail},
        {"id": "bbb", "status": "x" * 500},
        {"status": "Done"},
    ]
    out = _Terminal()
    show_progress(messages, out)
    lines = re.sub(r"\x1b\[[0-9]+[ABK]", "", out.getvalue()).replace("\r", "").splitlines()
    assert lines[2] == "aaa: Downloading [============>           ] 50MB/100MB"
    assert max(len(each) for each in lines) < 80
    assert lines[-1] == "Done"
