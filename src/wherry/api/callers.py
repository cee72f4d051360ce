"""Who is at the other end of a request's connection."""

import os
import socket
import struct

from aiohttp import web

from wherry.model.callers import Caller

_CREDENTIALS = struct.Struct("iII")
"""struct ucred: pid, uid, gid (unix(7))."""
_SAFE_METHODS = ("GET", "HEAD")


def caller_of(request: web.BaseRequest) -> Caller | None:
    """The caller of a request that changes something; None where nothing is known."""
    transport = request.transport
    if request.method in _SAFE_METHODS or transport is None:
        return None
    connection = transport.get_extra_info("socket")
    if connection is None:
        return None
    if connection.family != socket.AF_UNIX:
        return Caller(address=str(transport.get_extra_info("peername")[0]))
    try:
        credentials = connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
        )
    except OSError:
        return None
    pid, uid, _gid = _CREDENTIALS.unpack(credentials)
    return Caller(uid=uid, pid=pid, program=_program(pid))


def _program(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""
