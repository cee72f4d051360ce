"""Signals and the freezer, on files that look like a cgroup's."""

from pathlib import Path

import pytest

from wherry.runtime import signals


def test_what_can_not_be_frozen_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that the kernel can't stop: the others are not left frozen for ever."""
    monkeypatch.setattr(signals, "_LONGEST_WAIT_S", 0.01)
    (tmp_path / "cgroup.freeze").write_text("0")
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    with pytest.raises(TimeoutError, match="does not say frozen 1"):
        signals.freeze((str(tmp_path),))
    assert (tmp_path / "cgroup.freeze").read_text() == "0"


def test_a_container_is_frozen_once_it_says_so(tmp_path: Path) -> None:
    """What is asked stays asked, until `thaw`."""
    (tmp_path / "cgroup.freeze").write_text("0")
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    signals.freeze((str(tmp_path),))
    assert (tmp_path / "cgroup.freeze").read_text() == "1"
    signals.thaw((str(tmp_path),))
    assert (tmp_path / "cgroup.freeze").read_text() == "0"
