"""Directories that are taken away while somebody writes to them."""

import threading
from contextlib import suppress
from pathlib import Path

from wherry.kit.atomic_files import write_atomically
from wherry.kit.directories import remove_directory


def test_nothing_is_fine(tmp_path: Path) -> None:
    """What is not there need not be removed."""
    remove_directory(str(tmp_path / "none"))


def test_another_attempt_takes_what_is_left(tmp_path: Path) -> None:
    """Where an earlier one was interrupted, a directory of the same name goes, and its rest."""
    for name in ("it", "it.gone"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    remove_directory(str(tmp_path / "it"))
    assert list(tmp_path.iterdir()) == []


def test_who_still_writes_cannot_keep_it(tmp_path: Path) -> None:
    """Two hundred directories, each with a writer that never stops."""
    is_over = threading.Event()
    place = [str(tmp_path / "0")]

    def write() -> None:
        while not is_over.is_set():
            with suppress(OSError):
                write_atomically(f"{place[0]}/state.json", b"{}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(200):
            directory = tmp_path / str(number)
            (directory / "below").mkdir(parents=True)
            place[0] = str(directory)
            for name in ("a", "b", "below/c"):
                (directory / name).write_text("x")
            remove_directory(str(directory))
            assert not directory.exists()
    finally:
        is_over.set()
        writer.join()
    assert list(tmp_path.iterdir()) == []
