"""The netlink codec, without a socket."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from wherry.linux import netlink, nftables


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40), max_size=8))
def test_attributes_come_back(wanted: dict[int, bytes]) -> None:
    """Whatever their lengths, padding is neither lost nor seen."""
    packed = b"".join(netlink.attribute(kind, value) for kind, value in wanted.items())
    assert len(packed) % 4 == 0
    assert netlink.attributes(packed) == wanted
    assert dict(netlink.nested_list(packed)) == wanted


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=5))
def test_messages_come_back(wanted: list[tuple[int, bytes]]) -> None:
    """Several in one packet, each padded as the kernel pads them."""
    packet = b""
    for number, (kind, payload) in enumerate(wanted):
        one = netlink.message(kind, 0, number, payload)
        packet += one + bytes(-len(one) % 4)
    found = list(netlink.messages(packet))
    assert found == [(kind, number, payload) for number, (kind, payload) in enumerate(wanted)]


@given(st.binary(max_size=80))
def test_garbage_ends(data: bytes) -> None:
    """Nothing loops or raises on lengths that lie."""
    netlink.attributes(data)
    list(netlink.messages(data))


def test_a_flag_in_the_type_is_no_part_of_it() -> None:
    """NLA_F_NESTED is dropped."""
    assert netlink.attributes(netlink.attribute(0x8000 | 7, b"abcd")) == {7: b"abcd"}


def test_keys_of_maps() -> None:
    """Network byte order, fields padded to four bytes."""
    address = IPv4Address("10.0.0.1")
    assert nftables.pack_port(258).hex() == "0102"
    assert nftables.pack_address_port(address, 258).hex() == "0a00000101020000"
    packed = nftables.pack_address_protocol_port(address, 6, 258)
    assert packed.hex() == "0a0000010600000001020000"
