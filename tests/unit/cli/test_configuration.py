"""The client's configuration file."""

from pathlib import Path

import pytest

from wherry.cli.configuration import load_configuration, save_setting
from wherry.cli.failures import CommandFailed


def test_one_setting_changes_and_the_rest_stays(tmp_path: Path) -> None:
    """Also what we know nothing of."""
    file = tmp_path / "config.json"
    file.write_text('{"auths": {"a.test": {"auth": "eDp5"}}, "other": [1]}')
    save_setting(str(tmp_path), "currentContext", "far")
    assert load_configuration(str(tmp_path)) == {
        "auths": {"a.test": {"auth": "eDp5"}},
        "other": [1],
        "currentContext": "far",
    }
    save_setting(str(tmp_path), "currentContext", "")
    assert "currentContext" not in load_configuration(str(tmp_path))


def test_a_file_that_cannot_be_read_is_not_written_anew(tmp_path: Path) -> None:
    """Credentials with one comma too many are still somebody's credentials."""
    file = tmp_path / "config.json"
    file.write_text('{"auths": {},}')
    with pytest.raises(CommandFailed, match=r"loading config file: .*config\.json"):
        save_setting(str(tmp_path), "currentContext", "far")
    assert file.read_text() == '{"auths": {},}'


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is replaced."""
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "config.json").symlink_to("real.json")
    save_setting(str(tmp_path), "currentContext", "far")
    assert (tmp_path / "config.json").is_symlink()
    assert "far" in (tmp_path / "real.json").read_text()
