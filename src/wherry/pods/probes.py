"""Probes as health checks: the engine runs a command in the container, and counts.

A request or a connection is made by the sandbox's own static tools, which a probed container has
below `/tools`, so that its image needs none. The engine knows one check per container: it is the
liveness probe, or else the readiness probe; a startup probe gives the time before failures count.
When the liveness probe fails, a label has the engine kill the container, and its restart policy
does what the pod's says.
The time-out is the engine's too (and `wget -T` of Debian's static busybox ends by SIGSEGV).
"""

from wherry.client.documents import Document, as_json
from wherry.pods.errors import ManifestError
from wherry.pods.manifest import Container, Port, Probe
from wherry.pods.sandbox import TOOLS

_SECOND = 10**9


def health_check(of: Container, where: str) -> Document | None:
    """The `Healthcheck` of a container; None when it has no probe. Raises: ManifestError."""
    probe = of.liveness_probe or of.readiness_probe or of.startup_probe
    if probe is None:
        return None
    start_period_s = probe.initial_delay_seconds
    if of.startup_probe is not None:
        patience = of.startup_probe
        start_period_s += patience.period_seconds * patience.failure_threshold
    return {
        "Test": as_json(["CMD", *_command(probe, of, where)]),
        "Interval": probe.period_seconds * _SECOND,
        "Timeout": probe.timeout_seconds * _SECOND,
        "Retries": probe.failure_threshold,
        "StartPeriod": start_period_s * _SECOND,
    }


def needs_tools(of: Container) -> bool:
    """Whether the probe is made by the sandbox's tools."""
    probe = of.liveness_probe or of.readiness_probe or of.startup_probe
    return probe is not None and probe.exec is None


def _command(probe: Probe, of: Container, where: str) -> list[str]:
    if probe.exec is not None:
        return probe.exec.command
    if probe.tcp_socket is not None:
        host = probe.tcp_socket.host or "127.0.0.1"
        port = str(_number(probe.tcp_socket.port, of, where))
        # Standard input is empty, so nc closes as soon as it is connected.
        return [f"{TOOLS}/nc", host, port]
    if probe.http_get is not None:
        get = probe.http_get
        if get.scheme == "HTTPS":
            raise ManifestError(f"{where}: probes by HTTPS are not there yet")
        host = get.host or "127.0.0.1"
        headers = [
            word
            for header in get.http_headers
            for word in ("--header", f"{header.name}: {header.value}")
        ]
        url = f"http://{host}:{_number(get.port, of, where)}{get.path}"
        return [f"{TOOLS}/wget", "-q", *headers, "-O", "/dev/null", url]
    raise ManifestError(f"{where}: a probe needs one of exec, httpGet and tcpSocket")


def _number(port: Port, of: Container, where: str) -> int:
    if isinstance(port, int):
        return port
    for each in of.ports:
        if each.name == port:
            return each.container_port
    raise ManifestError(f"{where}: the container has no port named {port!r}")
