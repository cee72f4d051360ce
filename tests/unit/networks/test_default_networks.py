"""bridge, host and none, and how they are found."""

import pytest

from wherry.model.errors import InvalidField
from wherry.model.networks import AddressRange
from wherry.networks.addresses.mac_addresses import parse_mac_address
from wherry.networks.default_bridge import parse_bip
from wherry.networks.default_networks import default_networks
from wherry.networks.drivers.bridge import BridgeSettings

SETTINGS = BridgeSettings(
    name="wherry0",
    ranges=(AddressRange(subnet="10.9.0.0/24", gateway="10.9.0.1"),),
    alias="",
    table="t",
)
NETWORKS = default_networks(SETTINGS, engine_id="E", created_at_ns=5)


def test_the_three_networks() -> None:
    """With Docker's names and drivers; the bridge has its subnet and gateway."""
    assert [(each.name, each.driver) for each in NETWORKS] == [
        ("bridge", "bridge"),
        ("host", "host"),
        ("none", "null"),
    ]
    assert (NETWORKS[0].subnet, NETWORKS[0].gateway) == ("10.9.0.0/24", "10.9.0.1")
    assert NETWORKS[0].options["com.docker.network.bridge.name"] == "wherry0"


def test_ids_follow_from_the_engine() -> None:
    """The same after a restart, others for another engine."""
    again = default_networks(None, engine_id="E", created_at_ns=6)
    assert [each.id for each in again] == [each.id for each in NETWORKS[1:]]
    other = default_networks(None, engine_id="F", created_at_ns=5)
    assert not {each.id for each in other} & {each.id for each in NETWORKS}
    assert all(len(each.id) == 64 for each in NETWORKS)


@pytest.mark.parametrize("text", ["02:42:AC:11:00:02", "02-42-ac-11-00-02"])
def test_mac_addresses_as_people_write_them(text: str) -> None:
    """Both separators, both cases."""
    assert parse_mac_address(text) == "02:42:ac:11:00:02"


@pytest.mark.parametrize(
    "text",
    ["02:42", "02:42:ac:11:00:0g", "01:00:5e:00:00:01", "02:42:ac:11:00:02\n", "\u0660\u0662" * 6],
)
def test_mac_addresses_that_are_none(text: str) -> None:
    """Too short, not hexadecimal, multicast, with a newline, not ASCII."""
    with pytest.raises(InvalidField):
        parse_mac_address(text)


def test_bip() -> None:
    """An address of a host, with a prefix length that leaves room."""
    assert str(parse_bip("bip", "10.9.0.1/24", version=4)) == "10.9.0.1/24"


@pytest.mark.parametrize(
    "text",
    ["10.9.0.1", "10.9.0.0/24", "10.9.0.255/24", "10.9.0.1/31", "::1/64", "x", "1_0.0.0.1/8"],
)
def test_bip_that_is_none(text: str) -> None:
    """Refused with the field's name."""
    with pytest.raises(InvalidField) as caught:
        parse_bip("bip", text, version=4)
    assert caught.value.field == "bip"
