"""Who is called how: several holders, several networks, and leaving."""

from ipaddress import ip_address

from wherry.netd.names import Names, holder_of


def known() -> Names:
    """Two networks with three containers."""
    names = Names()
    names.add("n1", "blue", "e1", holder_of(["web", "www"], ["10.0.0.2", "fd00::2"]))
    names.add("n1", "blue", "e2", holder_of(["api", "www"], ["10.0.0.3"]))
    names.add("n2", "red", "e3", holder_of(["web"], ["10.1.0.2"]))
    return names


def found(names: Names, networks: list[str], name: str) -> set[str] | None:
    """The addresses as texts."""
    addresses = names.addresses(networks, name)
    return None if addresses is None else {str(each) for each in addresses}


def test_names_by_network() -> None:
    """The first network that knows a name answers; others are not seen."""
    names = known()
    assert found(names, ["n1"], "web") == {"10.0.0.2", "fd00::2"}
    assert found(names, ["n2", "n1"], "web") == {"10.1.0.2"}
    assert found(names, ["n2"], "api") is None
    assert found(names, ["n1"], "web.blue") == {"10.0.0.2", "fd00::2"}
    assert found(names, ["n1"], "web.red") is None
    assert found(names, [], "web") is None


def test_all_holders_in_changing_order() -> None:
    """Everybody called so, none always first."""
    names = known()
    assert found(names, ["n1"], "www") == {"10.0.0.2", "fd00::2", "10.0.0.3"}
    firsts = {str((names.addresses(["n1"], "www") or [])[0]) for _ in range(200)}
    assert firsts == {"10.0.0.2", "10.0.0.3"}


def test_reverse() -> None:
    """The first name, with its network; nothing for strangers."""
    names = known()
    assert names.name_of(["n1"], ip_address("10.0.0.3")) == "api.blue"
    assert names.name_of(["n2"], ip_address("10.0.0.3")) is None


def test_leaving_and_being_called_otherwise() -> None:
    """Who leaves is found by nobody; the last one takes the network along."""
    names = known()
    names.add("n1", "blue", "e1", holder_of(["renamed"], ["10.0.0.9"]))
    assert found(names, ["n1"], "web") is None
    assert found(names, ["n1"], "www") == {"10.0.0.3"}
    for network, endpoint in (("n1", "e1"), ("n1", "e1"), ("n1", "e2"), ("n2", "e3")):
        names.remove(network, endpoint)
    assert list(names.endpoints()) == []
    assert found(names, ["n1", "n2"], "www") is None
