"""The content of /etc/hosts, /etc/resolv.conf and /etc/hostname.

All of it is written at a start. When a running container's networks change, what differs is
changed in place, since the files are mounts of the container's: lines with addresses of its own,
and a resolv.conf that is still as it was written. What its user wrote stays.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address

from wherry.kit.values import dataclass, replace
from wherry.model.containers import NetworkSpec
from wherry.model.networks import EndpointStatus
from wherry.networks.sandboxes import AttachRequest
from wherry.operations.network.name_server import NAME_SERVER

HOSTS, RESOLV_CONF, HOSTNAME = "hosts", "resolv.conf", "hostname"
_RESOLV_CONF_HASH = "resolv.conf.hash"
"""Of what was written there last, as Docker keeps it."""

FALLBACK_NAMESERVERS = ("8.8.8.8", "8.8.4.4")
"""What Docker writes when the host has no name server that a container could reach."""

HOST_GATEWAY = "host-gateway"

_LOCAL_NAMES = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)
_STUB_RESOLVER = "127.0.0.53"
"""systemd-resolved's; the servers behind it are in a file of its own (systemd-resolved(8))."""
_BEHIND_STUB = "/run/systemd/resolve/resolv.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverWishes:
    """What `--dns`, `--dns-search` and `--dns-option` say; empty: as the host."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def hosts_file(
    *,
    addresses: Sequence[str],
    hostname: str,
    domainname: str,
    extra_hosts: Sequence[str],
    gateway: str,
) -> str:
    """The hosts file of a container with a network namespace of its own.

    `addresses` are its own, none for a container without a network.
    """
    lines = list(_LOCAL_NAMES)
    lines += _extra_lines(extra_hosts, gateway)
    names = _own_names(hostname, domainname)
    lines += ((each, names) for each in addresses)
    return "".join(f"{where}\t{names}\n" for where, names in lines)


def _own_names(hostname: str, domainname: str) -> str:
    return f"{hostname}.{domainname} {hostname}" if domainname else hostname


def host_mode_hosts_file(host_file: str, extra_hosts: Sequence[str], gateway: str) -> str:
    """The host's own hosts file with additions."""
    text = host_file if not host_file or host_file.endswith("\n") else host_file + "\n"
    added = _extra_lines(extra_hosts, gateway)
    return text + "".join(f"{where}\t{name}\n" for where, name in added)


def _extra_lines(extra_hosts: Sequence[str], gateway: str) -> Iterable[tuple[str, str]]:
    for entry in extra_hosts:
        separator = "=" if "=" in entry.partition(":")[0] else ":"
        name, _, where = entry.partition(separator)
        where = gateway if where == HOST_GATEWAY else where.strip("[]")
        yield where, name


def rename_host(path: str, names: str, address: str) -> None:
    """Give names of a hosts file another address; an empty one takes their line away.

    The file is a mount of the container's: it is changed in place. Raises: OSError.
    """
    _change(path, lambda text: _with_addresses(text, names, (address,) if address else ()))


def _with_addresses(text: str, names: str, addresses: Sequence[str]) -> str:
    """A hosts file in which names have these addresses."""
    wanted = {f"{each}\t{names}\n": None for each in addresses}
    lines = [
        line
        for line in text.splitlines(keepends=True)
        if line in wanted or line.rstrip("\n").partition("\t")[2] != names
    ]
    return "".join(lines + [each for each in wanted if each not in lines])


def resolver_file(host_file: str, wishes: ResolverWishes, *, has_ipv6: bool = False) -> str:
    """resolv.conf for a namespace in which the host's loopback can't be reached.

    Name servers to which the container has no way are left out: those on loopback, on a link of
    the host's, and without `has_ipv6` all that have an IPv6 address.
    """
    nameservers = wishes.nameservers or tuple(
        each for each in _values(host_file, "nameserver") if _is_reachable(each, has_ipv6=has_ipv6)
    )
    return _resolver_text(host_file, wishes, nameservers or FALLBACK_NAMESERVERS)


def embedded_resolver_file(host_file: str, wishes: ResolverWishes) -> str:
    """resolv.conf for a container whose names netd answers; no name is completed before that."""
    options = wishes.options or _words(host_file, "options")
    if not any(each.startswith("ndots:") for each in options):
        options = (*options, "ndots:0")
    completed = replace(wishes, options=options)
    return _resolver_text(host_file, completed, (NAME_SERVER,))


def host_name_servers() -> tuple[str, ...]:
    """The name servers that the host itself asks; Docker's choice where it has none."""
    found = _values(read_host_file("/etc/resolv.conf"), "nameserver")
    usable = tuple(each.partition("%")[0] for each in found if _is_address(each))
    return usable or FALLBACK_NAMESERVERS


def host_mode_resolver_file(host_file: str, wishes: ResolverWishes) -> str:
    """resolv.conf for a container in the host's namespace: the host's, unless asked otherwise."""
    if wishes == ResolverWishes():
        return host_file
    nameservers = wishes.nameservers or tuple(_values(host_file, "nameserver"))
    return _resolver_text(host_file, wishes, nameservers)


def _resolver_text(host_file: str, wishes: ResolverWishes, nameservers: Sequence[str]) -> str:
    search = wishes.search or _words(host_file, "search") or _words(host_file, "domain")
    options = wishes.options or _words(host_file, "options")
    lines = [f"nameserver {each}" for each in nameservers]
    if search and search != (".",):  # `--dns-search .` means: no search list
        lines.append(f"search {' '.join(search)}")
    if options:
        lines.append(f"options {' '.join(options)}")
    return "\n".join(lines) + "\n"


def read_host_resolver_file() -> str:
    """The host's resolv.conf, or the one behind systemd's stub; empty when there is none."""
    text = read_host_file("/etc/resolv.conf")
    if _values(text, "nameserver") == [_STUB_RESOLVER]:
        return read_host_file(_BEHIND_STUB) or text
    return text


def read_host_file(path: str) -> str:
    """A small text file of the host; empty when it is missing."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def write_private_files(
    request: AttachRequest, *, endpoints: Sequence[EndpointStatus], gateway: str
) -> None:
    """The three files of a container with a network namespace of its own.

    `gateway` is the host's address on the default bridge. Raises: OSError.
    """
    spec = request.network
    hosts = hosts_file(
        addresses=_own_addresses(endpoints),
        hostname=request.hostname,
        domainname=request.domainname,
        extra_hosts=spec.extra_hosts,
        gateway=_gateway(endpoints) or gateway,
    )
    resolv_conf = _private_resolver_file(request, endpoints)
    _write(request, hosts=hosts, resolv_conf=resolv_conf)
    _note_written(request, resolv_conf)


def refresh_private_files(
    request: AttachRequest, *, endpoints: Sequence[EndpointStatus], gateway: str
) -> None:
    """Change what differs since the container's networks are these; without a file, write all.

    Raises: OSError.
    """
    files = [os.path.join(request.files_directory, each) for each in (HOSTS, RESOLV_CONF)]
    if not all(map(os.path.exists, files)):
        write_private_files(request, endpoints=endpoints, gateway=gateway)
        return
    own = _own_names(request.hostname, request.domainname)
    gates = [
        name
        for each in request.network.extra_hosts
        for name, where in _extra_lines((each,), HOST_GATEWAY)
        if where == HOST_GATEWAY
    ]

    def refreshed(text: str) -> str:
        text = _with_addresses(text, own, _own_addresses(endpoints))
        for name in gates:
            text = _with_addresses(text, name, (_gateway(endpoints) or gateway,))
        return text

    _change(os.path.join(request.files_directory, HOSTS), refreshed)
    path = os.path.join(request.files_directory, RESOLV_CONF)
    now = read_host_file(path)
    asks_netd = _values(now, "nameserver") == [NAME_SERVER]
    if asks_netd is not _has_names(endpoints) and _is_as_written(request, now):
        resolv_conf = _private_resolver_file(request, endpoints)
        _change(path, lambda _text: resolv_conf)
        _note_written(request, resolv_conf)


def _own_addresses(endpoints: Sequence[EndpointStatus]) -> list[str]:
    return [each for one in endpoints for each in (one.address, one.ipv6_address) if each]


def _gateway(endpoints: Sequence[EndpointStatus]) -> str:
    return next((each.gateway for each in endpoints if each.is_way_out), "")


def _has_names(endpoints: Sequence[EndpointStatus]) -> bool:
    return any(each.names for each in endpoints)


def _private_resolver_file(request: AttachRequest, endpoints: Sequence[EndpointStatus]) -> str:
    host_file, wishes = read_host_resolver_file(), _wishes_of(request.network)
    if _has_names(endpoints):
        return embedded_resolver_file(host_file, wishes)
    has_ipv6 = any(each.ipv6_address for each in endpoints)
    return resolver_file(host_file, wishes, has_ipv6=has_ipv6)


def write_host_files(request: AttachRequest, *, gateway: str) -> None:
    """The three files of a container in the host's namespace: the host's. Raises: OSError."""
    spec = request.network
    hosts = host_mode_hosts_file(read_host_file("/etc/hosts"), spec.extra_hosts, gateway)
    host_file = read_host_file("/etc/resolv.conf")
    _write(request, hosts=hosts, resolv_conf=host_mode_resolver_file(host_file, _wishes_of(spec)))


def _wishes_of(spec: NetworkSpec) -> ResolverWishes:
    return ResolverWishes(nameservers=spec.dns, search=spec.dns_search, options=spec.dns_options)


def _write(request: AttachRequest, *, hosts: str, resolv_conf: str) -> None:
    directory, hostname = request.files_directory, f"{request.hostname}\n"
    for name, text in ((HOSTS, hosts), (RESOLV_CONF, resolv_conf), (HOSTNAME, hostname)):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(os.path.join(directory, name), flags, 0o644)
        try:
            os.fchmod(descriptor, 0o644)
            os.write(descriptor, text.encode("utf-8", errors="surrogateescape"))
        finally:
            os.close(descriptor)


def _change(path: str, change: Callable[[str], str]) -> None:
    """Change a file in place, if that makes a difference; it is never empty in between."""
    with open(path, "r+", encoding="utf-8", errors="surrogateescape") as file:
        before = file.read()
        after = change(before)
        if after != before:
            file.seek(0)
            file.write(after)
            file.truncate()


def _note_written(request: AttachRequest, resolv_conf: str) -> None:
    path = os.path.join(request.files_directory, _RESOLV_CONF_HASH)
    with open(path, "w", encoding="ascii") as file:
        file.write(_hash(resolv_conf))


def _is_as_written(request: AttachRequest, resolv_conf: str) -> bool:
    noted = read_host_file(os.path.join(request.files_directory, _RESOLV_CONF_HASH))
    return noted in ("", _hash(resolv_conf))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogateescape")).hexdigest()


def _values(text: str, keyword: str) -> list[str]:
    """The first value of each line that begins with a keyword (resolv.conf(5))."""
    lines = (line.split() for line in text.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == keyword]


def _words(text: str, keyword: str) -> tuple[str, ...]:
    """The values of the last line that begins with a keyword; earlier ones don't count."""
    found: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == keyword:
            found = tuple(words[1:])
    return found


def _is_address(nameserver: str) -> bool:
    try:
        ip_address(nameserver.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_reachable(nameserver: str, *, has_ipv6: bool) -> bool:
    try:
        address = ip_address(nameserver)
    except ValueError:
        return False
    if address.version == 6 and (not has_ipv6 or address.is_link_local):
        return False
    return not address.is_loopback
