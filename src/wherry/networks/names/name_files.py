"""The content of /etc/hosts, /etc/resolv.conf and /etc/hostname."""

import os
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from wherry.kit.values import dataclass, replace
from wherry.model.containers import NetworkSpec
from wherry.model.networks import EndpointStatus
from wherry.networks.sandboxes import AttachRequest
from wherry.operations.network.name_server import NAME_SERVER

HOSTS, RESOLV_CONF, HOSTNAME = "hosts", "resolv.conf", "hostname"

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
    names = f"{hostname}.{domainname} {hostname}" if domainname else hostname
    lines += ((each, names) for each in addresses)
    return "".join(f"{where}\t{names}\n" for where, names in lines)


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
    with open(path, "r+", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line for line in file if line.rstrip("\n").partition("\t")[2] != names]
        if address:
            lines.append(f"{address}\t{names}\n")
        file.seek(0)
        file.write("".join(lines))
        file.truncate()


def resolver_file(host_file: str, wishes: ResolverWishes) -> str:
    """resolv.conf for a namespace in which the host's loopback can't be reached.

    Name servers on loopback or with an IPv6 address are left out, as the container has no way
    to them.
    """
    nameservers = wishes.nameservers or tuple(
        each for each in _values(host_file, "nameserver") if _is_reachable(each)
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
    own = [each for one in endpoints for each in (one.address, one.ipv6_address) if each]
    way_out = next((each.gateway for each in endpoints if each.is_way_out), "")
    hosts = hosts_file(
        addresses=own,
        hostname=request.hostname,
        domainname=request.domainname,
        extra_hosts=spec.extra_hosts,
        gateway=way_out or gateway,
    )
    has_names = any(each.names for each in endpoints)
    resolver_text = embedded_resolver_file if has_names else resolver_file
    resolv_conf = resolver_text(read_host_resolver_file(), _wishes_of(spec))
    _write(request, hosts=hosts, resolv_conf=resolv_conf)


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


def _is_reachable(nameserver: str) -> bool:
    try:
        address = ip_address(nameserver.partition("%")[0])
    except ValueError:
        return False
    return address.version == 4 and not address.is_loopback
