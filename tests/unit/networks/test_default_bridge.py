"""What the operator says of the default bridge, and what of it can't be."""

from typing import Any

import pytest

from wherry.model.errors import InvalidField
from wherry.networks.addresses.pools import DEFAULT_POOLS, unique_local_pool
from wherry.networks.default_bridge import find
from wherry.networks.drivers.bridge import BridgeSettings
from wherry.networks.settings import NetworkSettings

POOLS = (*DEFAULT_POOLS, unique_local_pool("E1"))
OWN = {"bridge": "wherry-none0", "bip": "10.9.0.1/24"}


def found(**words: Any) -> BridgeSettings:
    """The bridge, on a host that has none of this name."""
    return find(NetworkSettings(**{**OWN, **words}), alias="", pools=POOLS)


def test_the_parts_of_it() -> None:
    """Subnets, the parts that addresses come from, and gateways that are not the bridge."""
    settings = found(
        fixed_cidr="10.9.0.128/25", default_gateway="10.9.0.9", has_ipv6=True,
        fixed_cidr_v6="fd09::/64", mtu=1400, may_meet=False, host_address="127.0.0.2",
    )  # fmt: skip
    four, six = settings.ranges
    assert (four.subnet, four.gateway, four.allocated_from) == (
        "10.9.0.0/24", "10.9.0.1", "10.9.0.128/25",
    )  # fmt: skip
    assert (six.subnet, six.gateway) == ("fd09::/64", "fd09::1")
    assert [str(each) for each in settings.ways_out] == ["10.9.0.9", "fd09::1"]
    assert (settings.mtu, settings.may_meet) == (1400, False)
    assert settings.host_addresses == ("127.0.0.2",)


def test_a_part_alone_is_the_subnet() -> None:
    """And IPv6 with no word about where is of the engine's own addresses."""
    settings = found(bip="", fixed_cidr="10.8.7.0/24", has_ipv6=True)
    assert settings.ranges[0].subnet == "10.8.7.0/24"
    assert settings.ranges[1].subnet.startswith("fd")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"fixed_cidr": "10.9.0.0/33"}, "must be an IPv4 subnet"),
        ({"fixed_cidr": "10.9.0.0/31"}, "must leave room for containers"),
        ({"fixed_cidr": "10.8.0.0/24"}, "must be part of the bridge's subnet 10.9.0.0/24"),
        ({"default_gateway": "10.8.0.1"}, "must be in the bridge's subnet 10.9.0.0/24"),
        ({"has_ipv6": True, "bip6": "10.0.0.1/24"}, "must be an IPv6 address with a prefix"),
        ({"has_ipv6": True, "fixed_cidr_v6": "10.0.0.0/8"}, "must be an IPv6 subnet"),
        ({"bridge": "a b"}, "must be the name of a network interface"),
        ({"bridge": "lo"}, "is not a bridge"),
    ],
)
def test_what_it_can_not_be(words: dict[str, Any], told: str) -> None:
    """Named with field and value."""
    with pytest.raises(InvalidField) as refused:
        found(**words)
    assert told in refused.value.problem
