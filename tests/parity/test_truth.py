"""`inspect`, `info`, `version` and the lists are complete, as dockerd's are, and true.

Three looks at the same documents (`scenes`): beside the stored answers of Debian's dockerd, key
by key; beside the schema of the newest API; and for values that never change, each of which has
its reason in a list below.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import scenes
from support.daemon import Engine
from support.stock_engine import StockEngine

STORED = Path(__file__).with_name("answers") / "dockerd-1.41.json"
"""What dockerd 20.10 told; `./dev oracle -k truth` with WHERRY_UPDATE_GOLDEN=1 writes it anew."""
SCHEMA = Path(__file__).parents[1] / "support" / "engine-api-1.51.json"

Documents = dict[str, Any]


@pytest.fixture(scope="module")
def staged(shared_engine: Engine, clean_census: None) -> Iterator[Engine]:
    """The engine with a container of every kind."""
    scenes.stage(shared_engine)
    yield shared_engine
    shared_engine.remove_all_containers()


@pytest.fixture(scope="module")
def told(staged: Engine) -> Documents:
    """What it tells a client of the newest API."""
    return scenes.documents(staged)


# -- beside dockerd --------------------------------------------------------------------------

CHANGING = re.compile(
    r"(^|\.|\])(Id|ID|Created|StartedAt|FinishedAt|LastTagTime|SystemTime|Pid|EndpointID|NetworkID"
    r"|SandboxID|SandboxKey|MacAddress|IPAddress|IPv4Address|ContainerID|ExecIDs|Image|ImageID"
    r"|Layers|Size|VirtualSize|SizeRw|SizeRootFs|Hostname|LogPath|HostsPath|HostnamePath|ResolvConfPath"
    r"|(Lower|Merged|Upper|Work)Dir|GraphDriver\.Data\.\*|DockerRootDir|NFd|NGoroutines|HostPort"
    r"|PublicPort|Status|ServerVersion|Gateway|Subnet|IpcMode)$"
)
"""What is another one in each run."""

OTHERWISE = {
    r"HostConfig\.(MaskedPaths|ReadonlyPaths)": "the newer Docker's list",
    r"HostConfig\.NetworkMode": "the default is told as `bridge` since Docker 26",
    r"HostConfig\.Runtime|info\.(DefaultRuntime|Runtimes\..*)": "our runtime",
    r"LogConfig\.Config.*": "rotation is on by default",
    r"Config\.Env|(image|history).*\.(Comment|CreatedBy|DockerVersion)": "another base image",
    r".*RepoDigests|.*RepoTags": "null has become an empty list",
    r"State\.Error": "worded by the newer Docker",
    r"info\.(BridgeNf.*|KernelMemory.*|LiveRestoreEnabled|Security.*|DriverStatus|CDISpecDirs)":
        "told otherwise by the newer Docker, or by us",
    r"info\.(ContainerdCommit|RuncCommit|InitCommit|InitBinary|Plugins)\b.*": "our parts",
    r"info\.(RegistryConfig|Warnings|OomKillDisable)\b.*": "our registries and host",
    r"version\..*": "our version",
    r"networks\.\*\.(Options|IPAM|Containers|EnableIPv4)\b.*": "by the newer Docker, or by host",
    r"Ports.*": "both families, in another order",
    r"HostConfig\.(OomKillDisable|KernelMemory.*)": "told otherwise by the newer Docker",
    r"NetworkSettings\.(Networks\.\*\.DNSNames|HairpinMode)": "of the newer Docker",
    r"Mounts\[\]\.(Mode|Propagation)": "depends on the mounts of the host",
}  # fmt: skip
"""Where our answer is another one, and why; the keys must be the same all the same."""


def test_beside_dockerd(staged: Engine) -> None:
    """Every key that dockerd tells is told, none besides, and the values are the same."""
    normal = {
        name: {place: sorted(values) for place, values in scenes.leaves(document, "").items()}
        for name, document in _documents_of_1_41(staged).items()
    }
    if isinstance(staged, StockEngine) and os.environ.get("WHERRY_UPDATE_GOLDEN") == "1":
        STORED.parent.mkdir(exist_ok=True)
        STORED.write_text(json.dumps(normal, indent=1, sort_keys=True) + "\n")
    stored = json.loads(STORED.read_text())
    assert normal.keys() == stored.keys()
    found = [
        f"{name}: {place}: dockerd {stored[name].get(place)} here {normal[name].get(place)}"
        for name in stored
        for place in sorted(stored[name].keys() | normal[name].keys())
        if stored[name].get(place) != normal[name].get(place) and not _may_differ(name, place)
    ]
    assert not found, "\n" + "\n".join(found)


def _documents_of_1_41(engine: Engine) -> Documents:
    newest = engine.api_prefix
    engine.api_prefix = "/v1.41"
    try:
        return scenes.documents(engine)
    finally:
        engine.api_prefix = newest


def _may_differ(name: str, place: str) -> bool:
    whole = f"{name.partition(' ')[0]}.{place}"
    return bool(CHANGING.search(place)) or any(
        re.search(rf"(^|[.\]]){pattern}$", whole) for pattern in OTHERWISE
    )


# -- beside the schema -----------------------------------------------------------------------

ANSWERS = {
    "container rich": "GET /containers/{id}/json",
    "container made": "GET /containers/{id}/json",
    "image": "GET /images/{name}/json",
    "info": "GET /info",
    "version": "GET /version",
    "exec running": "GET /exec/{id}/json",
    "history": "GET /images/{name}/history",
}

LEFT_OUT = {
    "ImageManifestDescriptor", "Descriptor", "Manifests", "OsVersion", "Variant", "Health",
    "KernelMemoryTCP", "Annotations", "StorageOpt", "Name", "Driver", "BindOptions", "Consistency",
    "ImageOptions", "ReadOnly", "TmpfsOptions", "VolumeOptions", "ArgsEscaped", "Healthcheck",
    "MacAddress", "NetworkDisabled", "Shell", "Containerd", "DefaultAddressPools",
    "DiscoveredDevices", "ProductLicense", "Cluster", "Managers", "Nodes", "Info", "Experimental",
    "Peers", "Entrypoint", "ExposedPorts", "Labels", "OnBuild", "StopSignal", "User", "Volumes",
    "WorkingDir", "StopTimeout", "Tmpfs", "Sysctls", "Init", "Mounts", "NonRecursive",
    "Timeout", "StartPeriod", "StartInterval", "Retries",
    "Propagation", "status", "runtimeArgs", "IP", "PublicPort", "HostIp", "Start",
}  # fmt: skip
"""Fields that Docker leaves out when they are empty, or that belong to what an engine may lack
(containerd's image store, CDI devices, a licence)."""


@pytest.mark.stock_differs
@pytest.mark.parametrize("name", ANSWERS)
def test_beside_the_schema(told: Documents, name: str) -> None:
    """Every field of API 1.51 that is not left out when empty is there, and no unknown one."""
    schema = json.loads(SCHEMA.read_text())
    answer = schema["operations"][ANSWERS[name]]["responses"]["200"]
    assert not [*_complaints(schema["definitions"], answer, told[name], name)]


def _complaints(
    definitions: dict[str, Any], schema: dict[str, Any], value: object, place: str
) -> Iterator[str]:
    if isinstance(value, list):
        items = _resolved(definitions, schema).get("items", {})
        for each in value[:1]:
            yield from _complaints(definitions, items, each, f"{place}[]")
    if not isinstance(value, dict):
        return
    fields = _fields(definitions, schema)
    if not fields:
        return
    yield from (f"{place}.{key} is unknown" for key in value.keys() - fields.keys())
    yield from (f"{place}.{key} is missing" for key in fields.keys() - value.keys() - LEFT_OUT)
    for key in value.keys() & fields.keys():
        yield from _complaints(definitions, fields[key], value[key], f"{place}.{key}")


def _resolved(definitions: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    return schema


def _fields(definitions: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    schema = _resolved(definitions, schema)
    found: dict[str, Any] = {}
    for part in schema.get("allOf", ()):
        found |= _fields(definitions, part)
    return found | schema.get("properties", {})


# -- values that never change ----------------------------------------------------------------

CONSTANTS = {
    "GraphDriver.Name": "one storage driver",
    "Driver": "the same",
    "Platform": "Linux alone",
    "AppArmorProfile": "no AppArmor here",
    "MountLabel": "no SELinux here",
    "ProcessLabel": "no SELinux here",
    "State.Dead": "a removal that failed half-way: test_lifecycle",
    "State.OOMKilled": "test_limits",
    "State.Restarting": "test_restarts",
    "State.Health": "test_health",
    "RestartCount": "test_restarts",
    "ExecIDs": "test_exec",
    "Image": "one image is staged",
    "Config.Image": "one image is staged",
    "Config.AttachStdin": "test_terminal",
    "Config.StdinOnce": "test_terminal",
    "Config.OnBuild": "an instruction of builds",
    "Config.Volumes": "test_volumes",
    "HostConfig.Cgroup": "nothing in Docker sets it",
    "HostConfig.CgroupParent": "test_limits",
    "HostConfig.CgroupnsMode": "test_profile",
    "HostConfig.ConsoleSize": "test_terminal",
    "HostConfig.ContainerIDFile": "the client's own file: test_own_cli",
    "HostConfig.Blkio": "test_limit_flags",
    "HostConfig.CpuRealtime": "refused without a kernel that has it: test_limit_flags",
    "HostConfig.CpuCount": "Windows",
    "HostConfig.CpuPercent": "Windows",
    "HostConfig.IOMaximum": "Windows",
    "HostConfig.Isolation": "Windows",
    "HostConfig.CpusetMems": "test_limit_flags",
    "HostConfig.Device": "test_profile",
    "HostConfig.Init": "left out when not asked for",
    "HostConfig.Links": "the networks' issue",
    "HostConfig.MaskedPaths": "test_profile",
    "HostConfig.ReadonlyPaths": "test_profile",
    "HostConfig.MemorySwappiness": "test_limit_flags",
    "HostConfig.OomKillDisable": "test_limit_flags",
    "HostConfig.Privileged": "test_profile",
    "HostConfig.Runtime": "one runtime is staged",
    "HostConfig.UsernsMode": "test_profile",
    "HostConfig.VolumeDriver": "test_volumes",
    "HostConfig.VolumesFrom": "test_volumes",
    "Mounts[].Type": "test_volumes",
    "Mounts[].Propagation": "test_mounts",
    "NetworkSettings.Bridge": "nothing in Docker sets it since 1.9",
    "NetworkSettings.HairpinMode": "the same",
    "NetworkSettings.LinkLocal": "the same",
    "NetworkSettings.Secondary": "the same",
    "NetworkSettings.GlobalIPv6": "networks without IPv6 so far",
    "NetworkSettings.IPv6Gateway": "networks without IPv6 so far",
    "NetworkSettings.Networks.*.": "wishes that the networks' issue brings",
}
"""Fields of a container that are the same in every scene, by their beginnings, with the reason or
the test in which they change."""

ABSENT_OR = ("{}", "[]", "null")
"""What a field is when there are no members; with members they are other fields."""


@pytest.mark.stock_differs
def test_no_field_of_a_container_is_made_up(told: Documents) -> None:
    """Each field has two values among the scenes, or a reason in the list; no reason is idle."""
    everywhere: scenes.Leaves = {}
    for name, document in told.items():
        if name.startswith("container "):
            scenes.merge(everywhere, scenes.leaves(document))
    never = {
        place
        for place, values in everywhere.items()
        if len(values) == 1
        and not (
            values <= set(ABSENT_OR)
            and any(other.startswith((f"{place}.", f"{place}[")) for other in everywhere)
        )
        and not _has_members_elsewhere(place)
    }
    unexplained = [place for place in sorted(never) if not place.startswith(tuple(CONSTANTS))]
    assert not unexplained, unexplained


def _has_members_elsewhere(place: str) -> bool:
    """One sample in the scenes: a value of a flag that only `rich` was given."""
    return place in {
        "Config.StopSignal", "Config.StopTimeout", "Config.ExposedPorts.*", "Config.Labels.*",
        "Config.Healthcheck.Interval", "Config.Healthcheck.Test", "HostConfig.Ulimits[].Hard",
        "HostConfig.Ulimits[].Name", "HostConfig.Ulimits[].Soft", "HostConfig.Sysctls.*",
        "HostConfig.Tmpfs.*", "HostConfig.Mounts[].Source", "HostConfig.Mounts[].Target",
        "HostConfig.Mounts[].Type", "HostConfig.PortBindings.*[].HostIp",
        "NetworkSettings.Ports.*", "HostConfig.LogConfig.Config.*",
    }  # fmt: skip


@pytest.mark.stock_differs
def test_info_is_true_of_the_host(staged: Engine, told: Documents) -> None:
    """What `info` says of the host and of containers is what the host and the list say."""
    info = told["info"]
    cpus = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    release = Path("/etc/os-release").read_text()
    assert (info["NCPU"], info["MemTotal"]) == (cpus, memory)
    assert info["KernelVersion"] == os.uname().release == told["version"]["KernelVersion"]
    assert info["Architecture"] == os.uname().machine
    assert f'PRETTY_NAME="{info["OperatingSystem"]}"' in release
    assert f'VERSION_ID="{info["OSVersion"]}"' in release
    assert info["Name"] == staged.machine.run("hostname").stdout.strip()
    assert info["DockerRootDir"] == str(staged.data_root)
    assert info["Plugins"]["Volume"] == ["local"]
    assert info["InitBinary"] == "" or info["InitCommit"]["ID"]
    states = [each["State"] for each in told["list"].values()]
    assert info["Containers"] == len(states)
    assert info["ContainersRunning"] == states.count("running")
    assert info["ContainersPaused"] == states.count("paused")
    assert info["ContainersStopped"] == len(states) - info["ContainersRunning"] - 1
    assert info["Images"] == len(staged.api("GET", "/images/json?all=1").json)


@pytest.mark.stock_differs
def test_info_changes_with_what_it_tells(staged: Engine, told: Documents) -> None:
    """Counts of listeners, files and containers, and the clock, are those of the moment."""
    before = told["info"]
    held = staged.machine.run("true")
    assert held.returncode == 0
    extra = staged.create("true")
    after = staged.api("GET", "/info").json
    staged.api("DELETE", f"/containers/{extra}")
    assert after["Containers"] == before["Containers"] + 1
    assert after["ContainersStopped"] == before["ContainersStopped"] + 1
    assert after["SystemTime"] > before["SystemTime"]
    assert after["ID"] == before["ID"]


@pytest.mark.parametrize("name", ["plain", "rich", "ended"])
def test_lists_and_inspection_agree(told: Documents, name: str) -> None:
    """What a list says of a container, inspection says too."""
    listed, inspected = told["list"][f"/{name}"], told[f"container {name}"]
    assert listed["Id"] == inspected["Id"]
    assert listed["ImageID"] == inspected["Image"]
    assert listed["State"] == inspected["State"]["Status"]
    assert listed["Labels"] == inspected["Config"]["Labels"]
    command = " ".join([inspected["Path"], *inspected["Args"]])
    assert listed["Command"].replace("'", "") == command
    assert listed["Mounts"] == inspected["Mounts"]
    assert listed.get("SizeRw", 0) == inspected["SizeRw"]
    assert listed["SizeRootFs"] == inspected["SizeRootFs"]
