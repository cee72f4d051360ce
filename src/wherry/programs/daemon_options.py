"""What dockerd can be told, by flag or in its file, and what each means to wherryd.

Every option of dockerd 28 has a row in one of three tables:

    HONOURED   it decides something here: `field` of `Settings`
    VOID       it has no meaning here: accepted, with one warning that says why
    ABSENT     its feature is not there yet: refused by name, unless it asks for nothing

A row has the flag's name and the key of the configuration file; either may be missing.
"""

from collections.abc import Callable
from typing import NamedTuple

from wherry.cli.flags import BYTES, INT, LIST, STRING, SWITCH, Flag, Kind
from wherry.programs.builder_values import read_builder
from wherry.programs.daemon_values import (
    check_exec_options,
    read_address,
    read_addresses,
    read_attempts,
    read_bytes,
    read_counts,
    read_firewall_backend,
    read_ipv4_address,
    read_ipv6_address,
    read_labels,
    read_log_options,
    read_mark,
    read_mirrors,
    read_mtu,
    read_network_options,
    read_number,
    read_pools,
    read_runtimes,
    read_storage_options,
    read_switch,
    read_switches,
    read_text,
    read_texts,
    read_ulimits,
)

MAP = Kind("map", lambda text: text, is_repeated=True)

Read = Callable[[str, object], object]
"""Key and raw value, from the flag or the file, to what `Settings` has. Raises: ValueError."""


class Option(NamedTuple):
    """One option of dockerd."""

    name: str
    """The flag; empty: only a key of the file."""
    kind: Kind
    usage: str
    key: str
    """In the file; empty: only a flag."""
    read: Read = read_text
    field: str = ""
    """Of `Settings`; empty: not honoured."""
    short: str = ""
    reason: str = ""
    """Why it has no meaning here; empty: it has one, or will have."""
    neutral: tuple[object, ...] = ()
    """The values of an absent option that ask for nothing."""
    is_reloadable: bool = False
    is_hidden: bool = False

    @property
    def flag(self) -> Flag:
        """The flag as the parser takes it."""
        return Flag(self.name, self.kind, self.usage, short=self.short, is_hidden=self.is_hidden)


_READERS: dict[str, Read] = {
    SWITCH.label: read_switch, INT.label: read_number, LIST.label: read_texts,
    BYTES.label: read_bytes,
}  # fmt: skip


def _as_it_is(_key: str, value: object) -> object:
    """Nothing is known yet of the shape of an absent option's lists and objects."""
    return value


def _honoured(
    name: str,
    field: str,
    usage: str,
    kind: Kind = STRING,
    *,
    key: str | None = None,
    read: Read | None = None,
    short: str = "",
    is_reloadable: bool = False,
) -> Option:
    return Option(
        name,
        kind,
        usage,
        key=name if key is None else key,
        read=read or _READERS.get(kind.label, read_text),
        field=field,
        short=short,
        is_reloadable=is_reloadable,
    )


HONOURED = (
    _honoured("host", "hosts", "Daemon socket(s) to connect to", LIST, key="hosts", short="H"),
    _honoured("group", "group", "Group for the unix socket", short="G"),
    _honoured("data-root", "data_root", "Root directory of persistent state"),
    _honoured("userns-remap", "userns_remap", "User/Group setting for user namespaces"),
    _honoured("exec-root", "exec_root", "Root directory for execution state files"),
    _honoured("pidfile", "pid_file", "Path to use for daemon PID file", short="p"),
    _honoured("oom-score-adjust", "oom_score_adjust", "Set the oom_score_adj for the daemon",
              INT),
    _honoured("tls", "uses_tls", "Use TLS; implied by --tlsverify", SWITCH),
    _honoured("tlsverify", "verifies_clients", "Use TLS and verify the remote", SWITCH),
    _honoured("tlscacert", "tls_ca", "Trust certs signed only by this CA"),
    _honoured("tlscert", "tls_certificate", "Path to TLS certificate file"),
    _honoured("tlskey", "tls_key", "Path to TLS key file"),
    _honoured("bridge", "bridge", "Attach containers to a network bridge", short="b"),
    _honoured("bip", "bip", "IPv4 address for the default bridge"),
    _honoured("default-address-pool", "address_pools",
              "Default address pools for node specific local networks", LIST,
              key="default-address-pools", read=read_pools),
    _honoured("bip6", "bip6", "IPv6 address for the default bridge"),
    _honoured("fixed-cidr", "fixed_cidr", "IPv4 subnet for the default bridge network"),
    _honoured("fixed-cidr-v6", "fixed_cidr_v6", "IPv6 subnet for the default bridge network"),
    _honoured("default-gateway", "default_gateway",
              "Default gateway IPv4 address for the default bridge", read=read_ipv4_address),
    _honoured("default-gateway-v6", "default_gateway_v6",
              "Default gateway IPv6 address for the default bridge", read=read_ipv6_address),
    _honoured("ipv6", "has_ipv6", "Enable IPv6 networking for the default bridge network",
              SWITCH),
    _honoured("icc", "may_meet",
              "Enable inter-container communication for the default bridge network", SWITCH),
    _honoured("ip", "host_address", "Host IP for port publishing from the default bridge network",
              read=read_ipv4_address),
    _honoured("ip-masq", "is_masqueraded",
              "Enable IP masquerading for the default bridge network", SWITCH),
    _honoured("ip-forward", "forwards", "Enable IP forwarding in system configuration", SWITCH),
    _honoured("iptables", "filters_ipv4", "Enable addition of packet filter rules", SWITCH),
    _honoured("ip6tables", "filters_ipv6",
              "Enable addition of packet filter rules for IPv6; as --iptables", SWITCH),
    _honoured("mtu", "mtu", "Set the MTU for the default \"bridge\" network", INT, read=read_mtu),
    _honoured("allow-direct-routing", "allows_direct_routing",
              "Allow remote access to published ports on container IP addresses", SWITCH),
    _honoured("bridge-accept-fwmark", "accepted_mark",
              "In bridge networks, accept packets with this firewall mark/mask", read=read_mark),
    _honoured("firewall-backend", "firewall_backend",
              "Firewall backend to use: nftables", read=read_firewall_backend),
    _honoured("default-network-opt", "network_options", "Default network options", LIST,
              key="default-network-opts", read=read_network_options),
    _honoured("dns", "dns", "DNS server to use", LIST, read=read_addresses),
    _honoured("dns-opt", "dns_options", "DNS options to use", LIST, key="dns-opts"),
    _honoured("dns-search", "dns_search", "DNS search domains to use", LIST),
    _honoured("host-gateway-ip", "host_gateway",
              "IP address that the special 'host-gateway' string in --add-host resolves to",
              read=read_address),
    _honoured("log-driver", "log_driver", "Default driver for container logs"),
    _honoured("log-retention-days", "log_retention_days",
              "Days for which logs of removed containers are kept", INT),
    _honoured("log-opt", "log_options", "Default log driver options for containers", MAP,
              key="log-opts", read=read_log_options),
    _honoured("storage-driver", "storage_driver", "Storage driver to use", short="s"),
    _honoured("storage-opt", "storage_options", "Storage driver options", LIST,
              key="storage-opts", read=read_storage_options),
    _honoured("default-runtime", "default_runtime", "Default OCI runtime for containers",
              is_reloadable=True),
    _honoured("add-runtime", "runtimes", "Register an additional OCI compatible runtime", LIST,
              key="runtimes", read=read_runtimes, is_reloadable=True),
    _honoured("cgroup-parent", "cgroup_parent", "Set parent cgroup for all containers"),
    _honoured("exec-opt", "exec_options", "Runtime execution options", LIST, key="exec-opts",
              read=check_exec_options),
    _honoured("default-cgroupns-mode", "cgroup_namespace",
              'Default mode for containers cgroup namespace ("host" | "private")',
              is_reloadable=True),
    _honoured("default-ipc-mode", "ipc_namespace",
              'Default mode for containers ipc ("shareable" | "private")', is_reloadable=True),
    _honoured("default-shm-size", "shm_bytes", "Default shm size for containers", BYTES,
              is_reloadable=True),
    _honoured("default-ulimit", "ulimits", "Default ulimits for containers", MAP,
              key="default-ulimits", read=read_ulimits),
    _honoured("init", "runs_init",
              "Run an init in the container to forward signals and reap processes", SWITCH),
    _honoured("init-path", "init_path", "Path to the init binary"),
    _honoured("no-new-privileges", "no_new_privileges",
              "Set no-new-privileges by default for new containers", SWITCH),
    _honoured("seccomp-profile", "seccomp_profile", "Path to seccomp profile. Set to"
              ' "unconfined" to disable the default seccomp profile'),
    _honoured("label", "labels", "Set key=value labels to the daemon", LIST, key="labels",
              read=read_labels, is_reloadable=True),
    _honoured("registry-mirror", "registry_mirrors",
              "Preferred mirror of Docker Hub, or REGISTRY=URL for another registry", LIST,
              key="registry-mirrors", read=read_mirrors, is_reloadable=True),
    _honoured("insecure-registry", "insecure_registries",
              "Enable insecure registry communication", LIST, key="insecure-registries",
              is_reloadable=True),
    _honoured("max-concurrent-downloads", "concurrent_downloads",
              "Set the max concurrent downloads", INT, read=read_counts, is_reloadable=True),
    _honoured("max-concurrent-uploads", "concurrent_uploads",
              "Set the max concurrent uploads", INT, read=read_counts, is_reloadable=True),
    _honoured("max-download-attempts", "download_attempts",
              "Set the max download attempts for each pull", INT, read=read_attempts,
              is_reloadable=True),
    _honoured("http-proxy", "http_proxy", "HTTP proxy URL to use for outgoing traffic"),
    _honoured("https-proxy", "https_proxy", "HTTPS proxy URL to use for outgoing traffic"),
    _honoured("no-proxy", "no_proxy", "Comma-separated list of hosts or IP addresses for which"
              " the proxy is skipped"),
    _honoured("", "builder", "Settings of the builder", MAP, key="builder", read=read_builder),
    _honoured("", "features", "", MAP, key="features", read=read_switches, is_reloadable=True),
    _honoured("experimental", "is_experimental", "Enable experimental features", SWITCH),
    _honoured("debug", "is_debug", "Enable debug mode", SWITCH, short="D", is_reloadable=True),
    _honoured("log-level", "log_level",
              'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal")', short="l",
              is_reloadable=True),
    _honoured("log-format", "log_format", 'Set the logging format ("text"|"json")'),
)  # fmt: skip


def _void(name: str, kind: Kind, reason: str, *, key: str | None = None, short: str = "",
          field: str = "", is_reloadable: bool = False) -> Option:  # fmt: skip
    return Option(
        name,
        kind,
        f"No meaning here: {reason}",
        key=name if key is None else key,
        read=_READERS.get(kind.label, read_text),
        reason=reason,
        short=short,
        field=field,
        is_reloadable=is_reloadable,
    )


_NO_CONTAINERD = "there is no containerd under this engine"
_NO_PROXY = "published ports need no proxy process"
_NO_POLICY = "the policy of the host's own filter is never touched"
_OUTLIVE = "containers always outlive the daemon"

VOID = (
    _void("containerd", STRING, _NO_CONTAINERD),
    _void("containerd-namespace", STRING, _NO_CONTAINERD),
    _void("containerd-plugins-namespace", STRING, _NO_CONTAINERD,
          key="containerd-plugin-namespace"),
    _void("cri-containerd", SWITCH, _NO_CONTAINERD),
    _void("userland-proxy", SWITCH, _NO_PROXY),
    _void("userland-proxy-path", STRING, _NO_PROXY),
    _void("ip-forward-no-drop", SWITCH, _NO_POLICY),
    _void("live-restore", SWITCH, _OUTLIVE),
    _void("shutdown-timeout", INT, _OUTLIVE, field="shutdown_timeout_s", is_reloadable=True),
    _void("raw-logs", SWITCH, "the daemon's log has full timestamps and no colours always"),
    _void("allow-nondistributable-artifacts", LIST,
          "layers of every kind are pushed (as by Docker since 28)"),
    _void("restart", SWITCH, "use a restart policy on docker run", key="", short="r"),
    _void("", STRING, "trust keys went away with image schema 1", key="deprecated-key-path"),
    _void("", STRING, "--init-path names the init binary", key="default-init"),
)  # fmt: skip


def _absent(name: str, kind: Kind, usage: str, *neutral: object, key: str | None = None,
            is_hidden: bool = False) -> Option:  # fmt: skip
    return Option(
        name, kind, usage, key=name if key is None else key, neutral=neutral,
        is_hidden=is_hidden, read=_as_it_is if kind.is_repeated else _READERS.get(
            kind.label, read_text
        ),
    )  # fmt: skip


ABSENT = (
    _absent("api-cors-header", STRING, "Set CORS headers in the Engine API; removed by Docker"),
    _absent("authorization-plugin", LIST, "Authorization plugins to load",
            key="authorization-plugins"),
    _absent("cdi-spec-dir", LIST, "CDI specification directories to use", key="cdi-spec-dirs"),
    _absent("cpu-rt-period", INT,
            "Limit the CPU real-time period of the parent cgroup of all containers", 0),
    _absent("cpu-rt-runtime", INT,
            "Limit the CPU real-time runtime of the parent cgroup of all containers", 0),
    _absent("metrics-addr", STRING, "Set default address and port to serve the metrics api on"),
    _absent("network-control-plane-mtu", INT, "Network Control plane MTU", 0, 1500),
    _absent("network-diagnostic-port", INT,
            "TCP port number of the network diagnostic server", 0, is_hidden=True),
    _absent("node-generic-resource", LIST, "Advertise user-defined resource",
            key="node-generic-resources"),
    _absent("", STRING, "The host's resolv.conf", key="resolv-conf"),
    _absent("rootless", SWITCH, "Enable rootless mode", False),
    _absent("selinux-enabled", SWITCH, "Enable selinux support", False),
    _absent("swarm-default-advertise-addr", STRING,
            "Set default address or interface for swarm advertised address"),
    _absent("", INT, "Ticks of a swarm's heartbeat", 0, key="swarm-raft-heartbeat-tick"),
    _absent("", INT, "Ticks of a swarm's election", 0, key="swarm-raft-election-tick"),
)  # fmt: skip

OPTIONS = (*HONOURED, *VOID, *ABSENT)
BY_KEY = {option.key: option for option in OPTIONS if option.key}
BY_NAME = {option.name: option for option in OPTIONS if option.name}
