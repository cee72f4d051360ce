"""Files that the command line writes, and what it leaves as it is."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from wherry.cli.failures import CommandFailed
from wherry.cli.whole_files import WholeFile, deliver


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """It appears at the end, in place of the one before; what breaks off leaves that one."""
    place = tmp_path / "result"
    place.write_bytes(b"before")

    def broken() -> Iterator[bytes]:
        yield b"half"
        assert place.read_bytes() == b"before"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        deliver(broken, str(place), purpose="save image")
    assert place.read_bytes() == b"before"
    deliver(lambda: [b"one", b"two"], str(place), purpose="save image")
    assert place.read_bytes() == b"onetwo"
    assert os.listdir(tmp_path) == ["result"]


def test_archives_take_no_other_place(tmp_path: Path) -> None:
    """Neither devices nor links nor pipes nor directories, in docker's words."""
    (tmp_path / "link").symlink_to("/nowhere")
    os.mkfifo(tmp_path / "pipe")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "socket"))
    kinds = {
        "/dev/null": "cannot write to a character device file",
        str(tmp_path): "cannot write to a directory",
        str(tmp_path / "link"): "cannot write to a symbolic link directly",
        str(tmp_path / "pipe"): "cannot write to a named pipe (FIFO)",
        str(tmp_path / "socket"): "cannot write to a socket",
        str(tmp_path / "none/a"): f"invalid output path: stat {tmp_path}/none: "
        "no such file or directory",
    }
    for path, problem in kinds.items():
        with pytest.raises(CommandFailed, match="failed to export container: ") as refused:
            deliver(lambda: pytest.fail("was fetched"), path, purpose="export container")
        assert str(refused.value).endswith(problem)


def test_a_build_may_write_to_what_is_no_file(tmp_path: Path) -> None:
    """A pipe gets the bytes and stays a pipe; a link stays a link."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("target")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for place in (pipe, link):
            with WholeFile(str(place)) as file:
                file.put(b"bytes")
        assert os.read(reader, 100) == b"bytes"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == b"bytes"
