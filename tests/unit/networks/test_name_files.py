"""hosts and resolv.conf."""

from wherry.networks.names.name_files import (
    ResolverWishes,
    host_mode_hosts_file,
    host_mode_resolver_file,
    hosts_file,
    resolver_file,
)

HOST_RESOLVER = """\
# made by somebody
search old.example
nameserver 127.0.0.53
nameserver 192.0.2.53
nameserver ::1
nameserver 2001:db8::53
search a.example b.example
options edns0 trust-ad
"""


def lines(text: str) -> list[str]:
    """The lines of a file that ends with a newline."""
    assert text.endswith("\n")
    return text.splitlines()


def test_hosts_names_the_container_last() -> None:
    """localhost, the IPv6 groups, --add-host, then the container's own names."""
    text = hosts_file(
        addresses=("172.17.0.2",),
        hostname="web",
        domainname="example.org",
        extra_hosts=("db:10.1.2.3", "gate:host-gateway", "six:[2001:db8::1]", "eq=10.9.9.9"),
        gateway="172.17.0.1",
    )
    assert lines(text)[0] == "127.0.0.1\tlocalhost"
    assert lines(text)[1] == "::1\tlocalhost ip6-localhost ip6-loopback"
    assert lines(text)[6:] == [
        "10.1.2.3\tdb",
        "172.17.0.1\tgate",
        "2001:db8::1\tsix",
        "10.9.9.9\teq",
        "172.17.0.2\tweb.example.org web",
    ]


def test_hosts_without_a_network_has_no_line_of_its_own() -> None:
    """`--network none` has nothing but the local names."""
    text = hosts_file(addresses=(), hostname="web", domainname="", extra_hosts=(), gateway="")
    assert "web" not in text


def test_host_mode_appends_to_the_hosts_own_file() -> None:
    """A missing last newline of the host's file does not glue lines together."""
    text = host_mode_hosts_file("127.0.0.1 localhost", ("db:10.1.2.3",), "172.17.0.1")
    assert lines(text) == ["127.0.0.1 localhost", "10.1.2.3\tdb"]


def test_resolver_leaves_out_what_the_container_cannot_reach() -> None:
    """Loopback and IPv6 servers go; the last search line counts; options stay."""
    rest = ["search a.example b.example", "options edns0 trust-ad"]
    text = resolver_file(HOST_RESOLVER, ResolverWishes())
    assert lines(text) == ["nameserver 192.0.2.53", *rest]
    host_file = f"nameserver fe80::1%eth0\n{HOST_RESOLVER}"
    text = resolver_file(host_file, ResolverWishes(), has_ipv6=True)
    assert lines(text) == ["nameserver 192.0.2.53", "nameserver 2001:db8::53", *rest]


def test_resolver_falls_back_only_when_nothing_is_left() -> None:
    """A host that resolves on loopback alone gives the public servers."""
    assert lines(resolver_file("nameserver 127.0.0.1\n", ResolverWishes())) == [
        "nameserver 8.8.8.8",
        "nameserver 8.8.4.4",
    ]


def test_resolver_does_what_is_wished() -> None:
    """--dns, --dns-search and --dns-option replace the host's, each for itself."""
    wishes = ResolverWishes(nameservers=("127.0.0.1",), search=("x.test",), options=("ndots:2",))
    assert lines(resolver_file(HOST_RESOLVER, wishes)) == [
        "nameserver 127.0.0.1",
        "search x.test",
        "options ndots:2",
    ]


def test_a_single_dot_means_no_search_list() -> None:
    """`--dns-search .` as docker's manual has it."""
    assert "search" not in resolver_file(HOST_RESOLVER, ResolverWishes(search=(".",)))


def test_host_mode_resolver_is_the_hosts() -> None:
    """Byte for byte, unless something is wished; then its loopback servers stay."""
    assert host_mode_resolver_file(HOST_RESOLVER, ResolverWishes()) == HOST_RESOLVER
    text = host_mode_resolver_file(HOST_RESOLVER, ResolverWishes(search=("x.test",)))
    assert "nameserver 127.0.0.53" in lines(text)
    assert "search x.test" in lines(text)
