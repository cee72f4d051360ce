"""Plugins that answered, and calls of them.

A call is one POST with a JSON object, answered by one; `Err` in it is the plugin's complaint.
A plugin that is not there when it is first wanted may just be starting: the connection is tried
again for a while, as Docker does. Once it has answered, a refused connection is an error at once.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from wherry.model.errors.plugins import PluginFailed, PluginNotFound
from wherry.plugins.discovery import (
    SOCKET_DIRECTORIES,
    SPEC_DIRECTORIES,
    PluginAddress,
    find,
)
from wherry.plugins.messages import Activation, Answer, Nothing

if TYPE_CHECKING:
    from http.client import HTTPConnection

VOLUME_DRIVER, NETWORK_DRIVER = "VolumeDriver", "NetworkDriver"
IPAM_DRIVER, LOG_DRIVER = "IpamDriver", "LogDriver"
"""What a plugin may implement."""

_Answer = TypeVar("_Answer", bound=Answer)

_MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json"
CALL_TIMEOUT_S = 30.0
START_PATIENCE_S = 5.0
LARGEST_ANSWER = 1 << 22
"""Bytes; a list of ten thousand volumes is smaller."""


class Plugin:
    """One plugin that said what it implements. Calls may come from any thread."""

    def __init__(
        self,
        address: PluginAddress,
        implements: frozenset[str],
        host_path: Callable[[str], str] | None = None,
    ) -> None:
        """`host_path` is for one that sees another tree of files than the host does."""
        self.name = address.name
        self.implements = implements
        """As `VolumeDriver`."""
        self._address = address
        self._host_path = host_path

    @property
    def address(self) -> str:
        """`unix:///path` or `tcp://host:port`."""
        return self._address.address

    def host_path(self, path: str) -> str:
        """A path of the plugin's as the host has it."""
        return self._host_path(path) if self._host_path is not None else path

    def call(self, method: str, request: msgspec.Struct, answer: type[_Answer]) -> _Answer:
        """One call, as `VolumeDriver.Create`. Raises: PluginFailed with the plugin's word."""
        return _call(self._address, method, request, answer)


class ManagedPlugins(Protocol):
    """Plugins that the engine runs by itself."""

    def reach(self, name: str) -> Plugin | None:
        """The one of a name that is enabled."""
        ...

    def enabled(self, kind: str) -> Sequence[str]:
        """The names of those that are enabled and implement something."""
        ...


class PluginHost:
    """Finds plugins by name, and activates each when it is first wanted.

    Calls may come from any thread, and none waits for another: a plugin that is slow to answer
    holds up those who want it. Two of them may both activate it, which says the same twice.
    """

    def __init__(
        self,
        sockets: Sequence[str] = SOCKET_DIRECTORIES,
        specs: Sequence[str] = SPEC_DIRECTORIES,
    ) -> None:
        self._sockets = sockets
        self._specs = specs
        self._active: dict[str, Plugin] = {}
        self._managed: ManagedPlugins | None = None

    def ask_first(self, managed: ManagedPlugins) -> None:
        """Whose plugins come before what is found on the host."""
        self._managed = managed

    def get(self, name: str, kind: str) -> Plugin:
        """A plugin that implements something.

        Raises: PluginNotFound when there is none, or it does something else; PluginFailed.
        """
        plugin = (self._managed and self._managed.reach(name)) or self._active.get(name)
        if plugin is None:
            plugin = self._active.setdefault(name, self._activated(name))
        if kind not in plugin.implements:
            raise PluginNotFound(name)
        return plugin

    def active(self, kind: str) -> Sequence[str]:
        """The names of plugins that implement something: managed ones, and those of the host
        that were wanted so far."""
        managed = self._managed.enabled(kind) if self._managed is not None else ()
        found = (name for name, each in tuple(self._active.items()) if kind in each.implements)
        return sorted({*managed, *found})

    def _activated(self, name: str) -> Plugin:
        try:
            address = find(name, self._sockets, self._specs)
        except (OSError, ValueError) as error:
            raise PluginFailed(name, "Plugin.Activate", str(error)) from error
        if address is None:
            raise PluginNotFound(name)
        said = _call(
            address, "Plugin.Activate", Nothing(), Activation, patience_s=START_PATIENCE_S
        )
        return Plugin(address, frozenset(said.Implements))


def _call(
    address: PluginAddress,
    method: str,
    request: msgspec.Struct,
    answer: type[_Answer],
    *,
    patience_s: float = 0,
) -> _Answer:
    give_up_at = time.monotonic() + patience_s
    while True:
        try:
            said = _answer(address, method, msgspec.json.encode(request), answer)
        except ConnectionRefusedError as error:
            if time.monotonic() >= give_up_at:
                raise PluginFailed(address.name, method, str(error)) from error
            time.sleep(0.1)
        except (OSError, ValueError) as error:
            raise PluginFailed(address.name, method, str(error)) from error
        else:
            if said.Err:
                raise PluginFailed(address.name, method, said.Err)
            return said


def _answer(address: PluginAddress, method: str, request: bytes, answer: type[_Answer]) -> _Answer:
    """Raises: OSError; ValueError for what is no answer of a plugin."""
    from http.client import HTTPException  # seldom wanted: not in memory before

    headers = {"Accept": _MEDIA_TYPE, "Content-Type": "application/json", "Host": "plugin"}
    with contextlib.closing(_connection(address)) as connection:
        try:
            connection.request("POST", f"/{method}", request, headers)
            response = connection.getresponse()
            body = response.read(LARGEST_ANSWER + 1)
        except HTTPException as error:
            raise ValueError(f"no HTTP: {error!r}") from error
    if len(body) > LARGEST_ANSWER:
        raise ValueError(f"the answer has more than {LARGEST_ANSWER} bytes")
    try:
        said = msgspec.json.decode(body if body.strip() else b"{}", type=answer)
    except msgspec.MsgspecError as error:
        if response.status == 200:
            raise ValueError(f"the answer makes no sense: {error}") from error
        said = answer()
    if response.status != 200 and not said.Err:
        text = body[:200].decode(errors="replace").strip()
        raise ValueError(f"status {response.status}: {text}")
    return said


def _connection(address: PluginAddress) -> "HTTPConnection":
    import socket
    from http.client import HTTPConnection, HTTPSConnection

    scheme, _, place = address.address.partition("://")
    if scheme == "unix":
        connection = HTTPConnection("plugin", timeout=CALL_TIMEOUT_S)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(CALL_TIMEOUT_S)
        try:
            connection.sock.connect(place)
        except BaseException:
            connection.close()
            raise
        return connection
    if not address.uses_tls:
        return HTTPConnection(place, timeout=CALL_TIMEOUT_S)
    import ssl

    context = ssl.create_default_context(cafile=address.ca_file or None)
    if address.certificate_file:
        context.load_cert_chain(address.certificate_file, address.key_file or None)
    if not address.is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(place, timeout=CALL_TIMEOUT_S, context=context)
