"""What each action is on an engine: requests of its public API, and no other.

One `Performer` serves many threads. Each takes a client of its own for as long as it needs one,
since a client is one conversation at a time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from wherry.client.connection import Hijacked
from wherry.client.documents import (
    Document,
    Json,
    child,
    children,
    document,
    flag,
    number,
    text,
    texts,
)
from wherry.client.engine_client import Client
from wherry.client.errors import ApiError
from wherry.compose import labels
from wherry.compose.application import Application
from wherry.compose.errors import ComposeError
from wherry.compose.executing import Skipped
from wherry.compose.making import Making
from wherry.compose.observing import Observed
from wherry.compose.service_containers import (
    creation,
    referred_services,
    with_references,
)
from wherry.compose.service_mounts import Warn, archive_of, carried_files
from wherry.compose.service_networks import endpoint, networks_by_priority
from wherry.compose.steps import (
    Action,
    AwaitService,
    CallContainer,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    KeepContainer,
    RecreateContainer,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    StopContainer,
    Verb,
)
from wherry.compose.waiting import wait_for
from wherry.kit.streams import Unframer

_ALL_NETWORKS_AT_ONCE = "1.44"
_NOT_FOUND, _CONFLICT = 404, 409


class Clients:
    """Clients of one engine, one for each thread that asks; `like` stays its owner's alone."""

    def __init__(self, like: Client) -> None:
        self._endpoint = like.endpoint
        self._version = like.version
        self._idle: list[Client] = []

    @contextmanager
    def one(self) -> Iterator[Client]:
        """A client that nobody else uses meanwhile."""
        try:
            client = self._idle.pop()
        except IndexError:
            client = Client(self._endpoint, version=self._version)
        try:
            yield client
        finally:
            self._idle.append(client)

    @contextmanager
    def listener(self) -> Iterator[Client]:
        """A client for a stream that is left before its end; closed afterwards."""
        client = Client(self._endpoint, version=self._version)
        try:
            yield client
        finally:
            client.close()


class Performer:
    """Performs the actions of one application's plan; also remembers what they made."""

    def __init__(self, clients: Clients, made: Application, seen: Observed, warn: Warn) -> None:
        self._clients = clients
        self._made = made
        self._images = seen.images
        self._warn = warn
        self._known = threading.Lock()
        self._identifiers = {
            (each.service, each.number): (each.identifier, each.name)
            for each in seen.containers
            if not each.is_one_off
        }

    def perform(self, action: Action) -> None:
        """Do it. Raises: ComposeError, and as `Transport.request`."""
        if isinstance(action, AwaitService):
            with self._clients.listener() as client:
                wait_for(client, action, self._warn)
            return
        with self._clients.one() as client:
            match action:
                case CreateContainer():
                    self.create(client, action.making)
                case RecreateContainer():
                    self._recreate(client, action)
                case StartContainer():
                    self._start(client, action)
                case StopContainer():
                    self._stop(client, action)
                case CallContainer():
                    _call(client, action)
                case RemoveContainer():
                    _remove(client, action)
                case CreateNetwork():
                    self._create_network(client, action.key)
                case CreateVolume():
                    self._create_volume(client, action.key)
                case RemoveNetwork() | RemoveVolume() | RemoveImage():
                    _remove_resource(client, action)
                case KeepContainer():
                    pass
                case _:
                    raise TypeError(f"nobody knows how to perform {type(action).__name__}")

    # -- containers ----------------------------------------------------------------------

    def create(self, client: Client, making: Making, name: str = "") -> str:
        """Make a container, under another name than its own if one is given; its id."""
        takes_all = client.speaks(_ALL_NETWORKS_AT_ONCE)
        service = self._resolved(self._made.services[making.service])
        body = creation(
            self._made,
            making,
            service,
            self._images.get(self._made.image_of(making.service)),
            linked=self._linked(service),
            takes_all_networks=takes_all,
            warn=self._warn,
        )
        platform = text(service, "platform") or self._made.environment.get(
            "DOCKER_DEFAULT_PLATFORM", ""
        )
        answer = client.containers.create(body, name=name or making.name, platform=platform)
        identifier = text(answer, "Id")
        for warning in texts(answer, "Warnings"):
            self._warn(warning)
        if not takes_all and not text(service, "network_mode"):
            links = texts(child(body, "HostConfig"), "Links")
            for key in networks_by_priority(service)[1:]:
                settings = endpoint(self._made, making, service, key, links)
                client.networks.connect(
                    text(child(self._made.networks, key), "name"), identifier, settings
                )
        self._carry_files(client, making.service, service, identifier)
        if not making.one_off:
            with self._known:
                self._identifiers[making.service, making.number] = (identifier, making.name)
        return identifier

    def _resolved(self, service: Document) -> Document:
        found = {}
        for other in referred_services(service):
            if own := self._containers_of(other):
                found[other] = own[0][0]
        return with_references(service, found)

    def _containers_of(self, service: str) -> list[tuple[str, str]]:
        """Ids and names of a service's containers, by number."""
        with self._known:
            return [
                each for (name, _), each in sorted(self._identifiers.items()) if name == service
            ]

    def _linked(self, service: Document) -> dict[str, list[str]]:
        names = {link.partition(":")[0] for link in texts(service, "links")}
        return {name: [each[1] for each in self._containers_of(name)] for name in names}

    def _carry_files(self, client: Client, name: str, service: Document, identifier: str) -> None:
        files = carried_files(self._made, service)
        if not files:
            return
        if flag(service, "read_only"):
            raise ComposeError(
                f"cannot create secrets or configs in read-only service {name}: "
                "`file` is the sole supported option"
            )
        gives = any(text(owner, "uid") or text(owner, "gid") for _, _, owner in files)
        client.containers.unpack(identifier, "/", [archive_of(files)], gives_to_user=gives)

    def _recreate(self, client: Client, action: RecreateContainer) -> None:
        """The new one is made beside the old one, so that a refusal leaves the old one."""
        making, old = action.making, action.replaced
        made = self.create(client, making, f"{old.identifier[:12]}_{making.name}")
        self._run_stop_hooks(client, old.service, old.identifier, is_running=old.is_running)
        client.containers.stop(old.identifier, timeout_s=action.timeout_s)
        client.containers.remove(old.identifier)
        client.containers.rename(made, making.name)

    def _start(self, client: Client, action: StartContainer) -> None:
        client.containers.start(action.name)
        for hook in children(self._made.services.get(action.service, {}), "post_start"):
            run_hook(client, action.service, action.name, hook)

    def _stop(self, client: Client, action: StopContainer) -> None:
        seen = action.container
        self._run_stop_hooks(client, seen.service, seen.identifier, is_running=seen.is_running)
        try:
            client.containers.stop(seen.identifier, timeout_s=action.timeout_s)
        except ApiError as problem:
            if problem.status != _NOT_FOUND:
                raise

    def _run_stop_hooks(
        self, client: Client, service: str, container: str, *, is_running: bool
    ) -> None:
        if is_running:
            for hook in children(self._made.services.get(service, {}), "pre_stop"):
                run_hook(client, service, container, hook)

    # -- networks and volumes ------------------------------------------------------------

    def _create_network(self, client: Client, key: str) -> None:
        network = child(self._made.networks, key)
        name = text(network, "name")
        wish: Document = {
            "Name": name,
            "Driver": text(network, "driver") or "bridge",
            "Options": child(network, "driver_opts") or None,
            "Internal": flag(network, "internal"),
            "Attachable": flag(network, "attachable"),
            "EnableIPv6": network.get("enable_ipv6"),
            "EnableIPv4": network.get("enable_ipv4"),
            "IPAM": _ipam(child(network, "ipam")),
            "Labels": self._labels(network, {
                labels.NETWORK: key, labels.CONFIG_HASH: self._made.network_hash(key),
            }),
            "CheckDuplicate": True,
        }  # fmt: skip
        try:
            client.networks.create({k: each for k, each in wish.items() if each is not None})
        except ApiError as problem:
            raise ApiError(
                problem.status, f"failed to create network {name}: {problem.message}"
            ) from None

    def _create_volume(self, client: Client, key: str) -> None:
        volume = child(self._made.volumes, key)
        client.volumes.create(
            {
                "Name": text(volume, "name"),
                "Driver": text(volume, "driver"),
                "DriverOpts": child(volume, "driver_opts"),
                "Labels": self._labels(
                    volume,
                    {labels.VOLUME: key, labels.CONFIG_HASH: self._made.volume_hash(key)},
                ),
            }
        )

    def _labels(self, resource: Document, own: dict[str, str]) -> Document:
        return {
            **child(resource, "labels"),
            labels.PROJECT: self._made.name,
            labels.VERSION: labels.COMPOSE_VERSION,
            **own,
        }


def _ipam(wanted: Document) -> Document | None:
    if not wanted:
        return None
    pools: list[Json] = [
        {
            "Subnet": text(each, "subnet"),
            "IPRange": text(each, "ip_range"),
            "Gateway": text(each, "gateway"),
            "AuxiliaryAddresses": child(each, "aux_addresses"),
        }
        for each in children(wanted, "config")
    ]
    return {"Driver": text(wanted, "driver") or "default", "Config": pools}


def _call(client: Client, action: CallContainer) -> None:
    identifier = action.container.identifier
    match action.verb:
        case Verb.RESTART:
            client.containers.restart(identifier, timeout_s=action.timeout_s)
        case Verb.KILL:
            client.containers.kill(identifier, action.signal)
        case Verb.PAUSE:
            client.containers.pause(identifier)
        case Verb.UNPAUSE:
            client.containers.unpause(identifier)
        case _:
            assert_never(action.verb)


def _remove(client: Client, action: RemoveContainer) -> None:
    try:
        client.containers.remove(
            action.container.identifier,
            with_volumes=action.with_volumes,
            is_forced=action.is_forced,
        )
    except ApiError as problem:
        if problem.status != _NOT_FOUND:
            raise


def _remove_resource(client: Client, action: RemoveNetwork | RemoveVolume | RemoveImage) -> None:
    """What is in use by others stays; what is gone is gone."""
    try:
        match action:
            case RemoveNetwork():
                client.networks.remove(action.identifier)
            case RemoveVolume():
                client.volumes.remove(action.name, is_forced=True)
            case RemoveImage():
                client.images.remove(action.reference)
            case _:
                assert_never(action)
    except ApiError as problem:
        if problem.status == _NOT_FOUND:
            raise Skipped("Warning: No resource found to remove") from None
        if problem.status == _CONFLICT or "active endpoints" in problem.message:
            raise Skipped("Resource is still in use") from None
        raise


def run_hook(client: Client, service: str, container: str, hook: Document) -> None:
    """Run a service's command in its container, to its end. Raises: ComposeError."""
    environment = [
        key if value is None else f"{key}={value}"
        for key, value in child(hook, "environment").items()
    ]
    identifier = client.execs.create(
        container,
        {
            "User": text(hook, "user"),
            "Privileged": flag(hook, "privileged"),
            "Env": list(environment) or None,
            "WorkingDir": text(hook, "working_dir"),
            "Cmd": hook.get("command"),
            "AttachStdout": True,
            "AttachStderr": True,
        },
    )
    said = _read_all(client.execs.start(identifier, has_terminal=False))
    if code := number(document(client.execs.inspect(identifier)), "ExitCode"):
        told = f": {said}" if said else ""
        raise ComposeError(f"{service} hook exited with status {code}{told}")


def _read_all(stream: Hijacked) -> str:
    unframer, said = Unframer(), b""
    while data := stream.receive():
        said += b"".join(payload for _stream, payload in unframer.feed(data))
    stream.close()
    return said.decode(errors="replace").strip()
