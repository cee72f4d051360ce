"""From a pod of a manifest to its sandbox and its volumes."""

from wherry.client.documents import Document, Json, as_json
from wherry.pods.errors import ManifestError
from wherry.pods.manifest import Container, Pod
from wherry.pods.probes import needs_tools
from wherry.pods.reading import Manifest
from wherry.pods.sandbox import Sandbox
from wherry.pods.volumes import PodVolume, pod_volume


def volumes_of(pod: Pod, manifest: Manifest) -> dict[str, PodVolume]:
    """The pod's volumes by the names that its containers use. Raises: ManifestError."""
    name = pod.metadata.name
    return {
        each.name: pod_volume(
            each, name, manifest.config_maps, manifest.secrets, f"pod {name}, volume {each.name}"
        )
        for each in pod.spec.volumes
    }


def sandbox_of(pod: Pod, volumes: dict[str, PodVolume], network: str) -> Sandbox:
    """The pod's sandbox: what all of its containers share. Raises: ManifestError."""
    spec = pod.spec
    _check_names(pod)
    return Sandbox(
        pod=pod.metadata.name,
        labels=pod.metadata.labels,
        hostname=spec.hostname,
        network="host" if spec.host_network else network,
        shared=("net", "ipc", "pid") if spec.share_process_namespace else ("net", "ipc"),
        ports={} if spec.host_network else _ports(spec.containers),
        volumes=[each.source for each in volumes.values() if each.wish is not None],
        has_tools=any(needs_tools(each) for each in spec.containers),
        host_config=_host_config(pod),
    )


def _check_names(pod: Pod) -> None:
    names = [each.name for each in (*pod.spec.init_containers, *pod.spec.containers)]
    if not pod.spec.containers:
        raise ManifestError(f"pod {pod.metadata.name}: spec.containers is empty")
    for name in names:
        if names.count(name) > 1 or name == "sandbox":
            raise ManifestError(f"pod {pod.metadata.name}: two containers are named {name!r}")


def _ports(containers: list[Container]) -> dict[str, list[Document]]:
    result: dict[str, list[Document]] = {}
    for port in (port for each in containers for port in each.ports):
        bindings = result.setdefault(f"{port.container_port}/{port.protocol.lower()}", [])
        if port.host_port:
            bindings.append({"HostIp": port.host_ip, "HostPort": str(port.host_port)})
    return result


def _host_config(pod: Pod) -> Document:
    spec = pod.spec
    names = spec.dns_config
    hosts = [f"{name}:{alias.ip}" for alias in spec.host_aliases for name in alias.hostnames]
    options = [f"{each.name}:{each.value}" if each.value else each.name for each in names.options]
    result: dict[str, Json] = {
        "ExtraHosts": as_json(hosts),
        "Dns": as_json(names.nameservers),
        "DnsSearch": as_json(names.searches),
        "DnsOptions": as_json(options),
        "Sysctls": as_json({each.name: each.value for each in spec.security_context.sysctls}),
    }
    if spec.host_ipc:
        result["IpcMode"] = "host"
    return result
