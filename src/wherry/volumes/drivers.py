"""Who keeps volumes: the driver `local`, and plugins, which may have volumes of their own."""

from collections.abc import Container, Iterator, Sequence

from wherry.kit.timestamps import parse_rfc3339
from wherry.model.errors.plugins import PluginNotFound
from wherry.model.errors.volumes import VolumeDriverNotFound
from wherry.model.volumes import LOCAL, Volume
from wherry.plugins import VOLUME_DRIVER, PluginHost, VolumeState
from wherry.volumes.driver import VolumeDriver
from wherry.volumes.local import LocalDriver
from wherry.volumes.plugin import PluginDriver


class VolumeDrivers:
    """All of them by name. Blocking."""

    def __init__(self, local: LocalDriver, plugins: PluginHost) -> None:
        self.local = local
        self._plugins = plugins

    def names(self) -> Sequence[str]:
        """Of those that are here."""
        return (LOCAL, *self._plugins.active(VOLUME_DRIVER))

    def find(self, volume: str, name: str) -> VolumeDriver:
        """The driver of a name, for a volume. Raises: VolumeDriverNotFound."""
        return self.local if name == LOCAL else self.plugin(volume, name)

    def plugin(self, volume: str, name: str) -> PluginDriver:
        """The same of a plugin's. Raises: VolumeDriverNotFound."""
        try:
            return PluginDriver(self._plugins.get(name, VOLUME_DRIVER))
        except PluginNotFound as error:
            raise VolumeDriverNotFound(volume, name) from error

    def elsewhere(self, name: str) -> Volume | None:
        """A volume that one of the plugins has that were used so far."""
        for driver in self._active():
            found = driver.find(name)
            if found is not None:
                return _foreign(found, driver)
        return None

    def all_elsewhere(self, known: Container[str]) -> Iterator[Volume]:
        """The volumes that these plugins have and that are not known; two may have one name."""
        for driver in self._active():
            for each in driver.listed():
                if each.Name and each.Name not in known:
                    yield _foreign(each, driver)

    def _active(self) -> Sequence[PluginDriver]:
        return [self.plugin("", each) for each in self._plugins.active(VOLUME_DRIVER)]


def _foreign(found: VolumeState, driver: PluginDriver) -> Volume:
    """A volume that a plugin has and nobody made here; when it was made, it may say."""
    try:
        created_at_ns = parse_rfc3339(found.CreatedAt)
    except ValueError:
        created_at_ns = 0
    return Volume(
        name=found.Name,
        driver=driver.name,
        mount_point=found.Mountpoint,
        created_at_ns=created_at_ns,
        scope=driver.scope(),
        status=bytes(found.Status),
    )
