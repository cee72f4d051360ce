"""Containers of every kind, and what an engine tells of them: the material of test_truth."""

import json
from typing import Any

from support.daemon import Engine

Documents = dict[str, Any]

RICH = (
    "-p", "8080:80", "-p", "81/udp", "--expose", "99", "-v", "/etc:/host:ro",
    "--mount", "type=bind,source=/usr,target=/mnt", "--tmpfs", "/t:size=1m",
    "-e", "A=b", "-l", "x=y", "-m", "64m", "--memory-reservation", "32m", "--cpus", "0.5",
    "--cpu-shares", "512", "--cpuset-cpus", "0", "--pids-limit", "50",
    "--ulimit", "nofile=100:200", "-w", "/root", "-u", "0", "-h", "hosty",
    "--domainname", "dom", "--dns", "1.2.3.4", "--dns-search", "s.x",
    "--dns-option", "ndots:2", "--add-host", "a:1.1.1.1", "--cap-add", "NET_ADMIN",
    "--cap-drop", "MKNOD", "--security-opt", "no-new-privileges", "--read-only", "--init",
    "--shm-size", "32m", "--sysctl", "net.ipv4.ip_forward=1", "--stop-signal", "SIGINT",
    "--stop-timeout", "3", "--log-opt", "max-size=10k", "--group-add", "5",
    "--oom-score-adj", "100", "--entrypoint", "/bin/sleep", "-i", "-t",
    "--health-cmd", "true", "--health-interval", "1h",
)  # fmt: skip
"""Nearly every flag that leaves a trace in `inspect`."""


def stage(engine: Engine) -> None:
    """Make them: running, with many flags, never started, ended, on the host, joined, paused."""
    sleeps = ("busybox", "sleep", "1000")
    engine.docker_ok("run", "-d", "--name", "plain", "--ipc", "shareable", *sleeps)
    engine.docker_ok("run", "-d", "--name", "rich", *RICH, "busybox", "1000")
    engine.docker_ok("create", "--name", "made", "--network", "none", "--cpu-quota", "9000",
                     "--cpu-period", "10000", "--restart", "on-failure:3", "busybox")  # fmt: skip
    engine.docker("run", "--name", "ended", "--log-driver", "none", "busybox", "sh", "-c",
                  "echo >/x; exit 3")  # fmt: skip
    engine.docker_ok("run", "-d", "--name", "hosted", "--network", "host", "--pid", "host",
                     "--uts", "host", "--restart", "always", *sleeps)  # fmt: skip
    engine.docker_ok("run", "-d", "--name", "joined", "--network", "container:plain",
                     "--ipc", "container:plain", "--rm", *sleeps)  # fmt: skip
    engine.docker_ok("run", "-d", "--name", "held", "-P", "--expose", "70", *sleeps)
    engine.docker_ok("pause", "held")
    engine.docker("run", "--name", "failed", "busybox", "/no/such")


def documents(engine: Engine) -> Documents:
    """What the engine tells, by name."""
    told: Documents = {}
    for name in ("plain", "rich", "made", "ended", "hosted", "joined", "held", "failed"):
        told[f"container {name}"] = engine.api("GET", f"/containers/{name}/json?size=1").json
    listed = engine.api("GET", "/containers/json?all=1&size=1").json
    told["list"] = {each["Names"][0]: each for each in listed}
    told["image"] = engine.api("GET", "/images/busybox/json").json
    told["history"] = engine.api("GET", "/images/busybox/history").json
    networks = engine.api("GET", "/networks").json
    told["networks"] = {
        each["Name"]: engine.api("GET", f"/networks/{each['Id']}").json for each in networks
    }
    told["info"] = engine.api("GET", "/info").json
    told["version"] = engine.api("GET", "/version").json
    told["exec made"], told["exec running"] = _exec_documents(engine)
    told["top"] = engine.api("GET", "/containers/plain/top").json["Titles"]
    told["wait"] = engine.api("POST", "/containers/ended/wait").json
    return told


def _exec_documents(engine: Engine) -> tuple[object, object]:
    wish = {"Cmd": ["sleep", "100"], "User": "0", "Env": ["Q=1"], "WorkingDir": "/tmp"}
    exec_id = engine.api("POST", "/containers/plain/exec", wish).json["Id"]
    made = engine.api("GET", f"/exec/{exec_id}/json").json
    engine.api("POST", f"/exec/{exec_id}/start", {"Detach": True})
    return made, engine.api("GET", f"/exec/{exec_id}/json").json


# -- documents as paths and values -----------------------------------------------------------


Leaves = dict[str, set[str]]


def leaves(document: object, place: str = "") -> Leaves:
    """The values at every path, as JSON; members of lists and of maps with free keys together."""
    found: Leaves = {}
    match document:
        case dict() if document:
            for key, value in document.items():
                step = "*" if _is_free(place, key) else key
                merge(found, leaves(value, f"{place}.{step}" if place else step))
        case list() if document and isinstance(document[0], dict):
            for value in document:
                merge(found, leaves(value, f"{place}[]"))
        case _:
            found[place] = {json.dumps(document)}
    return found


def merge(into: Leaves, more: Leaves) -> None:
    """Add values to those that are known."""
    for place, values in more.items():
        into.setdefault(place, set()).update(values)


_MAPS = (
    ".Labels", ".Sysctls", ".Ports", ".PortBindings", ".ExposedPorts", ".Tmpfs", ".Networks",
    ".Containers", ".Config.Config", ".LogConfig.Config", ".GraphDriver.Data", ".Runtimes",
    ".IndexConfigs", ".Details", ".Volumes", ".Options", ".networks",
)  # fmt: skip


def _is_free(place: str, key: str) -> bool:
    """Whether a key is a name that somebody chose, and not a field."""
    return f".{place}".endswith(_MAPS) or key.startswith("/") or len(key) == 64
