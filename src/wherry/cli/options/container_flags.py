"""The flags that `create` and `run` share."""

from collections.abc import Callable

from wherry.cli.flags import (
    BYTES,
    BYTES_OR_UNLIMITED,
    DURATION,
    INT,
    LIST,
    MAP,
    STRING,
    SWITCH,
    UINT,
    UINT16,
    Flag,
    Kind,
    repeated,
)
from wherry.cli.options import limits, mounts, networking
from wherry.cli.options.environment import LABELS, read_variable
from wherry.cli.options.gpus import read_gpus


def _read_stream(text: str) -> str:
    name = text.lower()
    if name not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return name


_SYSCTLS = frozenset({
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
    "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
})  # fmt: skip
"""Those that a namespace has for itself, beside the network's and the queues'."""


def _read_sysctl(text: str) -> str:
    name, equals, _ = text.partition("=")
    is_known = name in _SYSCTLS or name.startswith(("net.", "fs.mqueue."))
    if not equals or not is_known:
        raise ValueError(f"sysctl '{text}' is not allowed")
    return text


def _list(read: Callable[[str], object]) -> Kind:
    return repeated("list", read)


CONTAINER_FLAGS = (
    Flag("add-host", _list(networking.read_extra_host), "Add a host name (host:ip)"),
    Flag("annotation", MAP, "Hand an annotation on to the OCI runtime"),
    Flag("attach", _list(_read_stream), "Attach to STDIN, STDOUT or STDERR", short="a"),
    Flag("blkio-weight", UINT16, "Block I/O weight, 10 to 1000, 0 for none", default="0"),
    Flag("blkio-weight-device", _list(limits.read_device_weight), "Block I/O weight of a device"),
    Flag("cap-add", LIST, "Add Linux capabilities"),
    Flag("cap-drop", LIST, "Drop Linux capabilities"),
    Flag("cgroup-parent", STRING, "Parent cgroup of the container"),
    Flag("cgroupns", STRING, "Cgroup namespace to use (host or private)"),
    Flag("cidfile", STRING, "Write the container's id to a file"),
    Flag("cpu-count", INT, "CPU count (Windows only)"),
    Flag("cpu-percent", INT, "CPU percent (Windows only)"),
    Flag("cpu-period", INT, "CFS period in microseconds"),
    Flag("cpu-quota", INT, "CFS quota in microseconds"),
    Flag("cpu-rt-period", INT, "Real-time period in microseconds"),
    Flag("cpu-rt-runtime", INT, "Real-time runtime in microseconds"),
    Flag("cpu-shares", INT, "CPU shares (relative weight)", short="c"),
    Flag("cpus", Kind("decimal", limits.read_cpus), "Number of CPUs"),
    Flag("cpuset-cpus", STRING, "CPUs that may be used (0-3, 0,1)"),
    Flag("cpuset-mems", STRING, "Memory nodes that may be used (0-3, 0,1)"),
    Flag("device", LIST, "Add a device of the host"),
    Flag("device-cgroup-rule", _list(limits.read_device_rule), "Add a rule to the device cgroup"),
    Flag("device-read-bps", _list(limits.read_bytes_rate), "Limit reads in bytes per second"),
    Flag("device-read-iops", _list(limits.read_operations_rate), "Limit reads per second"),
    Flag("device-write-bps", _list(limits.read_bytes_rate), "Limit writes in bytes per second"),
    Flag("device-write-iops", _list(limits.read_operations_rate), "Limit writes per second"),
    Flag("disable-content-trust", SWITCH, "Skip image verification", default="true"),
    Flag("dns", _list(networking.read_name_server), "Use these name servers"),
    Flag("dns-opt", LIST, "Set resolver options", is_hidden=True),
    Flag("dns-option", LIST, "Set resolver options"),
    Flag("dns-search", _list(networking.read_search_domain), "Search these domains"),
    Flag("domainname", STRING, "NIS domain name"),
    Flag("entrypoint", STRING, "Replace the image's ENTRYPOINT"),
    Flag("env", _list(read_variable), "Set environment variables", short="e"),
    Flag("env-file", LIST, "Read environment variables from a file"),
    Flag("expose", LIST, "Expose a port or a range of ports"),
    Flag("gpus", repeated("gpu-request", read_gpus), "Devices of a vendor (all, 2, device=0)"),
    Flag("group-add", LIST, "Join additional groups"),
    Flag("health-cmd", STRING, "Command that checks health"),
    Flag("health-interval", DURATION, "Time between checks (ms|s|m|h)", default="0s"),
    Flag("health-retries", INT, "Failures in a row that mean unhealthy"),
    Flag("health-start-interval", DURATION, "Time between checks at first", default="0s"),
    Flag("health-start-period", DURATION, "Time to settle before checks count", default="0s"),
    Flag("health-timeout", DURATION, "Longest time for one check", default="0s"),
    Flag("hostname", STRING, "Host name", short="h"),
    Flag("init", SWITCH, "Run an init that hands signals on and reaps processes"),
    Flag("interactive", SWITCH, "Keep STDIN open even if not attached", short="i"),
    Flag("io-maxbandwidth", BYTES, "Largest I/O bandwidth (Windows only)"),
    Flag("io-maxiops", UINT, "Most I/O operations (Windows only)"),
    Flag("ip", STRING, "IPv4 address (172.30.100.104)"),
    Flag("ip6", STRING, "IPv6 address (2001:db8::33)"),
    Flag("ipc", STRING, "IPC namespace to use"),
    Flag("isolation", STRING, "Isolation technology"),
    Flag("kernel-memory", BYTES, "Kernel memory limit"),
    Flag("label", LABELS, "Set metadata", short="l"),
    Flag("label-file", LIST, "Read labels from a file"),
    Flag("link", _list(networking.read_link), "Link to another container"),
    Flag("link-local-ip", LIST, "Link-local addresses"),
    Flag("log-driver", STRING, "Log driver"),
    Flag("log-opt", LIST, "Options of the log driver"),
    Flag("mac-address", STRING, "MAC address (92:d0:c6:0a:29:33)"),
    Flag("memory", BYTES, "Memory limit", short="m"),
    Flag("memory-reservation", BYTES, "Soft memory limit"),
    Flag(
        "memory-swap", BYTES_OR_UNLIMITED, "Limit of memory plus swap; -1 for any amount of swap"
    ),
    Flag("memory-swappiness", INT, "How readily to swap, 0 to 100", default="-1"),
    Flag("mount", repeated("mount", mounts.parse_mount), "Mount a file system"),
    Flag("name", STRING, "Name of the container"),
    Flag("net", repeated("network", networking.read_network), "Network", is_hidden=True),
    Flag("net-alias", LIST, "Alias", is_hidden=True),
    Flag("network", repeated("network", networking.read_network), "Connect to a network"),
    Flag("network-alias", LIST, "Name of the container in its network"),
    Flag("no-healthcheck", SWITCH, "Don't run the image's HEALTHCHECK"),
    Flag("oom-kill-disable", SWITCH, "Stall instead of killing when memory is short"),
    Flag("oom-score-adj", INT, "Preference of the OOM killer (-1000 to 1000)"),
    Flag("pid", STRING, "PID namespace to use"),
    Flag("pids-limit", INT, "Most processes; -1 for any number"),
    Flag("pod", STRING, "Pod to be in (wherry pod create)"),
    Flag("platform", STRING, "Platform of the image"),
    Flag("privileged", SWITCH, "Give all privileges to the container"),
    Flag("publish", LIST, "Publish ports of the container on the host", short="p"),
    Flag("publish-all", SWITCH, "Publish all exposed ports on random ports", short="P"),
    Flag("pull", STRING, "Pull the image: always, missing or never", default='"missing"'),
    Flag("quiet", SWITCH, "Don't show the pull", short="q"),
    Flag("read-only", SWITCH, "Mount the root file system read-only"),
    Flag("restart", STRING, "When to restart the container", default='"no"'),
    Flag("rm", SWITCH, "Remove the container and its anonymous volumes when it exits"),
    Flag("runtime", STRING, "OCI runtime"),
    Flag("security-opt", LIST, "Security options"),
    Flag("shm-size", BYTES, "Size of /dev/shm"),
    Flag("stop-signal", STRING, "Signal that stops the container"),
    Flag("stop-timeout", INT, "Seconds to wait before killing the container"),
    Flag("storage-opt", LIST, "Options of the storage driver"),
    Flag("sysctl", repeated("map", _read_sysctl), "Set kernel parameters"),
    Flag("tmpfs", LIST, "Mount a tmpfs"),
    Flag("tty", SWITCH, "Allocate a pseudo-TTY", short="t"),
    Flag("ulimit", repeated("ulimit", limits.read_ulimit), "Set resource limits"),
    Flag("use-api-socket", SWITCH, "Not there yet: mount the API's socket"),
    Flag("user", STRING, "User name or id (<name|uid>[:<group|gid>])", short="u"),
    Flag("userns", STRING, "User namespace to use"),
    Flag("uts", STRING, "UTS namespace to use"),
    Flag("volume", LIST, "Bind mount a volume", short="v"),
    Flag("volume-driver", STRING, "Volume driver"),
    Flag("volumes-from", LIST, "Mount the volumes of another container"),
    Flag("workdir", STRING, "Working directory inside the container", short="w"),
)
