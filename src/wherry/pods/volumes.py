"""The volumes of a pod: which of the engine's they are, and which files are in them.

An `emptyDir`, a ConfigMap and a Secret become volumes `POD-NAME` of the engine that go when the
pod goes; what is in the latter two is written once, through the sandbox, before anything runs. An
`emptyDir` of medium `Memory` is a tmpfs. A claim is a volume of its own name, and stays.
"""

import io
import tarfile
from collections.abc import Mapping, Sequence

from msgspec import UNSET

from wherry.client.documents import Document, as_json
from wherry.kit.values import dataclass
from wherry.pods.errors import ManifestError
from wherry.pods.manifest import EmptyDirectory, HostPath, KeyToPath, Volume, VolumeMount
from wherry.pods.quantities import amount
from wherry.pods.sandbox import POD


@dataclass(frozen=True, kw_only=True)
class PodVolume:
    """One volume of a pod."""

    source: str
    """The engine's volume, or a path of its host."""
    wish: Document | None = None
    """How to make it, where it is the pod's own."""
    files: Mapping[str, tuple[bytes, int]] | None = None
    """Path below it to content and mode."""
    creates_path: bool = False
    is_path: bool = False
    is_read_only: bool = False

    def mount(self, at: VolumeMount, where: str) -> Document:
        """The entry in `Mounts` for a container. Raises: ManifestError."""
        if not at.mount_path.startswith("/"):
            raise ManifestError(f"{where}: mountPath {at.mount_path!r} is not absolute")
        result: Document = {
            "Type": "bind" if self.is_path else "volume",
            "Source": self.source,
            "Target": at.mount_path,
            "ReadOnly": at.read_only or self.is_read_only,
        }
        if self.is_path:
            if at.sub_path:
                result["Source"] = f"{self.source}/{at.sub_path}"
            result["BindOptions"] = {"CreateMountpoint": self.creates_path}
        elif at.sub_path:
            result["VolumeOptions"] = {"Subpath": at.sub_path}
        return result

    def archive(self) -> bytes:
        """A tar archive of the files, which belong to root."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path, (content, mode) in sorted((self.files or {}).items()):
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(content), mode
                tar.addfile(entry, io.BytesIO(content))
        return packed.getvalue()


def pod_volume(
    volume: Volume,
    pod: str,
    config_maps: Mapping[str, Mapping[str, bytes]],
    secrets: Mapping[str, Mapping[str, bytes]],
    where: str,
) -> PodVolume:
    """What a volume of a manifest is to the engine. Raises: ManifestError."""
    own = f"{pod}-{volume.name}"
    if volume.host_path is not None:
        return _host_path(volume.host_path, where)
    if volume.persistent_volume_claim is not None:
        claim = volume.persistent_volume_claim
        return PodVolume(source=claim.claim_name, is_read_only=claim.read_only)
    if volume.config_map is not None:
        chosen = volume.config_map
        data = _found(config_maps, "ConfigMap", chosen.name, where, optional=chosen.optional)
        files = _files(data, chosen.items, chosen.default_mode, where)
        return PodVolume(source=own, wish=own_volume(own, pod), files=files, is_read_only=True)
    if volume.secret is not None:
        hidden = volume.secret
        data = _found(secrets, "Secret", hidden.secret_name, where, optional=hidden.optional)
        files = _files(data, hidden.items, hidden.default_mode, where)
        return PodVolume(source=own, wish=own_volume(own, pod), files=files, is_read_only=True)
    if volume.empty_dir is not UNSET:
        return PodVolume(source=own, wish=_empty(own, pod, volume.empty_dir, where))
    raise ManifestError(
        f"{where}: a volume needs one of emptyDir, hostPath, configMap, secret and "
        "persistentVolumeClaim"
    )


def _host_path(chosen: HostPath, where: str) -> PodVolume:
    if not chosen.path.startswith("/"):
        raise ManifestError(f"{where}: hostPath {chosen.path!r} is not absolute")
    creates = chosen.type in ("", "DirectoryOrCreate")
    return PodVolume(source=chosen.path, is_path=True, creates_path=creates)


def _empty(own: str, pod: str, chosen: "EmptyDirectory | None", where: str) -> Document:
    directory = chosen or EmptyDirectory()
    if directory.medium != "Memory":
        if directory.size_limit:
            raise ManifestError(f"{where}: sizeLimit is kept for the medium Memory alone")
        return own_volume(own, pod)
    options = {"type": "tmpfs", "device": "tmpfs"}
    if directory.size_limit:
        options["o"] = f"size={int(amount(directory.size_limit, where))}"
    return own_volume(own, pod, options)


def own_volume(name: str, pod: str, options: Mapping[str, str] | None = None) -> Document:
    """The body of `POST /volumes/create` for a volume that goes with its pod."""
    return {
        "Name": name,
        "Driver": "local",
        "DriverOpts": as_json(options or {}),
        "Labels": {POD: pod},
    }


def _found(
    maps: Mapping[str, Mapping[str, bytes]], kind: str, name: str, where: str, *, optional: bool
) -> Mapping[str, bytes]:
    if name in maps:
        return maps[name]
    if optional:
        return {}
    raise ManifestError(f"{where}: there is no {kind} {name!r} in the file")


def _files(
    data: Mapping[str, bytes], items: Sequence[KeyToPath], default_mode: int, where: str
) -> dict[str, tuple[bytes, int]]:
    chosen = items or [KeyToPath(key, key) for key in data]
    for item in chosen:
        if item.key not in data:
            raise ManifestError(f"{where}: there is no key {item.key!r}")
        if item.path.startswith("/") or ".." in item.path.split("/"):
            raise ManifestError(f"{where}: path {item.path!r} leads out of the volume")
    return {
        item.path: (data[item.key], default_mode if item.mode is None else item.mode)
        for item in chosen
    }
