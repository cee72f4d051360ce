"""The plans of the bridge driver, as golden files, with no kernel."""

from ipaddress import IPv4Interface

import pytest

from support.golden import assert_golden_json
from wherry.networks.drivers.bridge import (
    BridgeSettings,
    EndpointPlan,
    bridge_plan,
    endpoint_plan,
    is_valid_name,
    table_commands,
)
from wherry.operations.catalogue import CATALOGUE
from wherry.operations.plan import Plan

SETTINGS = BridgeSettings(
    name="docker0", address=IPv4Interface("172.17.0.1/16"), alias="wherry ENGINE"
)
ENDPOINT = EndpointPlan(
    namespace_path="/run/wherry/netns/ID",
    host_interface="veth0123456",
    address=IPv4Interface("172.17.0.2/16"),
    mac_address="02:42:ac:11:00:02",
    ports=(("tcp", "", 8080, 80), ("udp", "127.0.0.1", 5353, 53)),
)


def shown(plan: Plan) -> list[dict[str, str]]:
    """A plan as a reader sees it; every kind can be read back from a journal."""
    assert all(CATALOGUE[each.kind] is type(each) for each in plan)
    return [{"does": each.describe(), "why": each.why, "shell": each.shell()} for each in plan]


def test_bridge_from_nothing() -> None:
    """The bridge, its address, the sysctls, and the packet filter's table."""
    plan = bridge_plan(SETTINGS, exists=False, has_address=False, has_ipv6=True)
    assert_golden_json("networks/bridge", shown(plan))


def test_a_bridge_that_is_there_is_repaired_only() -> None:
    """Nothing is made twice; what can be done again is."""
    whole = bridge_plan(SETTINGS, exists=False, has_address=False, has_ipv6=False)
    repair = bridge_plan(SETTINGS, exists=True, has_address=True, has_ipv6=False)
    assert [each.kind for each in whole[:2]] == ["create-bridge", "assign-address"]
    assert repair == whole[2:]


def test_endpoint_with_ports() -> None:
    """From a namespace to a container that is reached from outside."""
    assert_golden_json("networks/endpoint", shown(endpoint_plan(SETTINGS, ENDPOINT)))


def test_the_table_replaces_chains_and_keeps_elements() -> None:
    """Each chain is flushed in the same transaction; no map is."""
    commands = table_commands(SETTINGS).splitlines()
    chains = {line.split()[4] for line in commands if line.startswith("add chain")}
    assert {line.split()[4] for line in commands if line.startswith("flush chain")} == chains
    assert not [line for line in commands if line.startswith(("flush map", "delete"))]


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [
        ("docker0", True),
        ("br-lan.5", True),
        ("a" * 15, True),
        ("a" * 16, False),
        ("", False),
        (".", False),
        ("..", False),
        ("a b", False),
        ('x"; drop', False),
        ("br0\n", False),
        ("bré", False),
    ],
)
def test_bridge_names(name: str, is_valid: bool) -> None:
    """What the kernel takes, without anything that means something to nft."""
    assert is_valid_name(name) is is_valid
