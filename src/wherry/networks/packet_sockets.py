"""Packet sockets with a filter expression, as tcpdump has them (pcap-filter(7)). Blocking."""

import re
import socket

from wherry.linux import libpcap
from wherry.model.errors import HostLacks, InvalidField

_WORD = re.compile(r"\S+")
_LONGEST = 4096


def compiled(expression: str) -> bytes:
    """The expression for the kernel. Raises: InvalidField, HostLacks."""
    if len(expression) > _LONGEST:
        raise InvalidField("filter", f"{expression[:20]}...", f"is longer than {_LONGEST} letters")
    try:
        return libpcap.pcap_compile(expression)
    except libpcap.LibraryMissing as error:
        raise HostLacks("capture --filter", "libpcap (libpcap.so.0.8)") from error
    except libpcap.ExpressionRefused as refused:
        position = _first_wrong(expression)
        raise InvalidField(
            "filter", expression, f"{refused}, at letter {position + 1}"
        ) from refused


def attach(descriptor: int, code: bytes) -> None:
    """Let only such packets come to a packet socket; what came before is thrown away."""
    with socket.socket(fileno=descriptor) as packets:
        try:
            libpcap.attach_filter(packets, code)
            packets.setblocking(False)
            while True:
                packets.recv(1)
        except BlockingIOError:
            return
        finally:
            packets.detach()


def _first_wrong(expression: str) -> int:
    """Where the word begins up to which the expression would be one: the library says nothing."""
    for word in reversed(list(_WORD.finditer(expression))):
        try:
            libpcap.pcap_compile(expression[: word.start()])
        except libpcap.ExpressionRefused:
            continue
        return word.start()
    return 0
