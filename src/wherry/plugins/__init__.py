"""Docker's plugin protocol: programs of somebody else: volumes, networks, logs.

I own: finding a plugin by its name, its activation, and one call of its protocol.
I never: start or stop a plugin (engine does), or believe what it answers without a look.
On disk I leave: nothing; in the kernel a connection for the time of one call.
Called by: volumes, networks, engine.
"""

from wherry.plugins.discovery import PluginAddress
from wherry.plugins.host import (
    IPAM_DRIVER,
    LOG_DRIVER,
    NETWORK_DRIVER,
    VOLUME_DRIVER,
    Plugin,
    PluginHost,
)
from wherry.plugins.messages import (
    Answer,
    DriverCapabilities,
    LogCapabilities,
    LogWindow,
    Nothing,
    VolumeFound,
    VolumePlace,
    VolumeRequest,
    VolumesFound,
    VolumeState,
)

__all__ = [
    "IPAM_DRIVER",
    "LOG_DRIVER",
    "NETWORK_DRIVER",
    "VOLUME_DRIVER",
    "Answer",
    "DriverCapabilities",
    "LogCapabilities",
    "LogWindow",
    "Nothing",
    "Plugin",
    "PluginAddress",
    "PluginHost",
    "VolumeFound",
    "VolumePlace",
    "VolumeRequest",
    "VolumeState",
    "VolumesFound",
]
