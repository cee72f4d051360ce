"""From -p and -P to what netd holds and the packet filter leads."""

from dataclasses import replace

import pytest

from wherry.model.containers import NetworkSpec
from wherry.model.errors import FeatureMissing, InvalidField
from wherry.model.ids import EndpointId, NetworkId
from wherry.model.networks import EndpointStatus, Port, PortBinding, PublishedPort
from wherry.netd.protocol import Held, Wish
from wherry.networks.ports.published_ports import (
    are_held,
    filter_entries,
    published_of,
    wishes_again,
    wishes_of,
)

WEB = Port(80)
SCTP = PortBinding(port=Port(9, "sctp"))


def wish(address: str, *, has_ipv6: bool = True) -> tuple[str, ...]:
    """The addresses of one published port."""
    spec = NetworkSpec(bindings=(PortBinding(port=WEB, host_address=address, host_port=8080),))
    (only,) = wishes_of(spec, has_ipv6=has_ipv6)
    return only.addresses


def test_no_address_means_all_of_both_families() -> None:
    """Without IPv6 on the host, IPv4 alone."""
    assert wish("") == ("0.0.0.0", "::")
    assert wish("", has_ipv6=False) == ("0.0.0.0",)


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::", "::1"])
def test_a_certain_address_is_taken_as_it_is(address: str) -> None:
    """Each family for itself."""
    assert wish(address) == (address,)
    assert wish(f"[{address}]") == (address,)


@pytest.mark.parametrize(
    "address", ["localhost", "1.2.3", "\u0660.0.0.0", "127.0.0.1\n", "1.2.3.4/8"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    """With the field and the value in the error."""
    with pytest.raises(InvalidField) as caught:
        wish(address)
    assert caught.value.value == address


def test_one_ipv6_address() -> None:
    """Any of the host's will do; the text is the canonical one."""
    assert wish("[2001:DB8::1]") == ("2001:db8::1",)


def test_what_cannot_be_served_is_refused() -> None:
    """A protocol that nobody knows, and SCTP where it would have to be relayed."""
    for refused in (PortBinding(port=Port(9, "dccp")), replace(SCTP, host_address="::1")):
        with pytest.raises(FeatureMissing):
            wishes_of(NetworkSpec(bindings=(refused,)), has_ipv6=True, filtered={4, 6})
    with pytest.raises(FeatureMissing):
        wishes_of(NetworkSpec(bindings=(replace(SCTP, host_address="2001:db8::1"),)),
                  has_ipv6=True, filtered={4})  # fmt: skip


@pytest.mark.parametrize(
    ("filtered", "addresses"), [({4}, ("0.0.0.0",)), ({6}, ("::",)), ({4, 6}, ("0.0.0.0", "::"))]
)
def test_sctp_is_published_where_it_is_led(filtered: set[int], addresses: tuple[str, ...]) -> None:
    """In the versions of IP that the container has."""
    (led,) = wishes_of(NetworkSpec(bindings=(SCTP,)), has_ipv6=True, filtered=filtered)
    assert led.addresses == addresses


def test_publish_all_adds_what_is_exposed_and_not_bound() -> None:
    """-P together with -p: random ports for the rest, a range stays a range."""
    spec = NetworkSpec(
        exposed=(WEB, Port(53, "udp")),
        bindings=(PortBinding(port=WEB, host_port=8000, host_port_end=8010),),
        publishes_all=True,
    )
    found = [(w.protocol, w.first, w.last, w.port) for w in wishes_of(spec, has_ipv6=False)]
    assert found == [("tcp", 8000, 8010, 80), ("udp", 0, 0, 53)]


def test_published_ports_lead_back_to_their_wishes() -> None:
    """What a container has can be held again exactly."""
    wishes = (
        Wish(protocol="tcp", addresses=("0.0.0.0", "::"), first=0, last=0, port=80),
        Wish(protocol="udp", addresses=("127.0.0.1",), first=53, last=53, port=53),
    )
    published = published_of(wishes, (32768, 53))
    assert published[1] == PublishedPort(port=WEB, host_address="::", host_port=32768)
    again = wishes_again(published)
    assert [(w.addresses, w.first, w.last) for w in again] == [
        (("0.0.0.0", "::"), 32768, 32768),
        (("127.0.0.1",), 53, 53),
    ]
    assert published_of(again, (32768, 53)) == published


def test_what_the_packet_filter_leads() -> None:
    """An empty address stands for every one; IPv6 leads to an IPv6 address, or is netd's."""
    published = (
        PublishedPort(port=WEB, host_address="0.0.0.0", host_port=8080),
        PublishedPort(port=WEB, host_address="::", host_port=8080),
        PublishedPort(port=Port(53, "udp"), host_address="127.0.0.1", host_port=53),
    )
    endpoint = EndpointStatus(
        endpoint_id=EndpointId("e"),
        network_id=NetworkId("n"),
        network_name="n",
        address="10.0.0.2",
        published=published,
    )
    assert filter_entries(endpoint) == (("tcp", "", 8080, 80), ("udp", "127.0.0.1", 53, 53))
    dual = replace(endpoint, ipv6_address="fd00::2")
    assert filter_entries(dual) == (
        ("tcp", "", 8080, 80),
        ("tcp", "::", 8080, 80),
        ("udp", "127.0.0.1", 53, 53),
    )


def test_held_ports_are_compared_exactly() -> None:
    """One address too few or too many is a difference."""
    wishes = (Wish(protocol="tcp", addresses=("0.0.0.0", "::"), first=80, last=80, port=80),)
    held = tuple(
        Held(protocol="tcp", address=address, host_port=80, port=80, target="10.0.0.2")
        for address in ("0.0.0.0", "::", "127.0.0.1")
    )
    assert are_held(wishes, held[:2], "10.0.0.2")
    assert not are_held(wishes, held[:2], "10.0.0.3"), "a relay that leads elsewhere"
    assert not are_held(wishes, held[:1], "10.0.0.2")
    assert not are_held(wishes, held, "10.0.0.2")
