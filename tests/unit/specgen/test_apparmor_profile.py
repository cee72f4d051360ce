"""Which profile a container gets, and what the default one says."""

import pytest

from wherry.model.containers import Security
from wherry.model.errors import InvalidValue
from wherry.specgen import HostFacts, container_apparmor, default_profile_text
from wherry.specgen.apparmor_profile import check_apparmor

WITH = HostFacts(has_apparmor=True)


@pytest.mark.parametrize(
    ("security", "profile"),
    [
        (Security(), "wherry-default"),
        (Security(apparmor="unconfined"), "unconfined"),
        (Security(apparmor="my-profile"), "my-profile"),
        (Security(is_privileged=True), "unconfined"),
        (Security(is_privileged=True, apparmor="my-profile"), "unconfined"),
    ],
)
def test_which_profile(security: Security, profile: str) -> None:
    """The default, or what is asked for; privileged containers are under none (as in Docker)."""
    assert container_apparmor(security, WITH) == profile
    assert container_apparmor(security, HostFacts()) == ""


@pytest.mark.parametrize("name", ["a b", "a\n", "a\0b", " "])
def test_names_that_are_none(name: str) -> None:
    """What would be read as something else by the kernel is refused."""
    with pytest.raises(InvalidValue, match="invalid AppArmor profile"):
        check_apparmor(Security(apparmor=name))


def test_the_text_needs_nothing_of_the_host() -> None:
    """No include, and the daemon's own profile among those that may signal."""
    text = default_profile_text(engine="my-daemon")
    assert "include" not in text
    assert text.startswith("profile wherry-default flags=(attach_disconnected,mediate_deleted) {")
    assert "signal (receive) peer=my-daemon," in text
    assert "deny mount," in text
