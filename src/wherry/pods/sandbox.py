"""The sandbox of a pod: a container whose one process waits, and whose namespaces all share.

It holds the pod's network, its inter-process communication and, where that is shared, its PID
namespace, in which it is process 1 and reaps; and it holds the pod's volumes. A container of the
pod joins them by `container:SANDBOX`, as anybody could by hand (`docker run --net container:...`).
"""

from collections.abc import Mapping, Sequence

from wherry.client.documents import Document, Json, as_json
from wherry.kit.values import dataclass, field

IMAGE = "wherry/pause:latest"
POD, MEMBER, ROLE = "wherry.pod", "wherry.pod.container", "wherry.pod.role"
SHARED = "wherry.pod.shared"
"""On the sandbox: what its containers share, as `net,ipc`."""
_MODES = {"net": "NetworkMode", "ipc": "IpcMode", "pid": "PidMode"}
SHAREABLE = tuple(_MODES)
SANDBOX_ROLE, INIT_ROLE, CONTAINER_ROLE = "sandbox", "init", "container"
VOLUMES = "/volumes"
TOOLS = "/tools"
"""Where the sandbox has its programs, and where a probed container sees them."""


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """What a pod's sandbox is like."""

    pod: str
    labels: Mapping[str, str] = field(default_factory=dict)
    hostname: str = ""
    network: str = "bridge"
    shared: Sequence[str] = ("net", "ipc")
    """Of `SHAREABLE`."""
    ports: Mapping[str, Sequence[Document]] = field(default_factory=dict)
    """`80/tcp` to the host's addresses and ports for it."""
    volumes: Sequence[str] = ()
    """The engine's volumes that live and end with the pod."""
    has_tools: bool = False
    host_config: Document = field(default_factory=dict)
    """What else of the host's side was asked for: names, hosts, sysctls."""

    @property
    def name(self) -> str:
        """The sandbox's name as a container."""
        return sandbox_name(self.pod)

    @property
    def tools_volume(self) -> str:
        """The volume that shows the sandbox's programs to the pod's containers."""
        return self.name

    def request(self) -> Document:
        """The body of `POST /containers/create`."""
        binds = [f"{volume}:{VOLUMES}/{volume}" for volume in self.volumes]
        if self.has_tools:
            binds.append(f"{self.tools_volume}:{TOOLS}")
        return {
            "Image": IMAGE,
            "Hostname": "" if self.network == "host" else self.hostname or self.pod,
            "Labels": as_json(
                {**self.labels, **member_labels(self.pod, "", SANDBOX_ROLE),
                 SHARED: ",".join(self.shared)}
            ),
            "ExposedPorts": {port: {} for port in self.ports},
            "HostConfig": {
                **self.host_config,
                "Init": True,
                "NetworkMode": self.network,
                "IpcMode": self.host_config.get("IpcMode") or "shareable",
                "PortBindings": {port: list[Json](each) for port, each in self.ports.items()},
                "Binds": as_json(binds),
                "RestartPolicy": {"Name": "unless-stopped"},
            },
        }  # fmt: skip


def joining(pod: str, shared: Sequence[str]) -> Document:
    """What a container says in its HostConfig to be in a pod."""
    return {_MODES[each]: f"container:{sandbox_name(pod)}" for each in shared}


def sandbox_name(pod: str) -> str:
    """`web` has `web-sandbox`."""
    return f"{pod}-sandbox"


def member_labels(pod: str, member: str, role: str) -> dict[str, str]:
    """The labels by which the parts of a pod are found."""
    return {POD: pod, MEMBER: member, ROLE: role}
