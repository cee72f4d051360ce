"""Between OCI's image documents and our own words for an image."""

import re
from collections.abc import Sequence

from wherry.images.image_rows import LayerBlob
from wherry.kit.timestamps import parse_rfc3339
from wherry.model.errors import StateUnreadable
from wherry.model.errors.images import ArchiveRefused
from wherry.model.errors.registries import SystemUnusable
from wherry.model.health import HealthCheck
from wherry.model.ids import ChainId, ImageId
from wherry.model.images import HistoryEntry, Image, ImageConfig, Layer
from wherry.model.networks import Port
from wherry.oci.image_json import decode_image
from wherry.oci.image_spec import ExecutionDefaults, Healthcheck, History, ImageDocument
from wherry.snapshots import LayerStore, chain_id

LARGEST_DOCUMENT = 4 << 20
"""Bytes that a manifest or a configuration may have."""

_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_PROTOCOLS = ("tcp", "udp", "sctp")


def read_document(content: bytes) -> ImageDocument:
    """An image's configuration, fit for this engine.

    Raises: ArchiveRefused; SystemUnusable for an image of another operating system.
    """
    try:
        document = decode_image(content)
        image_config(document.config)
    except ValueError as error:
        raise ArchiveRefused(f"image configuration: {error}") from error
    if document.os not in ("", "linux"):
        raise SystemUnusable(document.os)
    return document


def image_of(
    image_id: ImageId, config: bytes, blobs: Sequence[LayerBlob], unpacked: LayerStore
) -> Image:
    """An image from its configuration and unpacked layers.

    Raises: ArchiveRefused, SystemUnusable; StateUnreadable for a layer that is missing.
    """
    document = read_document(config)
    layers: list[Layer] = []
    chain: ChainId | None = None
    for blob in blobs:
        chain = chain_id(chain, blob.diff_id)
        committed = unpacked.get(chain)
        if committed is None:
            raise StateUnreadable(f"layer {chain}", "missing")
        layers.append(Layer(diff_id=blob.diff_id, chain_id=chain, size_bytes=committed.size_bytes))
    return Image(
        id=image_id,
        references=(),
        config=image_config(document.config),
        layers=tuple(layers),
        history=tuple(history_entry(each) for each in document.history),
        architecture=document.architecture or "amd64",
        variant=document.variant,
        operating_system=document.os or "linux",
        created_at_ns=moment(document.created),
        author=document.author,
        comment=document.comment,
        size_bytes=sum(layer.size_bytes for layer in layers),
    )


def image_config(defaults: ExecutionDefaults) -> ImageConfig:
    """What an image says about its containers. Raises: ValueError for a port that is none."""
    return ImageConfig(
        entrypoint=defaults.entrypoint,
        command=defaults.cmd,
        environment=defaults.env,
        working_directory=defaults.working_dir,
        user=defaults.user,
        exposed_ports=tuple(
            port for text in defaults.exposed_ports for port in parse_exposed(text)
        ),
        volumes=defaults.volumes,
        labels=defaults.labels,
        stop_signal=defaults.stop_signal,
        health=_health(defaults.healthcheck),
        shell=defaults.shell,
        on_build=defaults.on_build,
    )


def execution_defaults(config: ImageConfig) -> ExecutionDefaults:
    """The reverse of `image_config`."""
    health = config.health
    return ExecutionDefaults(
        entrypoint=config.entrypoint,
        cmd=config.command,
        env=config.environment,
        working_dir=config.working_directory,
        user=config.user,
        exposed_ports=tuple(str(port) for port in config.exposed_ports),
        volumes=config.volumes,
        labels=config.labels,
        stop_signal=config.stop_signal,
        shell=config.shell,
        on_build=config.on_build,
        healthcheck=None
        if health is None
        else Healthcheck(
            test=health.test,
            interval=health.interval_ns,
            timeout=health.timeout_ns,
            start_period=health.start_period_ns,
            start_interval=health.start_interval_ns,
            retries=health.retries,
        ),
    )


def _health(check: Healthcheck | None) -> HealthCheck | None:
    if check is None:
        return None
    return HealthCheck(
        test=check.test,
        interval_ns=check.interval,
        timeout_ns=check.timeout,
        start_period_ns=check.start_period,
        start_interval_ns=check.start_interval,
        retries=check.retries,
    )


def history_entry(step: History) -> HistoryEntry:
    """One step of how an image came to be."""
    return HistoryEntry(
        created_at_ns=moment(step.created),
        created_by=step.created_by,
        comment=step.comment,
        author=step.author,
        is_empty_layer=step.empty_layer,
    )


def moment(text: str) -> int | None:
    """A time of a document; None where there is none, or only Go's zero time."""
    try:
        value = parse_rfc3339(text) if text else None
    except ValueError:
        return None
    return None if value is None or value < 0 else value


def parse_exposed(text: str) -> tuple[Port, ...]:
    """`80`, `53/udp` or `8000-8010/tcp`. Raises: ValueError."""
    numbers, _slash, protocol = text.partition("/")
    protocol = protocol.lower() or "tcp"
    match = _PORTS.fullmatch(numbers)
    first = int(match.group(1)) if match else 0
    last = int(match.group(2) or first) if match else 0
    if not 0 < first <= last <= 65535:
        raise ValueError(f"invalid containerPort: {numbers}")
    if protocol not in _PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    return tuple(Port(number, protocol) for number in range(first, last + 1))
