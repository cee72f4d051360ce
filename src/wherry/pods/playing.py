"""Making pods, one request after the other, through the engine's public API.

A pod that can not be made is taken away again, whole: nobody has half a pod. What is taken away is
what was made here: a pod of that name that somebody else is making stays.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress

from wherry.client.documents import Document, child, document, mapping, text
from wherry.client.engine_client import Client
from wherry.client.errors import ApiError
from wherry.kit.streams import Unframer
from wherry.pods.containers import Surroundings, container_name, container_request
from wherry.pods.errors import PodError
from wherry.pods.manifest import Container, Pod
from wherry.pods.planning import sandbox_of, volumes_of
from wherry.pods.reading import Manifest
from wherry.pods.sandbox import (
    CONTAINER_ROLE,
    IMAGE,
    MEMBER,
    POD,
    ROLE,
    SANDBOX_ROLE,
    SHARED,
    VOLUMES,
    Sandbox,
    joining,
)
from wherry.pods.volumes import PodVolume, own_volume

_NOT_FOUND = 404
_TOLD_OF_A_FAILURE = 10
"""Lines of output of an init container that failed."""

Pull = Callable[[str], None]
"""Fetches an image by name."""
Summaries = list[Document]  # Inside the class `list` is the method.


class Pods:
    """The pods of one engine."""

    def __init__(self, client: Client, pull: Pull) -> None:
        self._client = client
        self._pull = pull

    def create(self, sandbox: Sandbox) -> str:
        """Make an empty pod; the id of its sandbox. Raises: PodError, ApiError."""
        self._has_sandbox_image()
        created = self._client.containers.create(sandbox.request(), name=sandbox.name)
        identifier = text(created, "Id")
        try:
            self._client.containers.start(identifier)
        except ApiError:
            self._client.containers.remove(identifier, is_forced=True)
            raise
        return identifier

    def play(self, pod: Pod, manifest: Manifest, network: str) -> tuple[str, ...]:
        """Make a pod and start it; the ids of its sandbox and of its containers.

        Raises: ManifestError, PodError, ApiError. Then nothing of it is left.
        """
        name = pod.metadata.name
        if self._members(name):
            raise PodError(f"there is a pod {name} already")
        volumes = volumes_of(pod, manifest)
        sandbox = sandbox_of(pod, volumes, network)
        wishes = [each.wish for each in volumes.values() if each.wish is not None]
        if sandbox.has_tools:
            wishes.append(own_volume(sandbox.tools_volume, name))
        with ExitStack() as undo:
            for wish in wishes:
                self._make_volume(wish, name)
                undo.callback(self._take_back_volume, text(wish, "Name"))
            made = self.create(sandbox)
            undo.callback(self._take_back, made)
            self._fill(volumes.values(), sandbox)
            around = Surroundings(
                pod=pod,
                sandbox=sandbox,
                volumes=volumes,
                config_maps=manifest.config_maps,
                secrets=manifest.secrets,
                facts=self._facts(pod, sandbox),
            )
            for each in pod.spec.init_containers:
                identifier = self._created(each, around, is_init=True)
                undo.callback(self._take_back, identifier)
                self._run_to_its_end(each, identifier, name)
            started = []
            for each in pod.spec.containers:
                started.append(self._created(each, around, is_init=False))
                undo.callback(self._take_back, started[-1])
            for identifier in started:
                self._client.containers.start(identifier)
            undo.pop_all()
        return made, *started

    def _fill(self, volumes: Iterable[PodVolume], sandbox: Sandbox) -> None:
        """Put the files of a manifest into the volumes that are made of them."""
        for volume in volumes:
            if volume.files is not None:
                self._client.containers.unpack(
                    sandbox.name,
                    f"{VOLUMES}/{volume.source}",
                    [volume.archive()],
                    gives_to_user=False,
                )

    def remove(self, pod: str, *, is_forced: bool) -> None:
        """Remove a pod with its volumes, the sandbox last.

        Raises: PodError when there is none, or when it runs and is not forced to end.
        """
        members = self._members(pod)
        if not members:
            raise PodError(f"no such pod: {pod}")
        running = [
            mapping(each, "Labels").get(MEMBER, "")
            for each in members
            if text(each, "State") == "running" and _role(each) == CONTAINER_ROLE
        ]
        if running and not is_forced:
            raise PodError(
                f"pod {pod} has running containers ({', '.join(sorted(running))}): stop them, or "
                "remove it by force"
            )
        self._remove_all(pod)

    def _remove_all(self, pod: str) -> None:
        for each in sorted(self._members(pod), key=lambda each: _role(each) == SANDBOX_ROLE):
            self._client.containers.remove(text(each, "Id"), is_forced=True, with_volumes=True)
        for volume in self._client.volumes.list({"label": [f"{POD}={pod}"]}):
            self._client.volumes.remove(text(volume, "Name"))

    def joining(self, pod: str) -> Document:
        """What a container says in its HostConfig to be in a pod. Raises: PodError."""
        for each in self._members(pod):
            if _role(each) == SANDBOX_ROLE:
                return joining(pod, mapping(each, "Labels").get(SHARED, "").split(","))
        raise PodError(f"no such pod: {pod}")

    def list(self) -> dict[str, Summaries]:
        """All pods, newest first: the summaries of their containers, with the sandbox."""
        result: dict[str, Summaries] = {}
        for each in self._client.containers.list(all_states=True, filters={"label": [ROLE]}):
            result.setdefault(mapping(each, "Labels").get(POD, ""), []).append(each)
        return result

    def _members(self, pod: str) -> Summaries:
        chosen = {"label": [f"{POD}={pod}", ROLE]}
        return self._client.containers.list(all_states=True, filters=chosen)

    def _make_volume(self, wish: Document, pod: str) -> None:
        """What an earlier pod of that name has left gives way; others' volumes stay.

        Raises: PodError, ApiError.
        """
        name = text(wish, "Name")
        for found in self._client.volumes.list({"name": [name]}):
            if text(found, "Name") != name:
                continue
            if mapping(found, "Labels").get(POD) != pod:
                raise PodError(f"there is a volume {name} already, which is no pod's")
            self._client.volumes.remove(name)
        self._client.volumes.create(wish)

    def _take_back(self, identifier: str) -> None:
        with suppress(ApiError):
            self._client.containers.remove(identifier, is_forced=True, with_volumes=True)

    def _take_back_volume(self, name: str) -> None:
        with suppress(ApiError):
            self._client.volumes.remove(name)

    def _has_sandbox_image(self) -> None:
        """The engine makes the sandbox's image itself, when it first needs it."""
        try:
            self._client.images.inspect(IMAGE)
        except ApiError as problem:
            if problem.status != _NOT_FOUND:
                raise
            for _message in self._client.wherry.bootstrap(IMAGE):
                pass

    def _facts(self, pod: Pod, sandbox: Sandbox) -> dict[str, str]:
        networks = child(
            child(self._client.containers.inspect(sandbox.name), "NetworkSettings"), "Networks"
        )
        addresses = [text(document(each), "IPAddress") for each in networks.values()]
        return {
            "metadata.name": pod.metadata.name,
            "metadata.namespace": pod.metadata.namespace,
            "status.podIP": next((each for each in addresses if each), ""),
            **{f"metadata.labels['{key}']": each for key, each in pod.metadata.labels.items()},
            **{
                f"metadata.annotations['{key}']": each
                for key, each in pod.metadata.annotations.items()
            },
        }

    def _created(self, of: Container, around: Surroundings, *, is_init: bool) -> str:
        request = container_request(of, around, is_init=is_init)
        name = container_name(around.pod.metadata.name, of.name)
        policy = of.image_pull_policy or "IfNotPresent"
        if policy == "Always":
            self._pull(of.image)
        try:
            return text(self._client.containers.create(request, name=name), "Id")
        except ApiError as problem:
            is_missing = problem.status == _NOT_FOUND and "no such image" in str(problem).lower()
            if not is_missing or policy != "IfNotPresent":
                raise
        self._pull(of.image)
        return text(self._client.containers.create(request, name=name), "Id")

    def _run_to_its_end(self, of: Container, identifier: str, pod: str) -> None:
        self._client.containers.start(identifier)
        code = self._client.containers.wait(identifier)
        if code:
            raise PodError(
                f"init container {of.name} of pod {pod} ended with {code}"
                + self._last_words(identifier)
            )

    def _last_words(self, identifier: str) -> str:
        query = [("stdout", "1"), ("stderr", "1"), ("tail", str(_TOLD_OF_A_FAILURE))]
        streams, said = Unframer(), b""
        for piece in self._client.containers.logs(identifier, query):
            said += b"".join(payload for _stream, payload in streams.feed(piece))
        return f":\n{said.decode(errors='replace').rstrip()}" if said else ""


def _role(of: Document) -> str:
    return mapping(of, "Labels").get(ROLE, "")
