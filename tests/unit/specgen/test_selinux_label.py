"""A label reaches a kernel that keeps labels; elsewhere the user is told."""

from dataclasses import replace

import pytest

from wherry.model.containers import Security
from wherry.model.errors import InvalidValue
from wherry.specgen import HostFacts, label_warnings
from wherry.specgen.selinux_label import selinux_label

BARE = HostFacts()
SELINUX = replace(BARE, has_selinux=True)


@pytest.mark.parametrize(
    ("labels", "label"),
    [
        ((), ""),
        (("disable",), ""),
        (("type:spc_t",), "system_u:system_r:spc_t:s0"),
        (("level:s0:c1,c2", "user:me"), "me:system_r:container_t:s0:c1,c2"),
    ],
)
def test_labels(labels: tuple[str, ...], label: str) -> None:
    """Parts that the user names take the place of the defaults."""
    assert selinux_label(Security(labels=labels), SELINUX) == label
    assert selinux_label(Security(labels=labels), BARE) == ""


@pytest.mark.parametrize("text", ["type", "colour:red", "type:", ""])
def test_no_part_of_a_label(text: str) -> None:
    """What is no part of a label is refused on every host."""
    with pytest.raises(InvalidValue, match="bad label option"):
        selinux_label(Security(labels=(text,)), BARE)


def test_a_label_that_nobody_keeps() -> None:
    """A warning; leaving labels alone is none."""
    assert label_warnings(Security(labels=("type:x",)), BARE) == (
        "Your kernel does not support SELinux or it is disabled. Label discarded.",
    )
    assert label_warnings(Security(labels=("disable",)), BARE) == ()
    assert label_warnings(Security(labels=("type:x",)), SELINUX) == ()
