"""How a new container is to be connected."""

import ipaddress
import re
from collections.abc import Iterator

from msgspec.structs import replace

from wherry.api.translate.endpoints import to_endpoint_wish, to_link, to_mac_address
from wherry.api.translate.ports import to_bindings, to_exposed
from wherry.model.containers import Link, NetworkSpec
from wherry.model.errors import InvalidValue
from wherry.model.networks import EndpointWish, NetworkMode, NetworkModeKind
from wherry.wire.container_config import CreateRequest, EndpointSettings, HostShape

_HOST_NAME = re.compile(r"[^\s#\x00-\x1f\x7f]{1,253}")
"""What can stand in a line of /etc/hosts or resolv.conf without changing its meaning."""


def to_network_spec(request: CreateRequest, host: HostShape) -> NetworkSpec:
    """Raises: InvalidValue, FeatureMissing."""
    mode = to_network_mode(host.NetworkMode)
    _refuse_conflicts(request, host, mode)
    return NetworkSpec(
        mode=mode,
        exposed=to_exposed(request.ExposedPorts or ()),
        bindings=to_bindings(host.PortBindings or {}),
        publishes_all=host.PublishAllPorts,
        dns=tuple(_address(each) for each in host.Dns or ()),
        dns_search=tuple(_word("DNS search domain", each) for each in host.DnsSearch or ()),
        dns_options=tuple(_word("DNS option", each) for each in host.DnsOptions or ()),
        extra_hosts=tuple(_extra_host(each) for each in host.ExtraHosts or ()),
        mac_address=_mac_address(request),
        links=_links(host, mode),
        is_disabled=request.NetworkDisabled is True,
        endpoints=tuple(_wishes(request, host, mode)),
    )


def _links(host: HostShape, mode: NetworkMode) -> tuple[Link, ...]:
    """`db:store` or `db`, on the default bridge; users' networks have links of endpoints."""
    if not host.Links or _is_users(mode):
        return ()
    if mode.kind is NetworkModeKind.HOST:
        raise InvalidValue(
            "conflicting options: host type networking can't be used with links. This would"
            " result in undefined behavior"
        )
    return tuple(Link(target=name, alias=alias) for name, alias in map(to_link, host.Links))


def _is_users(mode: NetworkMode) -> bool:
    return mode.kind is NetworkModeKind.NETWORK and mode.reference != "bridge"


def to_network_mode(text: str) -> NetworkMode:
    """`host`, `container:web`, `bridge` ... Raises: InvalidValue."""
    match text:
        case "" | "default":
            return NetworkMode()
        case "none":
            return NetworkMode(NetworkModeKind.NONE)
        case "host":
            return NetworkMode(NetworkModeKind.HOST)
    if text == "container" or text.startswith("container:"):
        reference = text.removeprefix("container").removeprefix(":")
        if not reference:
            raise InvalidValue(
                "invalid network mode: invalid container format container:<name|id>"
            )
        return NetworkMode(NetworkModeKind.CONTAINER, reference)
    return NetworkMode(NetworkModeKind.NETWORK, text)


def network_mode_text(mode: NetworkMode) -> str:
    """The mode as inspection shows it: the default has the name of its network."""
    match mode.kind:
        case NetworkModeKind.DEFAULT:
            return "bridge"
        case NetworkModeKind.CONTAINER:
            return f"container:{mode.reference}"
        case NetworkModeKind.NETWORK:
            return mode.reference
        case _:
            return str(mode.kind.value)


def warnings_of(spec: NetworkSpec) -> tuple[str, ...]:
    """What the user should know and that is no error."""
    if spec.mode.kind is NetworkModeKind.HOST and (spec.bindings or spec.publishes_all):
        return ("Published ports are discarded when using host network mode",)
    return ()


# -- conflicts -------------------------------------------------------------------------------


def _refuse_conflicts(request: CreateRequest, host: HostShape, mode: NetworkMode) -> None:
    """The combinations that make no sense, with Docker's sentences (runconfig/errors.go)."""
    is_joined = mode.kind is NetworkModeKind.CONTAINER
    conflicts = (
        (is_joined and bool(request.Hostname), "hostname and the network mode"),
        (host.UTSMode == "host" and bool(request.Hostname), "hostname and the UTS mode"),
        (
            is_joined and bool(host.Links),
            "container type network can't be used with links. This would result in undefined "
            "behavior",
        ),
        (is_joined and bool(host.Dns), "dns and the network mode"),
        (is_joined and bool(host.ExtraHosts), "custom host-to-IP mapping and the network mode"),
        (is_joined and bool(_mac_address(request)), "mac-address and the network mode"),
        (
            is_joined and bool(host.PortBindings or host.PublishAllPorts),
            "port publishing and the container type network mode",
        ),
        (
            is_joined and bool(request.ExposedPorts),
            "port exposing and the container type network mode",
        ),
    )
    for is_in_conflict, options in conflicts:
        if is_in_conflict:
            raise InvalidValue(f"conflicting options: {options}")


def _endpoints(request: CreateRequest) -> dict[str, EndpointSettings | None]:
    networking = request.NetworkingConfig
    return (networking.EndpointsConfig or {}) if networking else {}


def _wishes(request: CreateRequest, host: HostShape, mode: NetworkMode) -> Iterator[EndpointWish]:
    """Wishes for single networks; Docker's name for the default one is `default`.

    Links that a client names only for the container as a whole are those of its mode's network.
    """
    endpoints = _endpoints(request)
    if _is_users(mode) and host.Links:
        first = endpoints.get(mode.reference) or EndpointSettings()
        links = first.Links or host.Links
        endpoints = {**endpoints, mode.reference: replace(first, Links=links)}
    for name, settings in endpoints.items():
        yield to_endpoint_wish("bridge" if name in ("", "default") else name, settings)


# -- single values ---------------------------------------------------------------------------


def _mac_address(request: CreateRequest) -> str:
    """The container's own wish; those for single networks are with their endpoints."""
    return to_mac_address(request.MacAddress if isinstance(request.MacAddress, str) else "")


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise InvalidValue(f"invalid IP address: {text}") from None


def _word(what: str, text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise InvalidValue(f"invalid {what}: {text!r}")
    return text


def _extra_host(text: str) -> str:
    name, colon, address = text.partition(":")
    if not colon or not _HOST_NAME.fullmatch(name):
        raise InvalidValue(f'bad format for add-host: "{text}"')
    if address != "host-gateway":
        try:
            ipaddress.ip_address(address.strip("[]"))
        except ValueError:
            raise InvalidValue(f'invalid IP address in add-host: "{address}"') from None
    return text
