"""Rules for programs of other processors."""

import pytest

from wherry.linux.binfmt_misc import parse_rule

ELF = r"\x7fELF\x02\x01\x01\x00"
RULE = rf":qemu-x:M::{ELF}:\xff\xff\xff\xff\xff\xff\xff\x00:/usr/bin/qemu-x:OPF"


def test_what_a_rule_takes() -> None:
    """The bytes under the mask decide, and a shorter file is not one of them."""
    rule = parse_rule(RULE)
    assert (rule.name, rule.interpreter, rule.flags) == ("qemu-x", "/usr/bin/qemu-x", "OPF")
    assert rule.takes(b"\x7fELF\x02\x01\x01\x03 and more")
    assert not rule.takes(b"\x7fELF\x01\x01\x01\x03")
    assert not rule.takes(b"\x7fELF")
    assert parse_rule(":x:M:2:ab::/x:").takes(b"..ab")


@pytest.mark.parametrize("rule", ["", ":x:E::exe::/usr/bin/wine:", ":x:M::ab"])
def test_what_is_no_rule(rule: str) -> None:
    """Formats by the ends of names, and lines that are cut off, are refused."""
    with pytest.raises(ValueError, match="not a rule"):
        parse_rule(rule)
