"""Addresses: given out in order, never twice, and not at once again."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.model.errors import InvalidValue
from wherry.model.errors.networks import AddressTaken, SubnetsExhausted
from wherry.model.networks import AddressRange
from wherry.networks.addresses.pools import (
    Address,
    AddressPool,
    choose_subnet,
    mac_address_for,
    unique_local_pool,
)


def pool_of(subnet: str, gateway: str, **more: object) -> AddressPool:
    """The addresses of a subnet."""
    return AddressPool(AddressRange(subnet=subnet, gateway=gateway, **more))  # type: ignore[arg-type]


def leases(pool: AddressPool, count: int) -> list[str]:
    """The next addresses."""
    return [str(pool.lease()) for _ in range(count)]


def test_addresses_come_in_order_after_the_gateway() -> None:
    """The gateway's own address is never given out."""
    pool = pool_of("172.17.0.0/16", "172.17.0.1")
    assert leases(pool, 3) == ["172.17.0.2", "172.17.0.3", "172.17.0.4"]


def test_a_released_address_rests_until_the_pool_has_gone_round() -> None:
    """The one just released is the last to be given out again."""
    pool = pool_of("10.0.0.0/29", "10.0.0.1")
    first = pool.lease()
    assert first is not None
    pool.release(first)
    assert leases(pool, 5) == ["10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"]


def test_an_empty_pool() -> None:
    """When all are given out there is none; one released is enough."""
    pool = pool_of("10.0.0.0/30", "10.0.0.1")
    only = pool.lease()
    assert only is not None
    assert pool.lease() is None
    pool.release(only)
    pool.release(only)
    assert pool.lease() == only


def test_taken_addresses_are_not_leased() -> None:
    """What a living container has is not given to another; foreign addresses don't matter."""
    pool = pool_of("10.0.0.0/29", "10.0.0.1")
    for address in ("10.0.0.3", "192.168.1.1", "10.0.0.2"):
        pool.take(IPv4Address(address))
    assert leases(pool, 3) == ["10.0.0.4", "10.0.0.5", "10.0.0.6"]


@given(st.lists(st.booleans(), max_size=60))
def test_no_address_has_two_holders(steps: list[bool]) -> None:
    """Whatever the order of leases and releases, held addresses are distinct hosts."""
    pool, held = pool_of("10.0.0.0/28", "10.0.0.1"), set[Address]()
    never = {IPv4Address("10.0.0.0"), IPv4Address("10.0.0.1"), IPv4Address("10.0.0.15")}
    for leases_one in steps:
        if leases_one and len(held) < 13:
            address = pool.lease()
            assert address is not None
            assert address not in held
            assert address in pool.subnet
            assert address not in never
            held.add(address)
        elif held:
            pool.release(held.pop())


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        ((), "172.17.0.0/16"),
        (("172.17.5.0/24",), "172.18.0.0/16"),
        (("172.16.0.0/12",), "192.168.0.0/20"),
        (("172.16.0.0/12", "192.168.0.0/19"), "192.168.32.0/20"),
    ],
)
def test_the_subnet_is_one_that_the_host_has_no_route_into(
    taken: tuple[str, ...], chosen: str
) -> None:
    """Docker's default pools are tried in order."""
    assert str(choose_subnet(IPv4Network(each) for each in taken)) == chosen


def test_no_pool_left() -> None:
    """A host with routes everywhere gets an error, not an overlap."""
    with pytest.raises(SubnetsExhausted):
        choose_subnet([IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16")])


def test_mac_address_follows_from_the_address() -> None:
    """Locally administered, unicast, with the four bytes of the address."""
    assert mac_address_for(IPv4Address("172.17.0.2")) == "02:42:ac:11:00:02"


def test_a_part_of_the_subnet_and_addresses_that_are_kept() -> None:
    """`--ip-range` and `--aux-address`."""
    pool = pool_of(
        "10.0.0.0/24", "10.0.0.1", allocated_from="10.0.0.128/30", reserved={"x": "10.0.0.130"}
    )
    assert leases(pool, 3) == ["10.0.0.128", "10.0.0.129", "10.0.0.131"]
    assert pool.lease() is None


def test_a_wished_address_is_had_once() -> None:
    """One of the subnet, outside the range too; not the gateway's, not a foreign one."""
    pool = pool_of("10.0.0.0/24", "10.0.0.1", allocated_from="10.0.0.128/25")
    pool.claim(IPv4Address("10.0.0.9"))
    for taken in ("10.0.0.9", "10.0.0.1"):
        with pytest.raises(AddressTaken):
            pool.claim(IPv4Address(taken))
    with pytest.raises(InvalidValue):
        pool.claim(IPv4Address("10.0.1.9"))


def test_ipv6_subnets() -> None:
    """The same, in a subnet that nobody could list; the engine's own pool follows from its id."""
    pool = pool_of("fd00::/64", "fd00::1")
    assert leases(pool, 2) == ["fd00::2", "fd00::3"]
    pool.take(IPv6Address("fd00::4"))
    assert leases(pool, 1) == ["fd00::5"]
    pools = (unique_local_pool("E"),)
    first = choose_subnet([], pools, ipv6=True)
    second = choose_subnet([first], pools, ipv6=True)
    assert (first.prefixlen, first.is_private, first.overlaps(second)) == (64, True, False)
    assert unique_local_pool("E") == pools[0] != unique_local_pool("F")
