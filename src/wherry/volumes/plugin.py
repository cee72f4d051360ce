"""Volumes that a plugin keeps (docs.docker.com/engine/extend/plugins_volume).

The plugin is asked to mount a volume when the first container that has it starts, and to
unmount it when the last one has ended; where it is mounted is the plugin's to say, each time.
"""

from collections.abc import Mapping

from wherry.model.errors import PluginFailed, StepFailed
from wherry.model.volumes import Volume
from wherry.operations.plan import Journal
from wherry.plugins import Plugin


class PluginDriver:
    """Volumes of one plugin."""

    def __init__(self, plugin: Plugin) -> None:
        self.name = plugin.name
        self._plugin = plugin

    def check(self, name: str, options: Mapping[str, str]) -> None:
        """Names and options are the plugin's own; it says so when the volume is made."""

    def make(self, name: str, options: Mapping[str, str]) -> str:
        """Have the plugin make a volume; it is nowhere yet. Raises: StepFailed."""
        self._call("Create", name, f"create {name}", Opts=dict(options))
        return ""

    def remove(self, volume: Volume) -> None:
        """Have the plugin remove a volume. Raises: StepFailed."""
        self.unmount(volume)
        self._call("Remove", volume.name, f"remove {volume.name}")

    def mount(self, volume: Volume) -> Journal:
        """Have the plugin mount a volume, unless it did. Raises: StepFailed."""
        if not volume.mount_point:
            self._call("Mount", volume.name, f"mount {volume.name}", ID=volume.name)
        return []

    def place(self, volume: Volume) -> str:
        """Where the plugin has mounted a volume. Raises: StepFailed."""
        path = self._call("Path", volume.name, f"find {volume.name}").get("Mountpoint")
        if not isinstance(path, str) or not path.startswith("/"):
            raise StepFailed(
                f"find {volume.name}", f"plugin {self.name} says it is mounted at {path!r}"
            )
        return path

    def unmount(self, volume: Volume) -> None:
        """Have the plugin unmount a volume that it mounted. Raises: StepFailed."""
        if volume.mount_point:
            self._call("Unmount", volume.name, f"unmount {volume.name}", ID=volume.name)

    def _call(self, verb: str, name: str, step: str, **more: object) -> Mapping[str, object]:
        try:
            return self._plugin.call(f"VolumeDriver.{verb}", {"Name": name, **more})
        except PluginFailed as failed:
            raise StepFailed(step, f"{failed.method}: {failed.complaint}") from failed
