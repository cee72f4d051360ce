"""Elements of sets and maps as nft writes them, turned into what the kernel has.

A key is one field or several (`"br0" . 10.1.0.0/16`); a field is the name of a link or a subnet.
A subnet is an interval, which the kernel keeps in two ways (net/netfilter/nft_set_rbtree.c,
nft_set_pipapo.c):

    10.1.0.0/16             two elements: 10.1.0.0 begins it; at 10.2.0.0 it has ended
    "br0" . 10.1.0.0/16     one element with a first and a last key

libnftables would do this too, but reads every element that is there before it changes one, and
its socket waits at its end (`wherry.linux.nftables` says for what): 10 ms for each change.
"""

from ipaddress import ip_address, ip_network

from wherry.linux.nftables import Element

_NAME_BYTES = 16
"""IFNAMSIZ (linux/if.h)."""


def packed(map_name: str, text: str) -> tuple[Element, ...]:
    """The elements of a text such as `10.1.0.0/16 : 192.0.2.1`. Raises: ValueError."""
    key, _, target = text.partition(" : ")
    value = ip_address(target).packed if target else b""
    bounds = [_bounds(field) for field in key.split(" . ")]
    first, last = (b"".join(parts) for parts in zip(*bounds, strict=True))
    if "/" not in key:
        return (Element(map_name=map_name, key=first, value=value),)
    if len(bounds) > 1:
        return (Element(map_name=map_name, key=first, value=value, last=last),)
    begin = Element(map_name=map_name, key=first, value=value)
    if last == b"\xff" * len(last):
        return (begin,)  # nothing comes after it
    after = (int.from_bytes(last, "big") + 1).to_bytes(len(last), "big")
    return (begin, Element(map_name=map_name, key=after, value=b"", ends_interval=True))


def _bounds(field: str) -> tuple[bytes, bytes]:
    """The first and the last value of a field: of a name in quotes, or of a subnet."""
    if field.startswith('"'):
        name = field.strip('"').encode().ljust(_NAME_BYTES, b"\0")
        return name, name
    subnet = ip_network(field)
    return subnet[0].packed, subnet[-1].packed
