"""Packets that leave sealed (IPsec ESP, transport mode): associations and policies, by netlink.

Theory of operation. An *association* says how packets from one host to another are sealed: a
number (SPI), which travels in front of each of them, and a key. It lives on both hosts; the
sender's seals, the receiver's opens. A *policy* says which packets must be: those of UDP to one
port here, between two hosts, and `block` policies for what no other policy speaks of, so that
nothing passes in the clear, neither way. Packets that must be sealed and have no association are
dropped by the kernel (xfrm_lookup), those that came in the clear too (xfrm_policy_check).

AES-GCM with 128 bits of key and 128 of check value (RFC 4106); the last four bytes of a key are
its salt. Sequence numbers are not checked on arrival, since a sender that starts anew counts from
one again. After 2^32 packets an association ends: its keys are to be changed before.

Sources of the numbers: linux/xfrm.h, linux/netlink.h. ip-xfrm(8).
"""

import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from wherry.kit.values import dataclass, field
from wherry.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NetlinkSocket,
    attribute,
    attributes,
    open_socket,
)
from wherry.linux.syscall import KernelError

NETLINK_XFRM = 6

XFRM_MSG_NEWSA, XFRM_MSG_DELSA, XFRM_MSG_GETSA = 0x10, 0x11, 0x12
XFRM_MSG_DELPOLICY, XFRM_MSG_GETPOLICY, XFRM_MSG_UPDPOLICY = 0x14, 0x15, 0x19
XFRMA_ALG_AEAD, XFRMA_TMPL = 18, 5

XFRM_POLICY_IN, XFRM_POLICY_OUT = 0, 1
XFRM_POLICY_ALLOW, XFRM_POLICY_BLOCK = 0, 1
XFRM_MODE_TRANSPORT = 0

KEY_BYTES = 20
_CIPHER = b"rfc4106(gcm(aes))"
_CHECK_VALUE_BITS = 128
_FOR_EVER = struct.pack("=8Q", *(4 * [(1 << 64) - 1]), *(4 * [0]))
"""No limits of bytes and packets (xfrm_lifetime_cfg); no ends by time."""
_UNUSED = bytes(32)
"""xfrm_lifetime_cur: nothing yet."""
_ANY_ALGORITHM = 0xFFFFFFFF
_WHOLE_PORT = 0xFFFF

_SELECTOR = struct.Struct("=16s16s2sH2sHHBBB3xiI")
_ID = struct.Struct("=16s4sB3x")
_ASSOCIATION = struct.Struct("=56s24s16s64s32s12xIIHBBB7x")
_ASSOCIATION_ID = struct.Struct("=16s4sHBx")
_POLICY = struct.Struct("=56s64s32sIIBBBB4x")
_POLICY_ID = struct.Struct("=56sIB3x")
_TEMPLATE = struct.Struct("=24sH2x16sIBBBxIII")
assert (_SELECTOR.size, _ID.size, _ASSOCIATION.size, _ASSOCIATION_ID.size) == (56, 24, 224, 24)
assert (_POLICY.size, _POLICY_ID.size, _TEMPLATE.size) == (168, 64, 64)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Association:
    """How packets from one host to another are sealed; the key is known to the kernel alone."""

    sender: Address
    receiver: Address
    spi: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is asked of UDP packets to a port."""

    is_outward: bool
    port: int
    sender: Address
    receiver: Address
    spi: int = 0
    """The association that seals what leaves; zero for what arrives: any of ours."""
    blocks_the_rest: bool = field(default=False)
    """Whether it forbids what no other policy speaks of, whoever sends it to whom."""


def can_seal(descriptor: int, version: int) -> bool:
    """Whether the kernel has ESP for a version of IP, by making an association for a moment.

    Raises: KernelError (EPERM).
    """
    nobody = ip_address("127.0.0.1" if version == 4 else "::1")
    tried = Association(nobody, nobody, 0xFFFFFFFF)
    try:
        add_association(descriptor, tried, bytes(KEY_BYTES), mark=1)
    except KernelError as error:
        if error.errno == errno.EPERM:
            raise
        return error.errno == errno.EEXIST
    delete_association(descriptor, tried)
    return True


def add_association(descriptor: int, made: Association, key: bytes, *, mark: int) -> None:
    """`ip xfrm state add`. `mark` (reqid) says whose it is. Raises: KernelError (EEXIST, ...)."""
    payload = _ASSOCIATION.pack(
        _selector(made.sender.version),
        _ID.pack(_address(made.receiver), made.spi.to_bytes(4, "big"), socket.IPPROTO_ESP),
        _address(made.sender),
        _FOR_EVER,
        _UNUSED,
        0,
        mark,
        _family(made.sender.version),
        XFRM_MODE_TRANSPORT,
        0,
        0,
    )
    cipher = struct.pack("=64sII", _CIPHER, len(key) * 8, _CHECK_VALUE_BITS) + key
    NetlinkSocket(descriptor).request(
        XFRM_MSG_NEWSA,
        NLM_F_CREATE | NLM_F_EXCL,
        payload + attribute(XFRMA_ALG_AEAD, cipher),
        name="XFRM_MSG_NEWSA",
        operands=(made.sender, made.receiver, f"{made.spi:#x}"),
    )


def delete_association(descriptor: int, gone: Association) -> None:
    """`ip xfrm state delete`. Raises: KernelError (ESRCH)."""
    payload = _ASSOCIATION_ID.pack(
        _address(gone.receiver),
        gone.spi.to_bytes(4, "big"),
        _family(gone.receiver.version),
        socket.IPPROTO_ESP,
    )
    NetlinkSocket(descriptor).request(
        XFRM_MSG_DELSA, 0, payload, name="XFRM_MSG_DELSA", operands=(f"{gone.spi:#x}",)
    )


def associations(descriptor: int, *, mark: int) -> set[Association]:
    """Those with a mark. Raises: KernelError."""
    found = set()
    for body in NetlinkSocket(descriptor).dump(XFRM_MSG_GETSA, b"", name="XFRM_MSG_GETSA"):
        _, identity, sender, *_, theirs, family, _, _, _ = _ASSOCIATION.unpack_from(body)
        receiver, spi, _ = _ID.unpack(identity)
        if theirs == mark:
            found.add(
                Association(
                    _as_address(sender, family),
                    _as_address(receiver, family),
                    int.from_bytes(spi, "big"),
                )
            )
    return found


def set_policy(descriptor: int, policy: Policy, *, mark: int) -> None:
    """`ip xfrm policy update`: packets that it is about are sealed by what has the mark.

    Raises: KernelError.
    """
    blocks = policy.blocks_the_rest
    payload = _POLICY.pack(
        _selector_of(policy),
        _FOR_EVER,
        _UNUSED,
        int(blocks),  # the smaller number is looked at first
        0,
        XFRM_POLICY_OUT if policy.is_outward else XFRM_POLICY_IN,
        XFRM_POLICY_BLOCK if blocks else XFRM_POLICY_ALLOW,
        0,
        0,
    )
    if not blocks:
        spi = policy.spi.to_bytes(4, "big")
        payload += attribute(
            XFRMA_TMPL,
            _TEMPLATE.pack(
                _ID.pack(_address(policy.receiver), spi, socket.IPPROTO_ESP),
                _family(policy.sender.version),
                _address(policy.sender),
                mark,
                XFRM_MODE_TRANSPORT,
                0,
                0,  # not optional
                *(3 * [_ANY_ALGORITHM]),
            ),
        )
    NetlinkSocket(descriptor).request(
        XFRM_MSG_UPDPOLICY, 0, payload, name="XFRM_MSG_UPDPOLICY", operands=(policy.receiver,)
    )


def delete_policy(descriptor: int, policy: Policy) -> None:
    """`ip xfrm policy delete`. Raises: KernelError (ENOENT)."""
    direction = XFRM_POLICY_OUT if policy.is_outward else XFRM_POLICY_IN
    NetlinkSocket(descriptor).request(
        XFRM_MSG_DELPOLICY,
        0,
        _POLICY_ID.pack(_selector_of(policy), 0, direction),
        name="XFRM_MSG_DELPOLICY",
        operands=(policy.receiver,),
    )


def policies(descriptor: int, *, port: int) -> set[Policy]:
    """Those about UDP to a port, both ways. Raises: KernelError."""
    bodies = NetlinkSocket(descriptor).dump(XFRM_MSG_GETPOLICY, b"", name="XFRM_MSG_GETPOLICY")
    return {each for body in bodies for each in _policy(body) if each.port == port}


def _policy(body: bytes) -> Iterator[Policy]:
    selector, _, _, _, _, direction, action, _, _ = _POLICY.unpack_from(body)
    receiver, sender, port, mask, _, _, family, *_, protocol, _, _ = _SELECTOR.unpack(selector)
    if protocol != socket.IPPROTO_UDP or mask != _WHOLE_PORT or direction > XFRM_POLICY_OUT:
        return
    template = attributes(body[_POLICY.size :]).get(XFRMA_TMPL, b"")
    spi = _ID.unpack_from(template)[1] if template else b""
    yield Policy(
        is_outward=direction == XFRM_POLICY_OUT,
        port=int.from_bytes(port, "big"),
        sender=_as_address(sender, family),
        receiver=_as_address(receiver, family),
        spi=int.from_bytes(spi, "big"),
        blocks_the_rest=action == XFRM_POLICY_BLOCK,
    )


def _selector_of(policy: Policy) -> bytes:
    version = policy.sender.version
    length = 0 if policy.blocks_the_rest else policy.sender.max_prefixlen
    return _selector(
        version, policy.receiver, policy.sender, port=policy.port, prefix_length=length
    )


def _selector(
    version: int,
    receiver: Address | None = None,
    sender: Address | None = None,
    *,
    port: int = 0,
    prefix_length: int = 0,
) -> bytes:
    return _SELECTOR.pack(
        _address(receiver) if receiver else b"",
        _address(sender) if sender else b"",
        port.to_bytes(2, "big"),
        _WHOLE_PORT if port else 0,
        b"\0\0",
        0,
        _family(version),
        prefix_length,
        prefix_length,
        socket.IPPROTO_UDP if port else 0,
        0,
        0,
    )


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _address(address: Address) -> bytes:
    return address.packed.ljust(16, b"\0")


def _as_address(packed: bytes, family: int) -> Address:
    return ip_address(packed[:4] if family == socket.AF_INET else packed)


def open_xfrm_socket() -> int:
    """A socket for the calls above, of this thread's network namespace. Raises: OSError."""
    return open_socket(NETLINK_XFRM)
