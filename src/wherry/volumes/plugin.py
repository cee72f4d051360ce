"""Volumes that a plugin keeps (docs.docker.com/engine/extend/plugins_volume).

The plugin is asked to mount a volume when the first container that has it starts, and to
unmount it when the last one has ended; where it is mounted is the plugin's to say, each time.
It may have volumes that nobody made here: they are listed beside ours, and are ours once they are
used.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from wherry.model.errors import StepFailed
from wherry.model.errors.plugins import PluginFailed
from wherry.model.volumes import LOCAL, Volume
from wherry.operations.plan import Journal
from wherry.plugins import (
    Answer,
    DriverCapabilities,
    Nothing,
    Plugin,
    VolumeFound,
    VolumePlace,
    VolumeRequest,
    VolumesFound,
    VolumeState,
)

_Answer = TypeVar("_Answer", bound=Answer)


class PluginDriver:
    """Volumes of one plugin."""

    def __init__(self, plugin: Plugin) -> None:
        self.name = plugin.name
        self._plugin = plugin

    def check(self, name: str, options: Mapping[str, str]) -> None:
        """Names and options are the plugin's own; it says so when the volume is made."""

    def make(self, name: str, options: Mapping[str, str]) -> str:
        """Have the plugin make a volume; it is nowhere yet. Raises: StepFailed."""
        self._call("Create", VolumeRequest(Name=name, Opts=options), Answer)
        return ""

    def remove(self, volume: Volume) -> None:
        """Have the plugin remove a volume. Raises: StepFailed."""
        self.unmount(volume)
        self._call("Remove", VolumeRequest(Name=volume.name), Answer)

    def mount(self, volume: Volume) -> Journal:
        """Have the plugin mount a volume, unless it did. Raises: StepFailed."""
        if not volume.mount_point:
            self._call("Mount", VolumeRequest(Name=volume.name, ID=volume.name), Answer)
        return []

    def place(self, volume: Volume) -> str:
        """Where the plugin has mounted a volume. Raises: StepFailed."""
        path = self._call("Path", VolumeRequest(Name=volume.name), VolumePlace).Mountpoint
        if not path or not path.startswith("/"):
            raise StepFailed(
                f"path {volume.name}", f"plugin {self.name} says it is mounted at {path!r}"
            )
        return self._plugin.host_path(path)

    def unmount(self, volume: Volume) -> None:
        """Have the plugin unmount a volume that it mounted. Raises: StepFailed."""
        if volume.mount_point:
            self._call("Unmount", VolumeRequest(Name=volume.name, ID=volume.name), Answer)

    def find(self, name: str) -> VolumeState | None:
        """What the plugin says of a volume; None when it has none of this name."""
        try:
            return self._call("Get", VolumeRequest(Name=name), VolumeFound).Volume
        except StepFailed:
            return None

    def listed(self) -> Sequence[VolumeState]:
        """The plugin's volumes; none of one that does not say."""
        try:
            found = self._plugin.call("VolumeDriver.List", Nothing(), VolumesFound)
        except PluginFailed:
            return ()
        return found.Volumes or ()

    def scope(self) -> str:
        """Whose its volumes are: `local` where it does not say `global`."""
        method = "VolumeDriver.Capabilities"
        try:
            said = self._plugin.call(method, Nothing(), DriverCapabilities).Capabilities
        except PluginFailed:
            return LOCAL
        return said.Scope if said is not None and said.Scope == "global" else LOCAL

    def _call(self, verb: str, request: VolumeRequest, answer: type[_Answer]) -> _Answer:
        method = f"VolumeDriver.{verb}"
        try:
            return self._plugin.call(method, request, answer)
        except PluginFailed as failed:
            step = f"{verb.lower()} {request.Name}"
            raise StepFailed(step, f"{method}: {failed.complaint}") from failed
