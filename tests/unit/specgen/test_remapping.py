"""With a mapping, containers get a user namespace, unless they ask for the host's."""

from dataclasses import replace

import pytest

from wherry.model.containers import BindMount, ContainerSpec, Namespaces, NetworkSpec, Security
from wherry.model.errors import InvalidValue
from wherry.model.networks import NetworkMode, NetworkModeKind
from wherry.oci.runtime_spec import IdMapping
from wherry.specgen import HostFacts, RemappedIds
from wherry.specgen.mounts import container_mounts
from wherry.specgen.namespaces import JoinedPaths, container_namespaces
from wherry.specgen.remapping import check_remapping, is_remapped

RANGE = (IdMapping(container_id=0, host_id=100_000, size=65_536),)
IDS = RemappedIds(uids=RANGE, gids=RANGE)
PLAIN = ContainerSpec(image="busybox", command=("true",))
ON_HOST = replace(PLAIN, namespaces=Namespaces(user="host"))
HOST_NETWORK = NetworkSpec(mode=NetworkMode(NetworkModeKind.HOST))


def test_who_is_remapped() -> None:
    """By default everybody, where there is a mapping."""
    assert is_remapped(PLAIN, IDS)
    assert not is_remapped(ON_HOST, IDS)
    assert not is_remapped(PLAIN, None)
    assert IDS.root == (100_000, 100_000)


@pytest.mark.parametrize(
    "members",
    [
        {"security": Security(is_privileged=True)},
        {"network": HOST_NETWORK},
        {"namespaces": Namespaces(pid="host")},
    ],
)
def test_refusals(members: dict[str, object]) -> None:
    """What belongs to the host's root is not to be had; without a mapping it is."""
    spec = replace(PLAIN, **members)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="user namespaces"):
        check_remapping(spec, IDS)
    check_remapping(spec, None)


def test_namespace_and_files() -> None:
    """The user namespace comes first; the engine's files are shown through its map."""
    host = replace(HostFacts(), remapped=IDS)
    made = container_namespaces(PLAIN, network_path="/n", joined=JoinedPaths(), host=host)
    assert made[0].type == "user"
    hosts = BindMount(source="/own/hosts", target="/etc/hosts")
    mounts = container_mounts(PLAIN, (hosts,), "", host)
    (found,) = [each for each in mounts if each.destination == "/etc/hosts"]
    assert "idmap" in found.options
    theirs = replace(PLAIN, mounts=(BindMount(source="/their/hosts", target="/etc/hosts"),))
    mounts = container_mounts(theirs, (hosts,), "", host)
    (found,) = [each for each in mounts if each.destination == "/etc/hosts"]
    assert "idmap" not in found.options
