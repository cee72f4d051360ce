"""From a file of Kubernetes objects to the pods that it means, with what they refer to."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from msgspec import ValidationError, convert
from msgspec.structs import replace

from wherry.client.documents import Document, Json, child, document, text
from wherry.compose import ComposeError, read_documents
from wherry.pods.errors import ManifestError
from wherry.pods.manifest import ConfigMap, Deployment, Pod, Secret

Warn = Callable[[str], None]
Loaded = TypeVar("Loaded", Pod, Deployment, ConfigMap, Secret)

_KINDS = {"Pod": "v1", "Deployment": "apps/v1", "ConfigMap": "v1", "Secret": "v1"}
_OF_THE_CLUSTER = re.compile(
    r"status|spec\.(minReadySeconds|progressDeadlineSeconds|revisionHistoryLimit|selector|strategy)"
    r"|spec(\.template\.spec)?\.(affinity|automountServiceAccountToken|dnsPolicy"
    r"|enableServiceLinks|nodeName|nodeSelector|preemptionPolicy|priority|priorityClassName"
    r"|schedulerName|serviceAccount|serviceAccountName|tolerations|topologySpreadConstraints)"
    r"|spec.*\.(initC|c)ontainers\.\d+\.terminationMessage(Path|Policy)"
)
"""Fields that speak of a cluster, and mean nothing on one host: left out, and said."""
_OF_THE_RECORD = re.compile(
    r"(|.*\.)metadata\.(creationTimestamp|generation|managedFields|ownerReferences"
    r"|resourceVersion|selfLink|uid)"
)
"""What a cluster writes into an object that it hands out: left out without a word."""


class Manifest(NamedTuple):
    """What a file asks for."""

    pods: list[Pod]
    config_maps: dict[str, dict[str, bytes]]
    secrets: dict[str, dict[str, bytes]]


def read_manifest(source: bytes, name: str, warn: Warn) -> Manifest:
    """The pods of a YAML file, a Deployment's replicas each for itself.

    Raises: ManifestError naming file and field.
    """
    found = Manifest([], {}, {})
    for each in _documents(source, name):
        kind, api_version = text(each, "kind"), text(each, "apiVersion")
        place = f"{name}: {kind} {text(child(each, 'metadata'), 'name') or '(without a name)'}"
        if kind not in _KINDS:
            raise ManifestError(
                f"{name}: kind {kind!r} is not played on one host: there are {', '.join(_KINDS)}"
            )
        if api_version != _KINDS[kind]:
            raise ManifestError(f"{place}: apiVersion {api_version!r} is not {_KINDS[kind]}")
        left_out: list[str] = []
        body = document(_local(each, left_out))
        del body["kind"], body["apiVersion"]
        if left_out:
            warn(f"{place}: on one host there is no meaning to {', '.join(left_out)}")
        match kind:
            case "Pod":
                found.pods.append(_named(_typed(body, Pod, place), place))
            case "Deployment":
                found.pods.extend(_replicas(_typed(body, Deployment, place), place))
            case "ConfigMap":
                config_map = _typed(body, ConfigMap, place)
                found.config_maps[config_map.metadata.name] = _bytes(config_map.data) | dict(
                    config_map.binary_data
                )
            case _:
                secret = _typed(body, Secret, place)
                found.secrets[secret.metadata.name] = dict(secret.data) | _bytes(
                    secret.string_data
                )
    if not found.pods:
        raise ManifestError(f"{name}: there is no Pod and no Deployment in it")
    return found


def _documents(source: bytes, name: str) -> Iterator[Document]:
    try:
        read = read_documents(source, name)
    except ComposeError as problem:
        raise ManifestError(str(problem)) from None
    for each in read:
        if each.value is None:
            continue
        if not isinstance(each.value, dict):
            raise ManifestError(f"{name}: a document is no mapping")
        yield document(each.value)


def _typed(body: Document, kind: type[Loaded], place: str) -> Loaded:
    try:
        return convert(body, kind)
    except ValidationError as problem:
        raise ManifestError(f"{place}: {problem}") from None


def _named(pod: Pod, place: str) -> Pod:
    if not pod.metadata.name:
        raise ManifestError(f"{place}: metadata.name is missing")
    return pod


def _replicas(deployment: Deployment, place: str) -> Iterator[Pod]:
    """`NAME-1`, `NAME-2` ...: on one host they are told apart by number."""
    if not deployment.metadata.name:
        raise ManifestError(f"{place}: metadata.name is missing")
    template = deployment.spec.template
    for number in range(1, deployment.spec.replicas + 1):
        name = f"{deployment.metadata.name}-{number}"
        yield Pod(replace(template.metadata, name=name), template.spec)


def _local(value: Json, left_out: list[str], path: str = "") -> Json:
    """The object without what speaks of a cluster."""

    def below(name: object) -> str:
        return f"{path}.{name}".lstrip(".")

    if isinstance(value, list):
        return [_local(each, left_out, below(index)) for index, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept: Document = {}
    for key, each in value.items():
        if _OF_THE_CLUSTER.fullmatch(below(key)):
            left_out.append(below(key))
        elif not _OF_THE_RECORD.fullmatch(below(key)):
            kept[key] = _local(each, left_out, below(key))
    return kept


def _bytes(data: dict[str, str]) -> dict[str, bytes]:
    return {key: value.encode() for key, value in data.items()}
