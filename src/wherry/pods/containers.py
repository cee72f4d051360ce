"""From a container of a manifest to the request that creates it in its pod."""

import re
from collections.abc import Mapping

from wherry.client.documents import Document, Json, as_json
from wherry.kit.values import dataclass
from wherry.pods.errors import ManifestError
from wherry.pods.manifest import Container, ContainerSecurity, KeyReference, Pod, Variable
from wherry.pods.probes import health_check, needs_tools
from wherry.pods.quantities import amount
from wherry.pods.sandbox import CONTAINER_ROLE, INIT_ROLE, TOOLS, Sandbox, joining
from wherry.pods.sandbox import member_labels as labels_of
from wherry.pods.volumes import PodVolume

WHEN_UNHEALTHY = "wherry.when-unhealthy"
"""The label by which the engine kills what has become unhealthy; its restart policy goes on."""
_NANO = 10**9
_SHARES_PER_CPU = 1024
_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")
_RESTARTS = {"Always": "always", "OnFailure": "on-failure", "Never": "no"}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the containers of one pod may refer to."""

    pod: Pod
    sandbox: Sandbox
    volumes: Mapping[str, PodVolume]
    config_maps: Mapping[str, Mapping[str, bytes]]
    secrets: Mapping[str, Mapping[str, bytes]]
    facts: Mapping[str, str]
    """Field paths to values: `metadata.name`, `status.podIP` ..."""


def container_name(pod: str, container: str) -> str:
    """`web` and `nginx` are `web-nginx`."""
    return f"{pod}-{container}"


def container_request(of: Container, around: Surroundings, *, is_init: bool) -> Document:
    """The body of `POST /containers/create`. Raises: ManifestError naming the field."""
    pod = around.pod
    where = f"pod {pod.metadata.name}, container {of.name}"
    variables = _variables(of, around, where)
    check = None if is_init else health_check(of, where)
    request: Document = {
        "Image": of.image,
        "Env": as_json([f"{name}={value}" for name, value in variables.items()]),
        "WorkingDir": of.working_dir,
        "User": _user(of.security_context, around, where),
        "OpenStdin": of.stdin,
        "Tty": of.tty,
        "StopTimeout": pod.spec.termination_grace_period_seconds,
        "Labels": as_json(_labels(of, pod, is_init=is_init)),
        "HostConfig": _host_config(of, around, where, is_init=is_init),
    }
    if check is not None:
        request["Healthcheck"] = check
    # `command` is the entrypoint; without it the image's stays, and `args` are its arguments.
    if of.command:
        request["Entrypoint"] = as_json([_expanded(word, variables) for word in of.command])
    if of.args or of.command:
        request["Cmd"] = as_json([_expanded(word, variables) for word in of.args])
    return request


def _labels(of: Container, pod: Pod, *, is_init: bool) -> dict[str, str]:
    role = INIT_ROLE if is_init else CONTAINER_ROLE
    lives = {WHEN_UNHEALTHY: "kill"} if of.liveness_probe is not None else {}
    return {**pod.metadata.labels, **labels_of(pod.metadata.name, of.name, role), **lives}


def _host_config(of: Container, around: Surroundings, where: str, *, is_init: bool) -> Document:
    pod, security = around.pod, of.security_context
    spec = pod.spec
    mounts: list[Json] = []
    for at in of.volume_mounts:
        if at.name not in around.volumes:
            raise ManifestError(f"{where}: volumeMounts names no volume of the pod: {at.name!r}")
        mounts.append(around.volumes[at.name].mount(at, where))
    if not is_init and needs_tools(of):
        tools = around.sandbox.tools_volume
        mounts.append({"Type": "volume", "Source": tools, "Target": TOOLS, "ReadOnly": True})
    result: Document = {
        **joining(pod.metadata.name, around.sandbox.shared),
        "Mounts": mounts,
        "Privileged": security.privileged,
        "ReadonlyRootfs": security.read_only_root_filesystem,
        "CapAdd": as_json(security.capabilities.add),
        "CapDrop": as_json(security.capabilities.drop),
        "GroupAdd": as_json([str(group) for group in spec.security_context.supplemental_groups]),
        "RestartPolicy": {"Name": "no" if is_init else _RESTARTS[spec.restart_policy]},
        **_resources(of, where),
    }
    if spec.host_pid:
        result["PidMode"] = "host"
    if spec.host_ipc:
        result["IpcMode"] = "host"
    if not security.allow_privilege_escalation:
        result["SecurityOpt"] = ["no-new-privileges"]
    return result


def _resources(of: Container, where: str) -> Document:
    result: Document = {}
    for field, wanted in (("limits", of.resources.limits), ("requests", of.resources.requests)):
        for name, quantity in wanted.items():
            number = amount(quantity, f"{where}: resources.{field}.{name}")
            match field, name:
                case "limits", "cpu":
                    result["NanoCpus"] = int(number * _NANO)
                case "limits", "memory":
                    # Without swap, as a kubelet does.
                    result["Memory"] = result["MemorySwap"] = int(number)
                case "requests", "cpu":
                    result["CpuShares"] = max(2, int(number * _SHARES_PER_CPU))
                case "requests", "memory":
                    result["MemoryReservation"] = int(number)
                case _:
                    raise ManifestError(
                        f"{where}: resources.{field}.{name} is not there: cpu and memory are"
                    )
    return result


def _user(own: ContainerSecurity, around: Surroundings, where: str) -> str:
    pods = around.pod.spec.security_context
    user = pods.run_as_user if own.run_as_user is None else own.run_as_user
    group = pods.run_as_group if own.run_as_group is None else own.run_as_group
    if (own.run_as_non_root or pods.run_as_non_root) and not user:
        raise ManifestError(f"{where}: runAsNonRoot needs a runAsUser other than 0 here")
    if user is None and group is not None:
        raise ManifestError(f"{where}: runAsGroup needs a runAsUser")
    return "" if user is None else f"{user}" if group is None else f"{user}:{group}"


def _variables(of: Container, around: Surroundings, where: str) -> dict[str, str]:
    result: dict[str, str] = {}
    for source in of.env_from:
        for kind, reference, maps in (
            ("ConfigMap", source.config_map_ref, around.config_maps),
            ("Secret", source.secret_ref, around.secrets),
        ):
            if reference is None:
                continue
            if reference.name not in maps and not reference.optional:
                raise ManifestError(f"{where}: there is no {kind} {reference.name!r} in the file")
            for key, content in maps.get(reference.name, {}).items():
                result[source.prefix + key] = _text(
                    content, f"{where}: {kind} {reference.name}", key
                )
    for variable in of.env:
        value = _value(variable, around, where)
        if value is not None:
            result[variable.name] = _expanded(value, result)
    return result


def _value(variable: Variable, around: Surroundings, where: str) -> str | None:
    source = variable.value_from
    if source is None:
        return variable.value
    if source.field_ref is not None:
        path = source.field_ref.field_path
        if path not in around.facts:
            raise ManifestError(f"{where}: variable {variable.name}: no field {path!r} here")
        return around.facts[path]
    for kind, reference, maps in (
        ("ConfigMap", source.config_map_key_ref, around.config_maps),
        ("Secret", source.secret_key_ref, around.secrets),
    ):
        if reference is not None:
            return _of_key(kind, reference, maps, f"{where}: variable {variable.name}")
    raise ManifestError(f"{where}: variable {variable.name}: valueFrom is empty")


def _of_key(
    kind: str, reference: KeyReference, maps: Mapping[str, Mapping[str, bytes]], where: str
) -> str | None:
    value = maps.get(reference.name, {}).get(reference.key)
    if value is None and not reference.optional:
        raise ManifestError(
            f"{where}: there is no {kind} {reference.name!r} with {reference.key!r}"
        )
    return None if value is None else _text(value, where, reference.key)


def _text(content: bytes, where: str, key: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ManifestError(f"{where}: {key!r} is no text, so no variable can have it") from None


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` is the variable's value, if there is one; `$$` is a dollar sign."""

    def replacement(found: "re.Match[str]") -> str:
        return "$" if found[1] == "$" else variables.get(found[2], found[0])

    return _REFERENCE.sub(replacement, word)
