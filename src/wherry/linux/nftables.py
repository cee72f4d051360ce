"""nftables: whole rulesets through libnftables, elements of maps as messages of our own.

Theory of operation. The skeleton (a table, its maps, chains and rules) is written once when the
engine starts; libnftables compiles it, in one transaction. Publishing a port only adds an
element to a map. That happens in every start, so it goes straight to the kernel: a batch of
nfnetlink messages, which is one transaction too (all of it or nothing).

    BATCH_BEGIN                 linux/netfilter/nfnetlink.h
    NEWSETELEM table map {key : value} ...     linux/netfilter/nf_tables.h
    BATCH_END

A concatenation such as `ipv4_addr . inet_service` is the fields one after the other, in network
byte order, each padded to four bytes.

Callers keep one NETLINK_NETFILTER socket open. Closing one makes the kernel wait until deleted
elements are freed, which takes a grace period of RCU: 12 ms after each deletion instead of 0.1
(nft_rcv_nl_event in net/netfilter/nf_tables_api.c).
"""

import _ctypes
import _thread
import ctypes
import errno
import itertools
import os
import socket
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from itertools import groupby

from wherry.kit.values import dataclass
from wherry.linux.netlink import (
    HEADER,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    attribute,
    attributes,
    error_of,
    message,
    messages,
    nested_list,
    open_socket,
    text_attribute,
)
from wherry.linux.syscall import KernelError

LIBRARY = "libnftables.so.1"
NETLINK_NETFILTER = 12

NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 0x10, 0x11
NFNL_SUBSYS_NFTABLES = 10
NFT_MSG_NEWSETELEM, NFT_MSG_GETSETELEM, NFT_MSG_DELSETELEM = 12, 13, 14
NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_ELEMENTS = 1, 2, 3
NFTA_LIST_ELEM, NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_DATA, NFTA_DATA_VALUE = 1, 1, 2, 1
NFTA_SET_ELEM_FLAGS, NFTA_SET_ELEM_KEY_END, NFT_SET_ELEM_INTERVAL_END = 3, 10, 1

NFPROTO_INET = 1
_OUTPUT_HANDLE, _OUTPUT_JSON = 1 << 3, 1 << 4
"""NFT_CTX_OUTPUT_HANDLE and NFT_CTX_OUTPUT_JSON (nftables/libnftables.h)."""
_NFGENMSG = struct.Struct("=BB2s")
_BATCH = _NFGENMSG.pack(socket.AF_UNSPEC, 0, NFNL_SUBSYS_NFTABLES.to_bytes(2, "big"))
_GENERAL = _NFGENMSG.pack(NFPROTO_INET, 0, bytes(2))
_RECEIVE_BYTES = 1 << 17
_TRANSACTION_BYTES = 4 << 20
"""A transaction is one write: 100,000 elements."""
_MOST_MESSAGES = 1 << 16
_MOST_IN_MESSAGE = 512

_Change = tuple[str, int, int]
_ADD: _Change = ("NFT_MSG_NEWSETELEM", NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL)
_HAVE: _Change = ("NFT_MSG_NEWSETELEM", NFT_MSG_NEWSETELEM, NLM_F_CREATE)
_DELETE: _Change = ("NFT_MSG_DELSETELEM", NFT_MSG_DELSETELEM, 0)
"""What is done with entries: the request's name and number, and its flags."""

exchange = _thread.allocate_lock()
"""Held for a request and its answers on a netfilter socket that threads share."""
_sequences = itertools.count(0, _MOST_MESSAGES)
"""Left-over answers of a failed batch never look like those of the next."""


# -- whole rulesets --------------------------------------------------------------------------


class RulesetRefused(Exception):
    """libnftables or the kernel did not take a ruleset; the text is what it said."""


@contextmanager
def _loaded() -> Iterator[ctypes.CDLL]:
    """libnftables, for as long as a ruleset is compiled.

    With the six libraries that it needs it is 1.5 MiB, of no use to an engine that is idle;
    loading them takes less than a twentieth of what a ruleset does.
    """
    library = ctypes.CDLL(LIBRARY)
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = (ctypes.c_uint32,)
    library.nft_ctx_free.restype = None
    library.nft_ctx_free.argtypes = (ctypes.c_void_p,)
    library.nft_ctx_buffer_error.argtypes = (ctypes.c_void_p,)
    library.nft_ctx_buffer_output.argtypes = (ctypes.c_void_p,)
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_error_buffer.argtypes = (ctypes.c_void_p,)
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    library.nft_ctx_get_output_buffer.argtypes = (ctypes.c_void_p,)
    library.nft_ctx_output_set_flags.restype = None
    library.nft_ctx_output_set_flags.argtypes = (ctypes.c_void_p, ctypes.c_uint)
    library.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    try:
        yield library
    finally:
        _ctypes.dlclose(library._handle)


def run_ruleset(commands: str) -> None:
    """Run nft commands as one transaction. Never put a user's text into them.

    Raises: RulesetRefused; OSError when the library is not there.
    """
    _run(commands)


def listed(command: str, *, is_json: bool = False) -> str:
    """What a `list` command of nft prints, with the handles of rules, or as JSON.

    Raises: RulesetRefused; OSError when the library is not there.
    """
    return _run(command, flags=_OUTPUT_JSON if is_json else _OUTPUT_HANDLE)


def _run(commands: str, *, flags: int = 0) -> str:
    with _loaded() as library:
        context = library.nft_ctx_new(0)
        try:
            library.nft_ctx_buffer_error(context)
            library.nft_ctx_buffer_output(context)
            library.nft_ctx_output_set_flags(context, flags)
            if library.nft_run_cmd_from_buffer(context, commands.encode()) != 0:
                said: bytes = library.nft_ctx_get_error_buffer(context) or b""
                raise RulesetRefused(said.decode(errors="replace").strip())
            printed: bytes = library.nft_ctx_get_output_buffer(context) or b""
            return printed.decode(errors="replace")
        finally:
            library.nft_ctx_free(context)


# -- elements of maps ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One entry of a map of a table of the inet family; key and value are as the kernel's.

    An entry of a set has no value. `wherry.linux.nft_texts` tells of intervals.
    """

    map_name: str
    key: bytes
    value: bytes
    last: bytes = b""
    """Of an interval of several fields: its last key."""
    ends_interval: bool = False
    """Whether the interval that begins before this key does not reach it."""


def pack_port(port: int) -> bytes:
    """`inet_service`."""
    return port.to_bytes(2, "big")


def pack_address_port(address: IPv4Address | IPv6Address, port: int) -> bytes:
    """`ipv4_addr . inet_service`, or the same with an `ipv6_addr`."""
    return address.packed + port.to_bytes(2, "big") + bytes(2)


def pack_address_protocol_port(
    address: IPv4Address | IPv6Address, protocol: int, port: int
) -> bytes:
    """`ipv4_addr . inet_proto . inet_service`, or the same with an `ipv6_addr`.

    Each part of a key is padded to four bytes.
    """
    return address.packed + bytes((protocol, 0, 0, 0)) + port.to_bytes(2, "big") + bytes(2)


def open_filter_socket() -> int:
    """A NETLINK_NETFILTER socket of this thread's network namespace. Raises: OSError."""
    return open_socket(NETLINK_NETFILTER, send_bytes=_TRANSACTION_BYTES)


def add_elements(descriptor: int, table: str, elements: Sequence[Element]) -> None:
    """Add entries, all or none.

    Raises: KernelError (EEXIST or EBUSY for a key that is there; ENOENT: no such table or map).
    """
    _batch(descriptor, table, ((_ADD, elements),))


def have_elements(descriptor: int, table: str, elements: Sequence[Element]) -> None:
    """Add those entries that are not there yet, all or none. Raises: as `add_elements`."""
    _batch(descriptor, table, ((_HAVE, elements),))


def delete_elements(descriptor: int, table: str, elements: Sequence[Element]) -> None:
    """Delete entries by key, all or none. Raises: KernelError (ENOENT)."""
    _batch(descriptor, table, ((_DELETE, elements),))


def exchange_elements(
    descriptor: int, table: str, gone: Sequence[Element], new: Sequence[Element]
) -> None:
    """Delete entries and add others in one transaction, which may have the same keys.

    Raises: as `delete_elements` and `add_elements`; then nothing has changed.
    """
    _batch(descriptor, table, ((_DELETE, gone), (_ADD, new)))


def list_elements(descriptor: int, table: str, map_name: str) -> list[Element]:
    """The entries of a map. Raises: KernelError (ENOENT)."""
    kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM
    payload = (
        _GENERAL
        + text_attribute(NFTA_SET_ELEM_LIST_TABLE, table)
        + text_attribute(NFTA_SET_ELEM_LIST_SET, map_name)
    )
    found: list[Element] = []
    with exchange:
        ours = next_sequence()
        os.write(descriptor, message(kind, NLM_F_REQUEST | NLM_F_DUMP, ours, payload))
        while True:
            for answer, sequence, body in messages(os.read(descriptor, _RECEIVE_BYTES)):
                if sequence != ours:
                    continue
                if answer in (NLMSG_DONE, NLMSG_ERROR):
                    if error_of(body):
                        raise KernelError(error_of(body), "NFT_MSG_GETSETELEM", table, map_name)
                    return found
                found += _elements(map_name, body)


def those_present(
    descriptor: int, table: str, elements: Collection[Element]
) -> frozenset[Element]:
    """Those of some entries that are there, whatever leads from their keys; none without a table.

    To look costs nothing; to try in vain takes a grace period of RCU (nf_tables_abort).
    Raises: KernelError.
    """
    try:
        found = {
            (each.map_name, each.key, each.ends_interval)
            for name in {each.map_name for each in elements}
            for each in list_elements(descriptor, table, name)
        }
    except KernelError as error:
        if not is_missing(error):
            raise
        return frozenset()
    return frozenset(x for x in elements if (x.map_name, x.key, x.ends_interval) in found)


def _elements(map_name: str, body: bytes) -> list[Element]:
    listed = attributes(body[_NFGENMSG.size :]).get(NFTA_SET_ELEM_LIST_ELEMENTS, b"")
    found = []
    for _kind, entry in nested_list(listed):
        parts = attributes(entry)
        key = attributes(parts.get(NFTA_SET_ELEM_KEY, b"")).get(NFTA_DATA_VALUE, b"")
        value = attributes(parts.get(NFTA_SET_ELEM_DATA, b"")).get(NFTA_DATA_VALUE, b"")
        flags = int.from_bytes(parts.get(NFTA_SET_ELEM_FLAGS, b""), "big")
        ends = bool(flags & NFT_SET_ELEM_INTERVAL_END)
        found.append(Element(map_name=map_name, key=key, value=value, ends_interval=ends))
    return found


def _batch(
    descriptor: int, table: str, changes: Iterable[tuple[_Change, Sequence[Element]]]
) -> None:
    """Send one transaction and wait for its fate.

    Each message is acknowledged whether or not a later one fails, so all answers are read
    before the verdict. An error of the commit itself answers BATCH_BEGIN.
    """
    parts = [
        (change, name, part) for change, elements in changes for name, part in _by_map(elements)
    ]
    if not parts:
        return
    with exchange:
        first = next_sequence()
        packet = message(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, first, _BATCH)
        for number, ((_name, kind, flags), name, part) in enumerate(parts, first + 1):
            payload = _GENERAL + _elements_payload(table, name, part)
            flags |= NLM_F_REQUEST | NLM_F_ACK
            packet += message(NFNL_SUBSYS_NFTABLES << 8 | kind, flags, number, payload)
        packet += message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, first + len(parts) + 1, _BATCH)
        os.write(descriptor, packet)
        failed = _read_failures(descriptor, first, len(parts))
    if failed:
        number, code = min(failed.items())
        (request, _kind, _flags), shown, _part = parts[max(number, 1) - 1]
        raise KernelError(code, request, table, shown)


def _by_map(elements: Sequence[Element]) -> Iterator[tuple[str, Sequence[Element]]]:
    """What goes into one message each: an acknowledgement for each element would fill the
    socket's buffer when a thousand ports are published, and an attribute holds 64 KiB.
    """
    for name, group in groupby(elements, key=lambda each: each.map_name):
        members = tuple(group)
        for at in range(0, len(members), _MOST_IN_MESSAGE):
            yield name, members[at : at + _MOST_IN_MESSAGE]


def _read_failures(descriptor: int, first: int, count: int) -> dict[int, int]:
    """Errno by message number, of those that failed; number 0 is BATCH_BEGIN."""
    failed: dict[int, int] = {}
    while count > 0 and 0 not in failed:
        for answer, sequence, body in messages(os.read(descriptor, _RECEIVE_BYTES)):
            if answer != NLMSG_ERROR or not first <= sequence < first + _MOST_MESSAGES:
                continue
            count -= 1
            if error_of(body):
                failed[sequence - first] = error_of(body)
    return failed


def next_sequence() -> int:
    """The first of a block of sequence numbers that nobody else uses."""
    return next(_sequences) & 0xFFFFFFFF


def _elements_payload(table: str, map_name: str, elements: Iterable[Element]) -> bytes:
    entries = b"".join(attribute(NFTA_LIST_ELEM, _entry(each)) for each in elements)
    return (
        text_attribute(NFTA_SET_ELEM_LIST_TABLE, table)
        + text_attribute(NFTA_SET_ELEM_LIST_SET, map_name)
        + attribute(NFTA_SET_ELEM_LIST_ELEMENTS, entries)
    )


def _entry(element: Element) -> bytes:
    entry = attribute(NFTA_SET_ELEM_KEY, attribute(NFTA_DATA_VALUE, element.key))
    if element.value:
        entry += attribute(NFTA_SET_ELEM_DATA, attribute(NFTA_DATA_VALUE, element.value))
    if element.last:
        entry += attribute(NFTA_SET_ELEM_KEY_END, attribute(NFTA_DATA_VALUE, element.last))
    if element.ends_interval:
        flags = NFT_SET_ELEM_INTERVAL_END.to_bytes(4, "big")
        entry += attribute(NFTA_SET_ELEM_FLAGS, flags)
    return entry


def is_missing(error: OSError) -> bool:
    """Whether the table, map or element of a request was not there."""
    return error.errno == errno.ENOENT


assert HEADER.size == 16, "struct nlmsghdr, linux/netlink.h"
