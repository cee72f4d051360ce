"""Addresses: given out in order, never twice, and not at once again."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.model.errors import AddressPoolExhausted
from wherry.networks.address_pools import AddressPool, choose_gateway, mac_address_for


def leases(pool: AddressPool, count: int) -> list[str]:
    """The next addresses."""
    return [str(pool.lease()) for _ in range(count)]


def test_addresses_come_in_order_after_the_gateway() -> None:
    """The gateway's own address is never given out."""
    pool = AddressPool(IPv4Interface("172.17.0.1/16"))
    assert leases(pool, 3) == ["172.17.0.2", "172.17.0.3", "172.17.0.4"]


def test_a_released_address_rests_until_the_pool_has_gone_round() -> None:
    """The one just released is the last to be given out again."""
    pool = AddressPool(IPv4Interface("10.0.0.1/29"))
    first = pool.lease()
    pool.release(first)
    assert leases(pool, 5) == ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"]


def test_an_empty_pool_says_which() -> None:
    """When all are given out there is an error with the subnet; one released is enough."""
    pool = AddressPool(IPv4Interface("10.0.0.1/30"))
    only = pool.lease()
    with pytest.raises(AddressPoolExhausted) as caught:
        pool.lease()
    assert caught.value.subnet == "10.0.0.0/30"
    pool.release(only)
    pool.release(only)
    assert pool.lease() == only


def test_taken_addresses_are_not_leased() -> None:
    """What a living container has is not given to another; foreign addresses don't matter."""
    pool = AddressPool(IPv4Interface("10.0.0.1/29"))
    for address in ("10.0.0.3", "192.168.1.1", "10.0.0.2"):
        pool.take(IPv4Address(address))
    assert leases(pool, 3) == ["10.0.0.4", "10.0.0.5", "10.0.0.6"]


@given(st.lists(st.booleans(), max_size=60))
def test_no_address_has_two_holders(steps: list[bool]) -> None:
    """Whatever the order of leases and releases, held addresses are distinct hosts."""
    gateway = IPv4Interface("10.0.0.1/28")
    pool, held = AddressPool(gateway), set[IPv4Address]()
    for leases_one in steps:
        if leases_one and len(held) < 13:
            address = pool.lease()
            assert address not in held
            assert address in gateway.network
            assert address not in (gateway.ip, IPv4Address("10.0.0.0"), IPv4Address("10.0.0.15"))
            held.add(address)
        elif held:
            pool.release(held.pop())


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        ((), "172.17.0.1/16"),
        (("172.17.5.0/24",), "172.18.0.1/16"),
        (("172.16.0.0/12",), "192.168.0.1/20"),
        (("172.16.0.0/12", "192.168.0.0/19"), "192.168.32.1/20"),
    ],
)
def test_the_subnet_is_one_that_the_host_has_no_route_into(
    taken: tuple[str, ...], chosen: str
) -> None:
    """Docker's default pools are tried in order."""
    assert str(choose_gateway(IPv4Network(each) for each in taken)) == chosen


def test_no_pool_left() -> None:
    """A host with routes everywhere gets an error, not an overlap."""
    with pytest.raises(AddressPoolExhausted):
        choose_gateway([IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16")])


def test_mac_address_follows_from_the_address() -> None:
    """Locally administered, unicast, with the four bytes of the address."""
    assert mac_address_for(IPv4Address("172.17.0.2")) == "02:42:ac:11:00:02"
