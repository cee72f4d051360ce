"""Which machines answer for a registry's name, in the order in which they are asked.

`docker.io/library/busybox` names a registry, not a machine: mirrors may answer for it, and the
registry itself may be called otherwise. Four sources say so, the first that speaks wins:

    hosts.toml         per registry, in a directory of certificates (containerd's format)
    registry-mirrors   for Docker Hub as a list, for every registry as a map
    insecure           hosts and networks that may have a bad certificate, or none
    certs.d            HOST/*.crt: authorities; HOST/*.cert with *.key: client certificates

Only a host that is insecure is ever spoken to without TLS, and loopback is (as in dockerd).
"""

import ipaddress
import os
import ssl
from collections.abc import Iterator, Mapping
from enum import Enum
from urllib.parse import urlsplit

from wherry.kit.values import dataclass, field, replace
from wherry.model.errors import InvalidField, StateUnreadable

DOCKER_HUB = "docker.io"
_DOCKER_HUB_HOST = "registry-1.docker.io"
_DOCKER_HUB_INDEX = "index.docker.io"
"""Where the search of the index is, version 1, which the registry itself has not."""
_EVERY = "_default"
"""The directory of hosts.toml for every registry that has none of its own."""


class Capability(Enum):
    """What a host may be asked for; the values are those of hosts.toml."""

    PULL = "pull"
    RESOLVE = "resolve"
    PUSH = "push"


_ALL = frozenset(Capability)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose certificates a host may show, and whom we are to it."""

    authorities: tuple[str, ...] = ()
    """PEM files beside the system's."""
    client_pairs: tuple[tuple[str, str], ...] = ()
    """Certificate and key files."""
    skips_verification: bool = False

    def context(self) -> ssl.SSLContext:
        """The TLS settings. Raises: StateUnreadable naming the file that can't be used."""
        context = ssl.create_default_context()
        if self.skips_verification:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        for path in self.authorities:
            try:
                context.load_verify_locations(path)
            except (OSError, ssl.SSLError) as error:
                raise StateUnreadable(path, f"no certificate authority: {error}") from error
        for certificate, key in self.client_pairs:
            try:
                context.load_cert_chain(certificate, key)
            except (OSError, ssl.SSLError) as error:
                raise StateUnreadable(certificate, f"no client certificate: {error}") from error
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryHost:
    """One machine to ask."""

    url: str
    """`scheme://host[:port][/prefix]/v2`, without a slash at the end."""
    trust: Trust = field(default_factory=Trust)
    capabilities: frozenset[Capability] = _ALL
    headers: tuple[tuple[str, str], ...] = ()
    is_mirror: bool = False
    is_insecure: bool = False
    """Whether it may be asked without TLS, should it not speak TLS."""

    @property
    def authority(self) -> str:
        """`host[:port]`."""
        return urlsplit(self.url).netloc

    def without_tls(self) -> "RegistryHost":
        """The same, asked in plain HTTP."""
        return RegistryHost(
            url="http" + self.url.removeprefix("https"),
            capabilities=self.capabilities,
            headers=self.headers,
            is_mirror=self.is_mirror,
            is_insecure=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """What an operator decided about registries."""

    hub_mirrors: tuple[str, ...] = ()
    """`registry-mirrors` as a list: base URLs that answer for Docker Hub."""
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """`registry-mirrors` as a map: base URLs by the registry's name."""
    insecure: tuple[str, ...] = ()
    """`host[:port]` or networks in CIDR notation."""
    certificate_directories: tuple[str, ...] = ("/etc/wherry/certs.d", "/etc/docker/certs.d")

    def hosts(self, domain: str) -> tuple[RegistryHost, ...]:
        """The hosts of a registry: mirrors in their order, then the registry itself.

        Raises: StateUnreadable for a hosts.toml or certificate that can't be used.
        """
        for directory in self._directories(domain, _EVERY):
            path = os.path.join(directory, "hosts.toml")
            if os.path.isfile(path):
                return tuple(self._from_file(path, domain))
        listed = self.mirrors.get(domain, self.hub_mirrors if domain == DOCKER_HUB else ())
        return (*(self._mirror(url) for url in listed), self._origin(domain))

    def index(self, domain: str) -> RegistryHost:
        """The host whose repositories may be searched, by version 1. Raises: as `hosts`."""
        is_hub = domain == DOCKER_HUB
        host = self._origin(_DOCKER_HUB_INDEX) if is_hub else self.hosts(domain)[-1]
        return replace(host, url=f"{host.url.removesuffix('/v2')}/v1")

    def is_insecure(self, authority: str) -> bool:
        """Whether a `host[:port]` may be spoken to with a bad certificate or without TLS."""
        if authority in self.insecure:
            return True
        host = urlsplit(f"//{authority}").hostname or ""
        if host == "localhost" or host in self.insecure:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or any(address in each for each in self._networks())

    def _networks(self) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        for text in self.insecure:
            if "/" in text:
                try:
                    yield ipaddress.ip_network(text, strict=False)
                except ValueError as error:
                    raise InvalidField("insecure-registry", text, "is no network") from error

    def _origin(self, domain: str) -> RegistryHost:
        authority = _DOCKER_HUB_HOST if domain == DOCKER_HUB else domain
        insecure = self.is_insecure(authority)
        return RegistryHost(
            url=f"https://{authority}/v2",
            trust=self._trust(domain, skips_verification=insecure),
            is_insecure=insecure,
        )

    def _mirror(self, url: str) -> RegistryHost:
        parts = urlsplit(url)
        insecure = parts.scheme == "http" or self.is_insecure(parts.netloc)
        return RegistryHost(
            url=f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/v2",
            trust=self._trust(parts.netloc, skips_verification=insecure),
            capabilities=frozenset((Capability.PULL, Capability.RESOLVE)),
            is_mirror=True,
            is_insecure=insecure,
        )

    def _directories(self, *names: str) -> Iterator[str]:
        for name in names:
            for top in self.certificate_directories:
                # Docker and containerd agree on `host:port` as the directory's name.
                directory = os.path.join(top, name)
                if os.path.isdir(directory):
                    yield directory

    def _trust(self, authority: str, *, skips_verification: bool) -> Trust:
        authorities, pairs = [], []
        for directory in self._directories(authority):
            for name in sorted(os.listdir(directory)):
                path = os.path.join(directory, name)
                if name.endswith(".crt"):
                    authorities.append(path)
                elif name.endswith(".cert"):
                    key = path.removesuffix(".cert") + ".key"
                    if not os.path.isfile(key):
                        raise StateUnreadable(path, f"missing key {key} for it")
                    pairs.append((path, key))
        return Trust(
            authorities=tuple(authorities),
            client_pairs=tuple(pairs),
            skips_verification=skips_verification,
        )

    def _from_file(self, path: str, domain: str) -> Iterator[RegistryHost]:
        """containerd's hosts.toml: tables `host."URL"` in order, and `server` as the last."""
        import tomllib  # Few registries have such a file.

        try:
            with open(path, "rb") as file:
                document = tomllib.load(file)
        except (OSError, ValueError) as error:
            raise StateUnreadable(path, str(error)) from error
        tables = document.get("host", {})
        if not isinstance(tables, dict):
            raise StateUnreadable(path, "host: not a table")
        for url, table in tables.items():
            yield self._from_table(path, url, table, is_mirror=True)
        server = document.get("server")
        if server is None:
            yield self._origin(domain)
        else:
            yield self._from_table(path, server, document, is_mirror=False)

    def _from_table(
        self, path: str, url: object, table: object, *, is_mirror: bool
    ) -> RegistryHost:
        if not isinstance(url, str) or not isinstance(table, dict):
            raise StateUnreadable(path, f"{url!r}: not a host and its table")
        parts = urlsplit(url if "://" in url else f"https://{url}")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise StateUnreadable(path, f"{url!r}: not a URL")
        if parts.netloc == DOCKER_HUB:
            parts = parts._replace(netloc=_DOCKER_HUB_HOST)
        prefix = parts.path.rstrip("/")
        if not table.get("override_path") and not prefix.endswith("/v2"):
            prefix += "/v2"
        home = os.path.dirname(path)
        return RegistryHost(
            url=f"{parts.scheme}://{parts.netloc}{prefix}",
            trust=Trust(
                authorities=_files(home, table.get("ca")),
                client_pairs=_pairs(home, table.get("client")),
                skips_verification=table.get("skip_verify") is True,
            ),
            capabilities=_capabilities(path, table.get("capabilities")),
            headers=_headers(table.get("header")),
            is_mirror=is_mirror,
            is_insecure=parts.scheme == "http",
        )


def _capabilities(path: str, value: object) -> frozenset[Capability]:
    if not isinstance(value, list):
        return _ALL
    try:
        return frozenset(Capability(each) for each in value)
    except ValueError as error:
        raise StateUnreadable(path, f"capabilities: {error}") from error


def _headers(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        return ()
    return tuple(
        (str(name), str(each))
        for name, texts in value.items()
        for each in (texts if isinstance(texts, list) else [texts])
    )


def _files(home: str, value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(os.path.join(home, each) for each in listed if isinstance(each, str))


def _pairs(home: str, value: object) -> tuple[tuple[str, str], ...]:
    """`client`: one file with both, or a list of files or of pairs."""
    found = []
    for each in value if isinstance(value, list) else [value]:
        match each:
            case str():
                found.append((os.path.join(home, each),) * 2)
            case [str(certificate), str(key)]:
                found.append((os.path.join(home, certificate), os.path.join(home, key)))
            case _:
                continue
    return tuple((pair[0], pair[1]) for pair in found)
